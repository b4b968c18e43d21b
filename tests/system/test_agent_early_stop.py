"""A stop that comes while a Workspace's server is not there yet: the process ends by itself, nobody has to kill it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from emr_studio.runtime import wire
from emr_studio.runtime.records import Record
from emr_studio.runtime.workspaces import WorkspaceDriver
from tests.support.agent_rig import AgentRig, alive, until

GRACE = 100.0


def test_told_before_it_may_begin(rig: AgentRig) -> None:
    """The agent's own driver, at its zygote, with the word to begin held back."""
    driver = WorkspaceDriver(rig.settings)
    driver.open()
    record = Record(wire.dump_spec(rig.spec("e-ONE")), secret="s", log_path=str(driver.log_path("e-ONE")))
    driver.prepare(record, lambda _phrase: None)
    started = driver.spawn(record)
    record.pid = started.pid
    try:
        os.kill(started.pid, signal.SIGTERM)
        started.go()
        until(lambda: not alive(started.pid))
        assert driver.exit_code(record) == 0
    finally:
        with suppress(ProcessLookupError):
            os.kill(started.pid, signal.SIGKILL)


def test_told_in_the_middle_of_its_start(rig: AgentRig) -> None:
    rig.launch("e-TWO")
    rig.runtime.stop("e-TWO")
    rig.ended("e-TWO")
    # The start reads it, and waits there for whoever writes.
    kernels = rig.settings.workspaces_dir / "e-TWO/home/.local/share/jupyter/running/kernels"
    kernels.mkdir(parents=True, exist_ok=True)
    os.mkfifo(kernels / "held.json")
    rig.runtime.launch(rig.spec("e-TWO"))
    held = until(lambda: _writer(kernels / "held.json"))
    try:
        rig.runtime.stop("e-TWO", grace_seconds=GRACE)
        assert rig.ended("e-TWO").exit_code == 0
    finally:
        os.close(held)


def test_what_runs_in_it_can_be_told_to_end(rig: AgentRig) -> None:
    """Its server began with SIGTERM blocked: no program of it has that."""
    workspace = rig.launch("e-THREE")
    assert workspace.shell("grep SigBlk /proc/self/status").split() == ["SigBlk:", "0" * 16]
    mask = Path(f"/proc/{workspace.pid}/status").read_text().split("SigBlk:")[1].split()[0]
    assert int(mask, 16) & 1 << signal.SIGTERM - 1 == 0


def _writer(fifo: Path) -> int | None:
    with suppress(OSError):  # nobody reads it yet
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    return None
