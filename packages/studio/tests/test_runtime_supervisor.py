"""The supervisor with real, small processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from emr_studio.runtime.processes import is_alive, start_time
from emr_studio.runtime.supervisor import Part, PartFailed, Supervisor, read_record

SLEEPER = (sys.executable, "-c", "import signal; signal.pause()")


def until(found: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def make(tmp_path: Path, *parts: Part) -> Supervisor:
    return Supervisor(list(parts), tmp_path, tmp_path / "logs", dict(os.environ))


def test_starts_and_stops(tmp_path: Path) -> None:
    part = Part("sleeper", SLEEPER, lambda: True)
    supervisor = make(tmp_path, part)
    supervisor.start({"sleeper"}, 60)
    assert part.process is not None
    pid = part.process.pid
    record = read_record(tmp_path)
    assert record is not None
    assert record.alive
    assert record.parts["sleeper"]["pid"] == pid
    supervisor.stop()
    assert start_time(pid) is None
    assert read_record(tmp_path) is None


def test_folders_can_be_gone_through_whatever_the_umask_of_the_user(tmp_path: Path) -> None:
    part = Part("sleeper", SLEEPER, lambda: True)
    supervisor = make(tmp_path, part)
    mask = os.umask(0o077)
    try:
        supervisor.start({"sleeper"}, 60)
    finally:
        os.umask(mask)
    assert part.process is not None
    assert "\nUmask:\t0022\n" in Path(f"/proc/{part.process.pid}/status").read_text()
    supervisor.stop()


def test_a_part_that_ends_is_named_with_its_log(tmp_path: Path) -> None:
    part = Part("broken", (sys.executable, "-c", "import sys; sys.exit('no database here')"), lambda: False)
    with pytest.raises(PartFailed, match=r"(?s)broken ended with exit status 1.*no database here"):
        make(tmp_path, part).start({"broken"}, 60)


def test_a_part_that_never_answers_is_named(tmp_path: Path) -> None:
    part = Part("silent", SLEEPER, lambda: False)
    supervisor = make(tmp_path, part)
    with pytest.raises(PartFailed, match="silent did not answer in time"):
        supervisor.start({"silent"}, 0.2)
    supervisor.stop()


def test_a_part_that_ignores_sigterm_is_killed_with_its_group(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    code = f"import signal, pathlib; signal.signal(15, signal.SIG_IGN); pathlib.Path({str(ready)!r}).touch(); "
    code += "[signal.pause() for _ in range(60)]"
    part = Part("stubborn", (sys.executable, "-c", code), ready.exists, stop_seconds=0.2)
    supervisor = make(tmp_path, part)
    supervisor.start({"stubborn"}, 60)
    assert part.process is not None
    pid = part.process.pid
    supervisor.stop()
    assert start_time(pid) is None


SUPERVISED = """
import os, sys, pathlib
from emr_studio.runtime.supervisor import Part, Supervisor
folder = pathlib.Path(sys.argv[1])
orphan = 'import subprocess, sys, signal; subprocess.Popen([sys.executable, "-c", "pass"]); signal.pause()'
parts = [Part(name, (sys.executable, "-c", orphan), lambda: True) for name in "ab"]
supervisor = Supervisor(parts, folder, folder / "logs", dict(os.environ))
supervisor.prepare()
supervisor.start({"a", "b"}, 60)
supervisor.run()
supervisor.stop()
"""


def test_a_killed_part_comes_back_and_the_other_stays(tmp_path: Path) -> None:
    daemon = subprocess.Popen([sys.executable, "-c", SUPERVISED, str(tmp_path)])
    try:
        until(lambda: (r := read_record(tmp_path)) and len(r.parts) == 2)
        before = read_record(tmp_path)
        assert before is not None
        os.kill(before.parts["a"]["pid"], signal.SIGKILL)
        until(lambda: (r := read_record(tmp_path)) and r.parts.get("a", {}).get("restarts") == 1)
        after = read_record(tmp_path)
        assert after is not None
        assert after.parts["a"]["pid"] != before.parts["a"]["pid"]
        assert after.parts["b"] == before.parts["b"]
    finally:
        daemon.terminate()
        assert daemon.wait(60) == 0
    for part in after.parts.values():
        assert not is_alive(part["pid"], part["started"])


def test_identity_of_a_process_is_pid_and_start_time() -> None:
    own = start_time(os.getpid())
    assert own is not None
    assert is_alive(os.getpid(), own)
    assert not is_alive(os.getpid(), own + 1)
    assert not is_alive(0, 0)
