"""Many Workspaces asked for at once on one host: all start, in turn, and each is small when idle."""

from __future__ import annotations

import os
import statistics
from pathlib import Path

import pytest

from bench.processes import descendants, pss_megabytes
from emr_studio.runtime.contract import QUEUED, Limits, Observation, WorkloadState
from tests.support.agent_rig import AgentRig, until

MANY = 24
LARGEST_MB = 40
PLACES = {f"{QUEUED}, {before} before it" for before in range(MANY)}
LIMITS = Limits(memory_bytes=512 * 1024**2, pids=200, disk_bytes=128 * 1024**2)


def states(rig: AgentRig) -> list[Observation]:
    return [seen for seen in rig.runtime.list() if seen.workload_id.startswith("e-MANY")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives each Workspace a user and a disk of its own")
def test_all_that_are_asked_for_at_once_start_and_are_small(tmp_path: Path) -> None:
    rig = AgentRig(tmp_path)
    rig.start()
    try:
        for number in range(MANY):
            rig.runtime.launch(rig.spec(f"e-MANY{number:02}", 412_800 + number, limits=LIMITS))

        def all_run() -> bool:
            seen = states(rig)
            assert {o.state for o in seen} <= {WorkloadState.STARTING, WorkloadState.RUNNING}, seen
            # Who has to wait is told where it stands (`test_runtime_turns.py` has the order).
            assert {o.progress for o in seen if o.progress.startswith(QUEUED)} <= PLACES
            return all(o.state is WorkloadState.RUNNING for o in seen)

        until(all_run, 400)
        assert len(states(rig)) == MANY
        sizes = [pss_megabytes([o.pid, *descendants(o.pid)]) for o in states(rig)]
        assert statistics.fmean(sizes) < LARGEST_MB, sizes
    finally:
        rig.close()
