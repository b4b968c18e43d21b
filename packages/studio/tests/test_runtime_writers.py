"""What fills the host's disk: processes of clusters that go on writing are ended, and only those, and only then."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from emr_studio.runtime import trees, writers
from emr_studio.runtime.writers import Writers, written

MB = 1024**2
Usage = namedtuple("Usage", "total used free")


class Machine:
    """A disk with so much free, and what processes have written to it."""

    def __init__(self) -> None:
        self.free = 100 * MB
        self.counts: dict[int, int] = {}
        self.now = 1000.0

    def written(self, pid: int) -> int:
        return self.counts.get(pid, 0)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: Usage(0, 0, made.free))
    monkeypatch.setattr(writers, "written", made.written)
    return made


@pytest.fixture
def programs() -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Programs of two clusters, by their workload's id."""
    found = {
        name: subprocess.Popen(["sleep", "600"], env={trees.MARKER: name}) for name in ("j-A/worker", "j-B/worker")
    }
    yield found
    for one in found.values():
        one.kill()
        one.wait()


def roots(programs: dict[str, subprocess.Popen[bytes]]) -> list[trees.Root]:
    return [trees.Root(0, 0, name) for name in programs]


def test_who_goes_on_writing_is_ended_and_nobody_else(
    tmp_path: Path, machine: Machine, programs: dict[str, subprocess.Popen[bytes]]
) -> None:
    watch = Writers(tmp_path, 200 * MB, lambda: machine.now)
    eager, modest = programs.values()
    machine.counts = {eager.pid: 5000 * MB, modest.pid: 7000 * MB}
    assert watch.look(lambda: roots(programs)) == []  # what was written before does not count
    machine.counts = {eager.pid: 5009 * MB, modest.pid: 7007 * MB}
    (ended,) = watch.look(lambda: roots(programs))
    assert ended.workload_id == "j-A/worker"
    assert ended.message == (
        f"The studio's host has only 0.1 GB of its disk left, and process {eager.pid} went on writing: it was ended"
    )
    assert eager.wait(60) == -9
    assert watch.why("j-A/worker") == ended.message
    assert watch.why("j-B/worker") == ""
    assert watch.look(lambda: roots(programs)) == []
    assert modest.poll() is None
    machine.now += 61
    assert watch.why("j-A/worker") == ""


def test_with_room_nobody_is_looked_at(
    tmp_path: Path, machine: Machine, programs: dict[str, subprocess.Popen[bytes]]
) -> None:
    watch = Writers(tmp_path, 200 * MB)
    eager, modest = programs.values()
    assert watch.look(lambda: roots(programs)) == []
    machine.free, machine.counts = 300 * MB, {eager.pid: 900 * MB}
    assert watch.look(lambda: roots(programs)) == []
    # What was written while there was room is nobody's fault.
    machine.free, machine.counts = 100 * MB, {eager.pid: 1900 * MB}
    assert watch.look(lambda: roots(programs)) == []
    assert (eager.poll(), modest.poll()) == (None, None)


def test_before_the_first_cluster_there_is_no_folder(tmp_path: Path) -> None:
    assert Writers(tmp_path / "clusters", 1 << 60).look(list) == []


PARENT = """
import os, subprocess, sys
def write(name):
    with open(name, "wb") as file:
        file.write(os.urandom(9 << 20))
sys.stdin.readline()
write("own")
print(flush=True)
sys.stdin.readline()
subprocess.run(["dd", "if=/dev/urandom", "of=childs", "bs=1M", "count=9"], check=True, capture_output=True)
print(flush=True)
sys.stdin.readline()
"""


def test_what_a_process_has_written_is_counted_and_not_what_its_children_have(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", PARENT], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        counts = [written(parent.pid)]
        for _ in range(2):
            parent.stdin.write(b"\n")
            parent.stdin.flush()
            parent.stdout.readline()
            counts.append(written(parent.pid))
    if counts[1] == counts[0]:
        pytest.skip("files of this folder lie in memory")
    assert counts[1] - counts[0] >= 9 * MB
    assert counts[2] - counts[1] < MB


def test_one_that_has_gone_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: dict[str, subprocess.Popen[bytes]]
) -> None:
    monkeypatch.setattr(trees, "tree", lambda _root: {1 << 22})
    watch = Writers(tmp_path, 1 << 60)
    assert shutil.disk_usage(tmp_path).free < 1 << 60
    assert (watch.look(lambda: roots(programs)), watch.look(lambda: roots(programs))) == ([], [])
