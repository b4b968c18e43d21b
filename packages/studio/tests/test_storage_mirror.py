"""The mirror against a real object store."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emr_studio.settings import Settings
from emr_studio.storage import quick, store
from emr_studio.storage.mirror import Mirror, MirrorError

BUCKET = "mirrors"


@pytest.fixture(scope="module")
def client(store_settings: Settings) -> Any:
    found = quick.unsigned_client(f"http://{store.store_address(store_settings)}", "us-east-1")
    with contextlib.suppress(found.exceptions.BucketAlreadyExists, found.exceptions.BucketAlreadyOwnedByYou):
        found.create_bucket(Bucket=BUCKET)
    return found


class Place:
    """A folder, its location in S3 and its state file; mirrors of it are stopped at the end."""

    def __init__(self, client: Any, folder: Path, prefix: str) -> None:
        self.client, self.base, self.prefix = client, folder, prefix
        self.folder = folder / "files"
        self.folder.mkdir(parents=True)
        self.mirrors: list[Mirror] = []

    def mirror(self, folder: Path | None = None, state: str = "state", client: Any = None) -> Mirror:
        location = f"s3://{BUCKET}/{self.prefix}"
        state_path = self.base / state
        made = Mirror(folder or self.folder, location, lambda: client or self.client, state_path, os.getuid())
        self.mirrors.append(made)
        return made

    def objects(self) -> dict[str, bytes]:
        while True:
            with contextlib.suppress(self.client.exceptions.NoSuchKey):  # deleted while we read
                return self._objects()

    def _objects(self) -> dict[str, bytes]:
        return {key.removeprefix(self.prefix): self.read(key.removeprefix(self.prefix)) for key in self.keys()}

    def keys(self) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=self.prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def read(self, key: str) -> bytes:
        body: bytes = self.client.get_object(Bucket=BUCKET, Key=self.prefix + key)["Body"].read()
        return body

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=self.prefix + key, Body=body)


@pytest.fixture
def place(client: Any, tmp_path: Path) -> Iterator[Place]:
    made = Place(client, tmp_path, f"studio/e-{secrets.token_hex(6)}/")
    yield made
    for mirror in made.mirrors:
        mirror.stop()


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and not p.is_symlink()}


def eventually(check: Callable[[], bool], seconds: float = 120.0) -> float:
    """Wait until `check` holds; return how long it took."""
    start = time.monotonic()
    while not check():
        assert time.monotonic() - start < seconds
        time.sleep(0.02)
    return time.monotonic() - start


def test_flush_saves_everything_and_deletions_follow(place: Place) -> None:
    (place.folder / "sub").mkdir()
    (place.folder / "a.ipynb").write_bytes(b"1")
    (place.folder / "sub" / "b.txt").write_bytes(b"2")
    (place.folder / "empty").mkdir()
    mirror = place.mirror()
    mirror.flush()
    assert place.objects() == {"a.ipynb": b"1", "sub/b.txt": b"2", "empty/": b""}
    (place.folder / "a.ipynb").unlink()
    (place.folder / "sub" / "b.txt").rename(place.folder / "c.txt")
    mirror.flush()
    assert place.objects() == {"c.txt": b"2", "empty/": b"", "sub/": b""}
    status = mirror.status()
    assert status.last_saved is not None
    assert (status.pending, status.error) == (0, "")


def test_who_wants_to_know_is_told_before_and_after_a_save(place: Place) -> None:
    (place.folder / "a.ipynb").write_bytes(b"1")
    mirror, told = place.mirror(), []
    mirror.tell = lambda status: told.append((status.pending, status.last_saved is not None, status.error))
    mirror.flush()
    assert told == [(1, False, ""), (0, True, "")]


def test_earlier_contents_are_kept_where_the_bucket_keeps_them(place: Place) -> None:
    file, mirror = place.folder / "a.ipynb", place.mirror()
    (place.folder / "a.ipynb2").write_bytes(b"another file")
    file.write_bytes(b"one")
    mirror.flush()
    assert [(found.size, found.latest) for found in mirror.versions("a.ipynb")] == [(3, True)]
    place.client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    try:
        for content in (b"two!", b"three"):
            file.write_bytes(content)
            mirror.flush()
        found = mirror.versions("a.ipynb")
        assert [version.size for version in found] == [5, 4, 3]
        assert [version.latest for version in found] == [True, False, False]
        assert [mirror.version("a.ipynb", version.version_id) for version in found] == [b"three", b"two!", b"one"]
        with pytest.raises(ValueError, match="no version"):
            mirror.version("a.ipynb", "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo")
        for path in ("../a.ipynb", "/a.ipynb", "a/", "", ".ipynb_checkpoints/x"):
            with pytest.raises(ValueError, match="not a file"):
                mirror.versions(path)
    finally:
        place.client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})


def _note_author(file: Path, name: str) -> None:
    """As a Workspace's server does it (`emr_studio_workspace/authors.py`)."""
    os.setxattr(file, "user.emr-studio.author", json.dumps({"by": name, "at": file.stat().st_mtime_ns}).encode())


def test_versions_tell_who_wrote_them_where_the_workspace_noted_it(place: Place) -> None:
    file, mirror = place.folder / "a.ipynb", place.mirror()
    place.client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    try:
        for content, name in ((b"one", "Zoë, ben"), (b"two!", "ana")):
            file.write_bytes(content)
            _note_author(file, name)
            mirror.flush()
        with file.open("ab") as shell:  # not as the server does it: the note is of what was there before
            shell.write(b" and more")
        mirror.flush()
        os.setxattr(file, "user.emr-studio.author", b"\xffno json")
        file.write_bytes(b"rubbish noted")
        mirror.flush()
        assert [version.author for version in mirror.versions("a.ipynb")] == ["", "", "ana", "Zoë, ben"]
    finally:
        place.client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})


def test_a_thousand_small_files_come_and_go(place: Place, tmp_path: Path) -> None:
    """As a git checkout: all at once, in many folders. The long run has ten times as many (`tests/chaos`)."""
    mirror = place.mirror()
    mirror.start()
    names = [f"repo/{number % 40}/file {number}.py" for number in range(1000)]
    for name in names:
        (place.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (place.folder / name).write_bytes(name.encode() * 20)
    eventually(lambda: len(place.keys()) == 1000, 120)
    told: list[tuple[int, int]] = []
    again = tmp_path / "again"
    again.mkdir()
    place.mirror(again, "other").restore(lambda done, total: told.append((done, total)))
    assert files(again) == files(place.folder)
    assert told[0] == (1, 1000)
    assert told[-1] == (1000, 1000)
    for name in names[:500]:
        (place.folder / name).unlink()
    eventually(lambda: len(place.keys()) == 500, 120)
    assert mirror.status().error == ""


def _holds(place: Place, key: str, body: bytes) -> bool:
    return place.objects().get(key) == body


@pytest.mark.parametrize("seconds", [2.0])
def test_a_save_reaches_s3_within_two_seconds(place: Place, seconds: float) -> None:
    mirror = place.mirror()
    mirror.restore()
    mirror.start()
    quick = 0
    # All of the first three, where nothing else keeps the processors busy.
    for number in range(30):
        body = f"save {number}".encode()
        draft = place.folder / ".~n.ipynb"
        draft.write_bytes(body)
        draft.rename(place.folder / "n.ipynb")
        quick += eventually(functools.partial(_holds, place, "n.ipynb", body)) < seconds
        if quick == 3:
            break
    assert quick == 3
    assert set(place.objects()) == {"n.ipynb"}


def test_new_folders_renames_and_deletions_are_seen(place: Place) -> None:
    mirror = place.mirror()
    mirror.start()
    (place.folder / "a" / "b").mkdir(parents=True)
    (place.folder / "a" / "b" / "x").write_bytes(b"x")
    eventually(lambda: "a/b/x" in place.objects())
    (place.folder / "a").rename(place.folder / "z")
    eventually(lambda: set(place.objects()) == {"z/b/x"})
    (place.folder / "z" / "b" / "y").write_bytes(b"y")
    eventually(lambda: set(place.objects()) == {"z/b/x", "z/b/y"})
    for name in ("x", "y"):
        (place.folder / "z" / "b" / name).unlink()
    (place.folder / "z" / "b").rmdir()
    (place.folder / "z").rmdir()
    eventually(lambda: place.objects() == {})
    # The kernel likes to give a new folder the inode of a dead one.
    (place.folder / "z" / "b").mkdir(parents=True)
    (place.folder / "z" / "b" / "x").write_bytes(b"again")
    eventually(lambda: place.objects() == {"z/b/x": b"again"})


NAMES = [
    "with space.ipynb", "ünïcödé ☃.txt", "hash#tag", "per%2Fcent%41", "a+b&c=d;e", "question?mark", "x" * 200,
    "tab\tnew\nline", "...", "-dash", "~tilde", "[x]{y}|^`", "quote'\"s", ".hidden",
]  # fmt: skip


def test_unusual_names_there_and_back(place: Place) -> None:
    for name in NAMES:
        (place.folder / name).write_bytes(name.encode())
    (place.folder / "back\\slash").write_bytes(b"cannot be kept")
    mirror = place.mirror()
    mirror.flush()
    assert place.objects() == {name: name.encode() for name in NAMES}
    assert mirror.status().skipped == 1
    other = place.base / "other"
    other.mkdir()
    place.mirror(other, "other-state").restore()
    assert files(other) == {name: name.encode() for name in NAMES}


def test_modes_links_and_times_come_back(place: Place) -> None:
    script = place.folder / "run.sh"
    script.write_bytes(b"#!/bin/sh\n")
    script.chmod(0o751)
    (place.folder / "link").symlink_to("../ü somewhere/else")
    place.mirror().flush()
    other = place.base / "other"
    other.mkdir()
    done: list[tuple[int, int]] = []
    place.mirror(other, "other-state").restore(lambda *counts: done.append(counts))
    assert (other / "run.sh").stat().st_mode & 0o7777 == 0o751
    assert (other / "run.sh").stat().st_mtime_ns == script.stat().st_mtime_ns
    assert os.readlink(other / "link") == "../ü somewhere/else"
    assert done[-1] == (2, 2)


def test_checkpoints_have_their_own_place(place: Place) -> None:
    folder = place.folder / "sub" / ".ipynb_checkpoints"
    folder.mkdir(parents=True)
    (folder / "x-checkpoint.ipynb").write_bytes(b"cp")
    (place.folder / "sub" / "x.ipynb").write_bytes(b"nb")
    (place.folder / "checkpoints").mkdir()
    (place.folder / "checkpoints" / "model.ipynb").write_bytes(b"the user's own")
    place.mirror().flush()
    expected = {"checkpoints/sub/x.ipynb": b"cp", "sub/x.ipynb": b"nb", "checkpoints/model.ipynb": b"the user's own"}
    assert place.objects() == expected
    other = place.base / "other"
    other.mkdir()
    place.mirror(other, "other-state").restore()
    assert files(other) == files(place.folder)


def test_big_files_go_in_parts(place: Place) -> None:
    body = random.Random(1).randbytes(20 << 20)
    (place.folder / "big.bin").write_bytes(body)
    mirror = place.mirror()
    mirror.flush()
    assert place.read("big.bin") == body
    body = body[:-1] + b"!"
    (place.folder / "big.bin").write_bytes(body)
    mirror.flush()
    assert place.read("big.bin") == body
    assert set(place.objects()) == {"big.bin"}


def test_restore_takes_what_is_new_in_s3_and_uploads_what_is_only_here(place: Place) -> None:
    (place.folder / "same").write_bytes(b"same")
    (place.folder / "theirs").write_bytes(b"old")
    (place.folder / "ours").write_bytes(b"old")
    mirror = place.mirror()
    mirror.flush()
    place.put("theirs", b"changed in S3")
    place.put("added/by hand", b"added")
    (place.folder / "ours").write_bytes(b"changed here")
    (place.folder / "only here").write_bytes(b"new")
    place.mirror().restore()
    expected = {
        "same": b"same", "theirs": b"changed in S3", "ours": b"changed here", "added/by hand": b"added",
        "only here": b"new",
    }  # fmt: skip
    assert files(place.folder) == expected
    assert place.objects() == expected


def test_changes_on_both_sides_are_both_kept(place: Place) -> None:
    (place.folder / "n.ipynb").write_bytes(b"old")
    place.mirror().flush()
    place.put("n.ipynb", b"theirs")
    (place.folder / "n.ipynb").write_bytes(b"ours")
    place.mirror().restore()
    found = files(place.folder)
    assert found["n.ipynb"] == b"theirs"
    assert [body for name, body in found.items() if name.startswith("n (conflict ")] == [b"ours"]
    assert place.objects() == found


def test_a_save_over_a_strangers_change_keeps_both(place: Place) -> None:
    mirror = place.mirror()
    (place.folder / "n.ipynb").write_bytes(b"old")
    mirror.flush()
    place.put("n.ipynb", b"theirs")
    (place.folder / "n.ipynb").write_bytes(b"ours, later")
    mirror.flush()
    mirror.flush()
    found = files(place.folder)
    assert found["n.ipynb"] == b"ours, later"
    assert [body for name, body in found.items() if name.startswith("n (conflict ")] == [b"theirs"]
    assert place.objects() == found


def test_a_lost_folder_deletes_nothing(place: Place) -> None:
    (place.folder / "a").write_bytes(b"a")
    place.mirror().flush()
    (place.folder / "a").unlink()
    place.mirror().flush()
    assert place.objects() == {"a": b"a"}
    place.folder.rmdir()
    with pytest.raises(MirrorError):
        place.mirror().flush(timeout=0.2)
    assert place.objects() == {"a": b"a"}


def test_links_out_of_the_folder_are_not_followed(place: Place) -> None:
    outside = place.base / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (place.folder / "way-out").symlink_to(outside)
    (place.folder / "secret").symlink_to(outside / "secret")
    os.mkfifo(place.folder / "pipe")
    mirror = place.mirror()
    mirror.flush()
    assert place.objects() == {"way-out": b"", "secret": b""}
    place.put("way-out/planted", b"planted")
    place.mirror().restore()
    assert not (outside / "planted").exists()


def test_while_the_store_is_away_nothing_is_lost(place: Place) -> None:
    nowhere = quick.unsigned_client("http://127.0.0.1:9", "us-east-1")
    reachable: list[Any] = [nowhere]
    mirror = Mirror(
        place.folder, f"s3://{BUCKET}/{place.prefix}", lambda: reachable[0], place.base / "state", os.getuid()
    )
    place.mirrors.append(mirror)
    mirror.start()
    (place.folder / "a").write_bytes(b"a")
    eventually(lambda: "Could not connect" in mirror.status().error)
    assert mirror.status().pending > 0
    with pytest.raises(MirrorError):
        mirror.flush(timeout=0.1)
    reachable[0] = place.client
    eventually(lambda: place.objects() == {"a": b"a"})
    eventually(lambda: mirror.status().error == "")


def _edit(random_: random.Random, folder: Path) -> None:
    names = [f"{d}{n}" for d in ("", "d1/", "d1/d2/", "d3/") for n in ("a", "b", "c.ipynb")]
    path = folder / random_.choice(names)
    choice = random_.random()
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, OSError):
        if choice < 0.5:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(random_.randbytes(random_.randrange(2000)))
        elif choice < 0.7:
            path.unlink()
        elif choice < 0.85:
            path.rename(folder / random_.choice(names))
        elif choice < 0.95:
            (folder / random_.choice(["d1", "d1/d2"])).rename(folder / random_.choice(["d3", "d4"]))
        else:
            path.symlink_to(random_.choice(names))


@pytest.mark.parametrize("seed", range(4))
def test_random_edits_end_equal(place: Place, seed: int) -> None:
    random_ = random.Random(seed)
    mirror = place.mirror()
    mirror.start()
    for _ in range(300):
        _edit(random_, place.folder)
        if random_.random() < 0.02:
            time.sleep(0.3)  # let the mirror work in the middle of it

    def equal() -> bool:
        ours = files(place.folder) | {
            str(p.relative_to(place.folder)): b"" for p in place.folder.rglob("*") if p.is_symlink()
        }
        return {key: body for key, body in place.objects().items() if not key.endswith("/")} == ours

    eventually(equal)  # by events alone
    other = place.base / "other"
    other.mkdir()
    place.mirror(other, "other-state").restore()
    assert files(other) == files(place.folder)


_CHILD = """
import os, sys, time
from pathlib import Path
from emr_studio.storage import quick
from emr_studio.storage.mirror import Mirror
folder, location, endpoint, state = sys.argv[1:]
mirror = Mirror(Path(folder), location, lambda: quick.unsigned_client(endpoint, "us-east-1"), Path(state), os.getuid())
mirror.start()
print("started", flush=True)
while True:
    time.sleep(60)
"""


def test_a_killed_mirror_goes_on_where_it_stopped(place: Place, store_settings: Settings) -> None:
    """Kill -9 at any moment of a burst of saves; the next one saves what is missing."""
    endpoint = f"http://{store.store_address(store_settings)}"
    location = f"s3://{BUCKET}/{place.prefix}"
    argv = [sys.executable, "-c", _CHILD, str(place.folder), location, endpoint, str(place.base / "state")]
    random_ = random.Random(7)
    for round_ in range(4):
        process = subprocess.Popen(argv, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        until = time.monotonic() + random_.uniform(0.3, 1.5)
        number = 0
        while time.monotonic() < until:
            (place.folder / f"f{number % 10}").write_bytes(f"{round_} {number}".encode())
            number += 1
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        (place.folder / f"gone{round_}").write_bytes(b"x")
        (place.folder / f"f{round_}").unlink(missing_ok=True)
    mirror = place.mirror()
    mirror.start()
    eventually(lambda: place.objects() == files(place.folder))
    assert not [name for name in files(place.folder) if "conflict" in name]


def test_idle_mirrors_cost_nothing(client: Any, tmp_path: Path) -> None:
    places = [Place(client, tmp_path / str(number), f"idle/{tmp_path.name}/{number}/") for number in range(50)]
    mirrors = [place.mirror() for place in places]
    for mirror in mirrors:
        mirror.start()
    try:
        eventually(lambda: all(mirror.status().last_saved and not mirror.status().pending for mirror in mirrors))
        # Other rigs of this process work now and then; mirrors that look around would in every second.
        assert any(_second_of_processor() < 0.1 for _ in range(20))
    finally:
        for mirror in mirrors:
            mirror.stop()


def _second_of_processor() -> float:
    """Seconds of processor time in one second of doing nothing."""
    before = time.process_time()
    time.sleep(1.0)
    return time.process_time() - before
