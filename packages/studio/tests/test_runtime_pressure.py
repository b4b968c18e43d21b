"""What presses a Workspace, where its folders are measured: refusal, the end of programs, the host's reserve."""

from __future__ import annotations

import json
import os
import subprocess
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from emr_studio.runtime import cgroups, disks, trees
from emr_studio.runtime.contract import Cause, Limits
from emr_studio.runtime.pressure import DISK, Notice, Pressure, Subject

MB = 1024**2
Free = namedtuple("Free", "total used free")


class Clock:
    """Monotonic seconds that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def program() -> Iterator[subprocess.Popen[bytes]]:
    """What runs in a terminal of the Workspace."""
    running = subprocess.Popen(["sleep", "600"], env={trees.MARKER: "e-PRESSED"})
    yield running
    running.kill()
    running.wait()


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    for name in ("files", "home", "run", "group"):
        (tmp_path / name).mkdir()
    # Without a first process: that of the tests may lead the session of other rigs, which would be ended with it.
    root = trees.Root(0, 0, "e-PRESSED", (str(tmp_path / "group"),))
    return Subject(root, tmp_path, tmp_path / "run", 0, Limits(400 * MB, 1.0, 80, 10 * MB))


def fill(subject: Subject, megabytes: int) -> None:
    (subject.base / "files" / "big").write_bytes(b"x" * megabytes * MB)


def told(subject: Subject) -> dict[str, object]:
    found: dict[str, object] = json.loads((subject.run / DISK).read_text())
    return found


def test_a_measured_folder_that_is_full_refuses_saves_until_there_is_room(subject: Subject, clock: Clock) -> None:
    watch = Pressure(subject.base, 0, clock)
    fill(subject, 3)
    assert watch.look(subject) == Notice()
    assert told(subject)["refuse"] is False
    fill(subject, 10)
    clock.now += 60
    found = watch.look(subject)
    assert (found.cause, told(subject)["refuse"], told(subject)["enforcedBy"]) == (Cause.DISK_FULL, True, disks.SERVER)
    fill(subject, 9)
    clock.now += 60
    assert watch.look(subject) == Notice()
    assert told(subject)["refuse"] is False


def test_programs_that_go_on_writing_are_ended(
    subject: Subject, clock: Clock, program: subprocess.Popen[bytes]
) -> None:
    watch = Pressure(subject.base, 0, clock)
    watch.look(subject)
    fill(subject, 10)
    clock.now += 60
    watch.look(subject)
    assert program.poll() is None
    fill(subject, 12)
    clock.now += 60
    watch.look(subject)
    assert program.wait(60) == -9


def test_the_hosts_reserve_is_kept_from_those_who_fill_it(
    subject: Subject, clock: Clock, program: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [100 * MB]
    monkeypatch.setattr("emr_studio.runtime.pressure.shutil.disk_usage", lambda _: Free(1000 * MB, 0, free[0]))
    watch = Pressure(subject.base, 50 * MB, clock)
    assert watch.look(subject) == Notice()
    free[0] = 40 * MB
    clock.now += 60
    assert watch.look(subject).cause == Cause.HOST_DISK_FULL
    # It has not grown: its programs go on, it only cannot save.
    assert (program.poll(), told(subject)["refuse"]) == (None, True)
    fill(subject, 9)
    clock.now += 60
    watch.look(subject)
    assert program.wait(60) == -9
    free[0] = 100 * MB
    clock.now += 60
    assert watch.look(subject) == Notice()


def test_what_the_kernel_refused_is_told_by_its_cause(subject: Subject, clock: Clock) -> None:
    watch, group = Pressure(subject.base, 0, clock), subject.base / "group"
    (group / "pids.events").write_text("max 3\n")
    assert watch.look(subject).cause == Cause.PROCESS_LIMIT
    (group / "memory.events").write_text("low 0\nhigh 0\nmax 4\noom 1\noom_kill 1\noom_group_kill 0\n")
    assert watch.ran_out_of_memory("e-PRESSED", [str(group)])
    assert watch.look(subject).cause == Cause.OUT_OF_MEMORY
    # A look between the end of the server's process and the news of it takes nothing away.
    assert watch.ran_out_of_memory("e-PRESSED", [str(group)])
    clock.now += 60
    assert not watch.ran_out_of_memory("e-PRESSED", [str(group)])


def test_events_of_both_versions_of_control_groups(tmp_path: Path) -> None:
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    (tmp_path / "pids.events").write_text("max 5\n")
    assert cgroups.events([str(tmp_path)]) == cgroups.Events(2, 5)
    assert cgroups.events([str(tmp_path / "gone")]) == cgroups.Events()


def test_a_file_with_two_names_counts_once_and_links_lead_nowhere(tmp_path: Path) -> None:
    for name in disks.OWN:
        (tmp_path / name).mkdir()
    (tmp_path / "files" / "one").write_bytes(b"x" * MB)
    os.link(tmp_path / "files" / "one", tmp_path / "files" / "two")
    (tmp_path / "files" / "away").symlink_to("/usr")
    used = disks.usage(tmp_path, 5 * MB).used
    assert MB <= used < MB + 65_536
    assert disks.usage(tmp_path, 0) == disks.Usage(0, 0, disks.SERVER)


def test_plain_folders_stay_plain(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    disks.open_disk(tmp_path, 100 * MB)
    assert not (tmp_path / "disk.img").exists()
    assert not disks.is_mounted(tmp_path)


@pytest.mark.skipif(not disks.can_mount(), reason="no file system can be made here")
def test_where_nothing_can_be_mounted_a_new_workspace_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_image: Path, _target: Path) -> None:
        raise disks.DiskFailed("mount failed: operation not permitted")

    monkeypatch.setattr(disks, "_mount", refuse)
    disks.open_disk(tmp_path, 100 * MB)
    assert sorted(path.name for path in tmp_path.iterdir()) == []
    assert disks.usage(tmp_path, 100 * MB).enforced_by == disks.SERVER
    # One whose files lie in there is not started without them.
    (tmp_path / "disk.img").write_bytes(b"x")
    with pytest.raises(disks.DiskFailed):
        disks.open_disk(tmp_path, 0)
