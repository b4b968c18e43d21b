"""A Workspace's files and S3, beside `rclone copy` of the same files to the same place through the same door.

    a save in S3                          from JupyterLab's save to the object having it
    small files saved, restored           files per second: a folder that appears at once, a start on an empty host
    one large file saved                  MB per second

rclone is given as many transfers at a time as the mirror has, and asks S3 to encrypt, as the mirror does.
`BENCH_FILES` and `BENCH_LARGE_MB` make it smaller.
When all of a folder is in S3 is read in the mirror's own notes, which it writes after S3's answer, and then counted in
S3: asking S3 all the time would take the machine's time from what is measured.
"""

from __future__ import annotations

import functools
import os
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from bench.results import Figure, higher_is_better, lower_is_better
from emr_studio.cli.demo.browser import Workspace
from tests.support.lab import stored
from tests.support.studio import Studio, until

PEER = "rclone copy"
FILES = int(os.environ.get("BENCH_FILES", "10000"))
LARGE = int(os.environ.get("BENCH_LARGE_MB", "2048")) << 20
SAVES = 20
SINGLES = 5
_BETWEEN_SAVES = 1.2
"""Seconds: nobody saves by hand more often."""
_POLL = 0.2
_AT_ONCE = 8
_PATIENCE = 1800.0


def measure(studio: Studio) -> list[Figure]:
    """All of the above."""
    if shutil.which("rclone") is None:
        print("  rclone is not here (apt-get install rclone)", flush=True)
        return []
    emr = studio.client("emr", "sample")
    editor_id = emr.create_editor(StudioId=studio.json["sample"]["studio_id"], Name="backups")["EditorId"]
    _await(emr, editor_id, "Ready")
    try:
        with tempfile.TemporaryDirectory(prefix="bench-backups-") as folder:
            return list(_figures(_Place(studio, emr, editor_id), Path(folder)))
    finally:
        emr.delete_editor(EditorId=editor_id)


def _figures(place: _Place, folder: Path) -> Iterator[Figure]:
    """One after the other, in turn with rclone, so that both see the same machine."""
    saves = place.saves()
    print(f"  a save is in S3 after {statistics.median(saves):.2f} s", flush=True)
    source = folder / "small"
    _small_files(source)
    with rclone(place.studio) as copy:
        ours = FILES / place.appear(source, FILES)
        theirs = FILES / _timed(lambda: copy(str(source), place.peer("small")))
        print(f"  {FILES} files saved: {ours:.0f}/s, rclone {theirs:.0f}/s", flush=True)
        back = FILES / place.start_empty()
        peers = FILES / _timed(lambda: copy(place.peer("small"), str(folder / "again")))
        print(f"  {FILES} files restored: {back:.0f}/s, rclone {peers:.0f}/s", flush=True)
        large = folder / "large"
        large.mkdir()
        with (large / "large.bin").open("wb") as file:
            for _ in range(LARGE >> 20):
                file.write(os.urandom(1 << 20))
        whole = (LARGE / 1e6) / place.appear(large, 1)
        peer_whole = (LARGE / 1e6) / _timed(lambda: copy(str(large), place.peer("large")))
        print(f"  one file of {LARGE >> 20} MB saved: {whole:.0f} MB/s, rclone {peer_whole:.0f} MB/s", flush=True)
        one = str(source / "0" / "file 0.py")
        singles = [_timed(functools.partial(copy, one, place.peer(f"one {number}"))) for number in range(SINGLES)]
    yield lower_is_better("a save in S3", "s", saves, singles, f"{PEER} of one file")
    yield higher_is_better(f"{FILES} small files saved to S3", "files/s", [ours], [theirs], PEER)
    yield higher_is_better(f"{FILES} small files restored from S3", "files/s", [back], [peers], PEER)
    yield higher_is_better(f"one file of {LARGE >> 20} MB saved to S3", "MB/s", [whole], [peer_whole], PEER)


def _small_files(folder: Path) -> None:
    for number in range(FILES):
        path = folder / str(number % 100) / f"file {number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"print({number})\n".encode() * 100)


def _timed(work: Callable[[], Any]) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def _slowly_until(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(_POLL)


def _await(emr: Any, editor_id: str, status: str) -> None:
    until(
        f"it is {status}",
        lambda: emr.describe_editor(EditorId=editor_id)["Editor"]["Status"] == status,
        _PATIENCE,
    )


class _Place:
    """A Workspace's folder on this host, and in S3."""

    def __init__(self, studio: Studio, emr: Any, editor_id: str) -> None:
        self.studio, self.emr, self.editor_id = studio, emr, editor_id
        self.s3 = studio.client("s3")
        self.location = emr.describe_editor(EditorId=editor_id)["Editor"]["S3Location"]
        self.bucket, _, self.prefix = self.location.removeprefix("s3://").partition("/")

    @property
    def folder(self) -> Path:
        return self.studio.settings.workspaces_dir / self.editor_id

    def peer(self, name: str) -> str:
        """Where rclone puts its copy: beside the Workspace's."""
        return f"studio:{self.bucket}/bench-rclone/{name}"

    def count(self, name: str) -> int:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=f"{self.prefix}{name}/")
        return sum(page["KeyCount"] for page in pages)

    def noted(self, name: str) -> int:
        """Files in a folder that S3 has, as the mirror knows."""
        with closing(sqlite3.connect(f"file:{self.folder / 'mirror.json'}?mode=ro", uri=True)) as notes:
            found = notes.execute("SELECT count(*) FROM saved WHERE path GLOB ?", (f"{name}/*",)).fetchone()
        return int(found[0])

    def saves(self) -> list[float]:
        """Seconds from asking JupyterLab's server to save until S3 has it."""
        workspace, took = Workspace(self.emr.open_editor_in_console(EditorId=self.editor_id)["Url"]), []
        for number in range(SAVES):
            body = {"type": "file", "format": "text", "content": f"save {number}"}
            begun = time.monotonic()
            workspace.origin.json("PUT", "/api/contents/saved.txt", json=body)
            wanted = f"save {number}".encode()
            while stored(self.s3, self.location, "saved.txt") != wanted:
                time.sleep(0.01)
            took.append(time.monotonic() - begun)
            time.sleep(_BETWEEN_SAVES)
        workspace.close()
        return took

    def appear(self, source: Path, count: int) -> float:
        """Let a folder appear among the files, all at once as with git; seconds until S3 has all of it."""
        files = self.folder / "files"
        owner = files.stat()
        # A name of the kind that the mirror passes over.
        beside = files / ".~coming"
        subprocess.run(["cp", "-r", str(source), str(beside)], check=True)
        subprocess.run(["chown", "-R", f"{owner.st_uid}:{owner.st_gid}", str(beside)], check=True)
        begun = time.monotonic()
        subprocess.run(["mv", str(beside), str(files / source.name)], check=True)
        _slowly_until("S3 has all files", lambda: self.noted(source.name) >= count)
        took = time.monotonic() - begun
        assert self.count(source.name) == count, "S3 lacks what the mirror noted"
        return took

    def start_empty(self) -> float:
        """Seconds of a start on a host that has nothing of it."""
        self.emr.stop_editor(EditorId=self.editor_id)
        _await(self.emr, self.editor_id, "Idle")
        shutil.rmtree(self.folder)
        begun = time.monotonic()
        self.emr.start_editor(EditorId=self.editor_id)
        shown: set[str] = set()

        def is_ready() -> bool:
            editor = self.emr.describe_editor(EditorId=self.editor_id)["Editor"]
            shown.add(editor.get("StateChangeReason", {}).get("Message", ""))
            return bool(editor["Status"] == "Ready")

        _slowly_until("it is ready", is_ready)
        took = time.monotonic() - begun
        print(f"  while it restored it said, among others: {sorted(shown)[-1]}", flush=True)
        return took


@contextmanager
def rclone(studio: Studio) -> Iterator[Callable[[str, str], None]]:
    """`rclone copy FROM TO` with the admin's keys; the remote is called `studio`."""
    who = studio.json["admin"]
    settings = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ENDPOINT": studio.json["endpoint_url"],
        "ACCESS_KEY_ID": who["access_key_id"],
        "SECRET_ACCESS_KEY": who["secret_access_key"],
        "REGION": studio.json["region"],
        "FORCE_PATH_STYLE": "true",
        # As the mirror's files are: each has a key of its own in S3, which takes the store's time.
        "SERVER_SIDE_ENCRYPTION": "AES256",
    }
    # Not what the environment says of AWS: Debian's rclone fails where it names a bundle of certificates.
    environment = {f"RCLONE_CONFIG_STUDIO_{name}": value for name, value in settings.items()}
    environment |= {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}

    def copy(source: str, target: str) -> None:
        argv = ["rclone", "--config", "/dev/null", "copy", "--transfers", str(_AT_ONCE), source, target]
        subprocess.run(argv, check=True, env=environment)

    yield copy
