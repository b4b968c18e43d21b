"""rclone (Go's SDK, version 2): `S3_COMMAND` is the program."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

from tests.support.s3_play import play
from tests.support.s3_play.play import BUCKET, MANY, MANY_BUCKET

PROGRAM = os.environ.get("S3_COMMAND", "rclone")
FOLDER = Path(tempfile.mkdtemp(prefix="rclone-"))
REMOTE = f"s3:{BUCKET}"
ENVIRONMENT = {
    "RCLONE_CONFIG": str(FOLDER / "none"),
    "RCLONE_CONFIG_S3_TYPE": "s3",
    "RCLONE_CONFIG_S3_PROVIDER": "Other",
    "RCLONE_CONFIG_S3_ENV_AUTH": "true",
    "RCLONE_CONFIG_S3_ENDPOINT": play.URL,
    "RCLONE_CONFIG_S3_REGION": play.REGION,
    "RCLONE_RETRIES": "1",
    "RCLONE_LOW_LEVEL_RETRIES": "1",
}


def rclone(*arguments: str, refused: str = "", **more: str) -> str:
    """Run it as a user would; its output. `refused`: what its message must say."""
    environment = {**os.environ, **ENVIRONMENT, **more}
    done = subprocess.run([PROGRAM, *arguments], env=environment, capture_output=True, text=True, check=False)
    if refused:
        assert done.returncode != 0, f"{arguments} was not refused: {done.stdout}"
        assert refused in done.stderr, done.stderr
    else:
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return done.stdout


def upload() -> None:
    tree = FOLDER / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "a.txt").write_text("a")
    (tree / "sub" / "b ü+.txt").write_text("b")
    rclone("sync", str(tree), f"{REMOTE}/tree")
    assert sorted(rclone("lsf", "-R", f"{REMOTE}/tree").split("\n")) == ["", "a.txt", "sub/", "sub/b ü+.txt"]
    # Compares sizes, times (kept as metadata) and hashes.
    rclone("check", str(tree), f"{REMOTE}/tree")
    os.utime(tree / "a.txt", (1e9, 1e9))
    rclone("sync", str(tree), f"{REMOTE}/tree")
    assert json.loads(rclone("lsjson", f"{REMOTE}/tree/a.txt"))[0]["ModTime"].startswith("2001-09-09")
    rclone("moveto", f"{REMOTE}/tree/a.txt", f"{REMOTE}/moved")
    assert rclone("cat", f"{REMOTE}/moved") == "a"
    rclone("purge", f"{REMOTE}/tree")
    assert rclone("lsf", "-R", "--files-only", REMOTE).split() == ["moved"]


def multipart() -> None:
    path, digest = play.large_file(str(FOLDER))
    rclone("copyto", "--s3-chunk-size", "16M", "--s3-upload-cutoff", "16M", path, f"{REMOTE}/large")
    rclone("copyto", f"{REMOTE}/large", path + "2")
    assert play.sha256(path + "2") == digest
    rclone("copyto", "--s3-copy-cutoff", "32M", f"{REMOTE}/large", f"{REMOTE}/large2")
    assert json.loads(rclone("lsjson", f"{REMOTE}/large2"))[0]["Size"] == play.MEGABYTES << 20
    for name in (path, path + "2"):
        Path(name).unlink()


def streamed() -> None:
    """A body whose length nobody knows."""
    argv = [PROGRAM, "rcat", f"{REMOTE}/streamed"]
    subprocess.run(argv, env={**os.environ, **ENVIRONMENT}, input=b"x" * (6 << 20), check=True, capture_output=True)
    assert json.loads(rclone("lsjson", f"{REMOTE}/streamed"))[0]["Size"] == 6 << 20


def ranged_read() -> None:
    (FOLDER / "range").write_text("0123456789" * 10)
    rclone("copyto", str(FOLDER / "range"), f"{REMOTE}/range")
    assert rclone("cat", "--offset", "13", "--count", "4", f"{REMOTE}/range") == "3456"


def listing() -> None:
    names = rclone("lsf", "-R", f"s3:{MANY_BUCKET}/many").split()
    assert sorted(names) == [f"{number:05}" for number in range(MANY)]


def versioning() -> None:
    rclone("backend", "versioning", REMOTE, "Enabled")
    for text in ("1", "22"):
        (FOLDER / "v").write_text(text)
        rclone("copyto", "--ignore-times", str(FOLDER / "v"), f"{REMOTE}/versioned")
    assert len(rclone("lsf", "--files-only", "--s3-versions", REMOTE, "--include", "versioned*").split()) == 2
    rclone("backend", "versioning", REMOTE, "Suspended")


def presigned() -> None:
    (FOLDER / "l").write_text("linked")
    rclone("copyto", "--s3-use-presigned-request", str(FOLDER / "l"), f"{REMOTE}/by link")
    link = rclone("link", "--expire", "1m", f"{REMOTE}/by link").strip()
    assert play.http("GET", link)[:2] == (200, b"linked")


def denied() -> None:
    bob = {"AWS_ACCESS_KEY_ID": play.BOB[0], "AWS_SECRET_ACCESS_KEY": play.BOB[1]}
    rclone("lsf", REMOTE, refused="AccessDenied", **bob)


if __name__ == "__main__":
    play.run(upload, multipart, streamed, ranged_read, listing, versioning, presigned, denied)
