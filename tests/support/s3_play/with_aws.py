"""The AWS CLI, version 1 or 2: `S3_COMMAND` is the program."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.support.s3_play import play
from tests.support.s3_play.play import BUCKET, MANY, MANY_BUCKET

PROGRAM = os.environ.get("S3_COMMAND", "aws")
FOLDER = Path(tempfile.mkdtemp(prefix="aws-cli-"))
LOCATION = f"s3://{BUCKET}"
VERSION_1 = (
    " aws-cli/1." in " " + subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout
)


def aws(*arguments: str, keys: tuple[str, str] | None = None, refused: str = "") -> str:
    """Run it as a user would; its output. `refused`: the code in the message that it must fail with."""
    environment = {**os.environ, "HOME": str(FOLDER), "AWS_CONFIG_FILE": str(_config()), "AWS_PAGER": ""}
    if keys:
        environment |= {"AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1]}
    argv = [PROGRAM, "--endpoint-url", play.URL, *arguments]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if refused:
        assert done.returncode != 0, f"{arguments} was not refused: {done.stdout}"
        assert refused in done.stderr, done.stderr
    else:
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return done.stdout


def _config() -> Path:
    path = FOLDER / "config"
    path.write_text("[default]\ns3 =\n  addressing_style = path\n  signature_version = s3v4\n")
    return path


def s3api(operation: str, *arguments: str, **more: Any) -> Any:
    """An operation on the bucket; its answer."""
    shown = aws("s3api", operation, "--bucket", BUCKET, "--output", "json", *arguments, **more)
    return json.loads(shown) if shown.strip() else {}


def file(name: str, content: bytes) -> str:
    (FOLDER / name).write_bytes(content)
    return str(FOLDER / name)


def content(key: str, *arguments: str) -> bytes:
    s3api("get-object", "--key", key, *arguments, str(FOLDER / "got"))
    return (FOLDER / "got").read_bytes()


def make_tree(tree: Path, *names: str) -> Path:
    """Files an hour old: S3 lists whole seconds, and `sync` takes a file for newer than its upload of that second."""
    then = time.time() - 3600
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(Path(name).name[0])
        os.utime(tree / name, (then, then))
    return tree


def upload() -> None:
    tree = make_tree(FOLDER / "tree", "a.txt", "sub/b ü+.txt")
    aws("s3", "sync", "--quiet", str(tree), f"{LOCATION}/tree")
    assert aws("s3", "sync", str(tree), f"{LOCATION}/tree") == ""
    assert "sub/b ü+.txt" in aws("s3", "ls", "--recursive", f"{LOCATION}/tree/")
    aws("s3", "cp", "--quiet", f"{LOCATION}/tree/sub/b ü+.txt", f"{LOCATION}/copied")
    assert content("copied") == b"b"
    aws("s3", "mv", "--quiet", f"{LOCATION}/copied", f"{LOCATION}/moved")
    assert aws("s3", "cp", f"{LOCATION}/moved", "-") == "b"
    aws("s3", "rm", "--quiet", "--recursive", f"{LOCATION}/tree")
    assert s3api("list-objects-v2", "--prefix", "tree/").get("Contents") is None
    s3api("head-object", "--key", "tree/a.txt", refused="404")


def synchronised() -> None:
    """A sync that deletes sees the same on both sides: it merges two lists, which must be in one order."""
    tree = make_tree(FOLDER / "ordered", "a/b", "a/c/d", "a-b", "a.txt", "a0", "a b/c", "a!")
    aws("s3", "sync", "--quiet", str(tree), f"{LOCATION}/ordered")
    assert aws("s3", "sync", "--delete", str(tree), f"{LOCATION}/ordered") == ""
    assert aws("s3", "sync", "--delete", f"{LOCATION}/ordered", str(tree)) == ""
    (tree / "a-b").unlink()
    assert aws("s3", "sync", "--delete", str(tree), f"{LOCATION}/ordered").split() == [
        "delete:",
        f"{LOCATION}/ordered/a-b",
    ]


def multipart() -> None:
    path, digest = play.large_file(str(FOLDER))
    aws("s3", "cp", "--quiet", path, f"{LOCATION}/large")
    assert "-" in s3api("head-object", "--key", "large")["ETag"]
    aws("s3", "cp", "--quiet", f"{LOCATION}/large", path + "2")
    assert play.sha256(path + "2") == digest
    aws("s3", "cp", "--quiet", f"{LOCATION}/large", f"{LOCATION}/large2")
    assert s3api("head-object", "--key", "large2")["ContentLength"] == play.MEGABYTES << 20
    for name in (path, path + "2"):
        Path(name).unlink()


def ranged_read() -> None:
    s3api("put-object", "--key", "range", "--body", file("range", bytes(range(256))))
    assert content("range", "--range", "bytes=10-19") == bytes(range(10, 20))
    s3api("get-object", "--key", "range", "--range", "bytes=300-301", str(FOLDER / "got"), refused="InvalidRange")


def listing() -> None:
    lines = aws("s3", "ls", f"s3://{MANY_BUCKET}/many/").splitlines()
    assert [line.split()[3] for line in lines] == [f"{number:05}" for number in range(MANY)]
    assert aws("s3", "ls", f"s3://{MANY_BUCKET}").split() == ["PRE", "many/"]


def versioning() -> None:
    s3api("put-bucket-versioning", "--versioning-configuration", "Status=Enabled")
    assert s3api("get-bucket-versioning")["Status"] == "Enabled"
    first = s3api("put-object", "--key", "versioned", "--body", file("v", b"1"))["VersionId"]
    s3api("put-object", "--key", "versioned", "--body", file("v", b"2"))
    assert content("versioned", "--version-id", first) == b"1"
    assert s3api("delete-object", "--key", "versioned")["DeleteMarker"]
    assert len(s3api("list-object-versions", "--prefix", "versioned")["Versions"]) == 2


def tagging() -> None:
    s3api("put-object", "--key", "tagged", "--tagging", "one=1")
    s3api("put-object-tagging", "--key", "tagged", "--tagging", "TagSet=[{Key=team,Value=a b}]")
    assert s3api("get-object-tagging", "--key", "tagged")["TagSet"] == [{"Key": "team", "Value": "a b"}]


def conditional_put() -> None:
    """Version 2.9 does not know the parameter yet."""
    if not VERSION_1:
        return
    s3api("put-object", "--key", "once", "--if-none-match", "*", "--body", file("c", b"1"))
    s3api(
        "put-object", "--key", "once", "--if-none-match", "*", "--body", file("c", b"2"), refused="PreconditionFailed"
    )
    assert content("once") == b"1"


def presigned() -> None:
    """The CLI presigns GET only."""
    s3api("put-object", "--key", "by link", "--body", file("l", b"linked"))
    link = aws("s3", "presign", f"{LOCATION}/by link", "--expires-in", "60").strip()
    assert play.http("GET", link)[:2] == (200, b"linked")


def bucket_policy() -> None:
    s3api("put-object", "--key", "bobs/x", "--body", file("p", b"for bob"))
    s3api("get-object", "--key", "bobs/x", str(FOLDER / "got"), keys=play.BOB, refused="AccessDenied")
    s3api("put-bucket-policy", "--policy", play.policy_for_bob("bobs/"))
    assert "bobs/*" in s3api("get-bucket-policy")["Policy"]
    assert aws("s3", "cp", f"{LOCATION}/bobs/x", "-", keys=play.BOB) == "for bob"
    s3api("delete-bucket-policy")
    s3api("get-object", "--key", "bobs/x", str(FOLDER / "got"), keys=play.BOB, refused="AccessDenied")


def cors() -> None:
    rules = {"CORSRules": [{"AllowedMethods": ["PUT"], "AllowedOrigins": [play.ORIGIN], "AllowedHeaders": ["*"]}]}
    s3api("put-bucket-cors", "--cors-configuration", json.dumps(rules))
    assert s3api("get-bucket-cors")["CORSRules"][0]["AllowedOrigins"] == [play.ORIGIN]
    assert play.preflight(f"/{BUCKET}/x")[0] == 200
    s3api("delete-bucket-cors")


if __name__ == "__main__":
    play.run(upload, synchronised, multipart, ranged_read, listing, versioning, tagging, conditional_put, presigned,
             bucket_policy, cors)  # fmt: skip
