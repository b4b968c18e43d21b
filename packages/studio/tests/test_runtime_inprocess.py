"""The in-process runtime keeps the contract and fails where it is told to."""

from __future__ import annotations

import pytest

from emr_studio.runtime.contract import Gateway, ProcessSpec, Runtime, RuntimeUnavailable, WorkloadState
from emr_studio.runtime.inprocess import InProcessRuntime, Stage

SPEC = ProcessSpec("j-1/ci-1/master", "j-1", ("true",), "/x", "/x/log", ready_address="127.31.0.4:7077")
ID = SPEC.workload_id


def test_a_life() -> None:
    fake = InProcessRuntime()
    runtime: Runtime = fake
    assert runtime.observe(ID).state is WorkloadState.ABSENT
    runtime.launch(SPEC)
    runtime.launch(SPEC)
    assert runtime.observe(ID).state is WorkloadState.STARTING
    running = runtime.observe(ID)
    assert (running.state, running.address) == (WorkloadState.RUNNING, "127.31.0.4:7077")
    runtime.set_gateway(ID, Gateway("127.31.0.4:18888", "t", "j-1"))
    assert fake.workloads[ID].gateway is not None
    runtime.stop(ID)
    assert runtime.wait(ID, WorkloadState.STOPPING, 1).state is WorkloadState.EXITED
    runtime.forget(ID)
    assert runtime.list() == []


def test_failures_by_stage() -> None:
    runtime = InProcessRuntime()
    runtime.fail(Stage.LAUNCH)
    with pytest.raises(RuntimeUnavailable):
        runtime.launch(SPEC)
    assert runtime.state(ID) is WorkloadState.ABSENT
    runtime.fail(Stage.LAUNCHED)
    with pytest.raises(RuntimeUnavailable):
        runtime.launch(SPEC)
    assert runtime.state(ID) is WorkloadState.STARTING
    runtime.fail(Stage.START, containing="master", reason="port in use")
    seen = runtime.wait(ID, WorkloadState.STARTING, 1)
    assert (seen.state, seen.exit_code, seen.reason) == (WorkloadState.EXITED, 1, "port in use")


def test_hold_and_crash() -> None:
    runtime = InProcessRuntime(instant=True)
    runtime.launch(SPEC)
    assert runtime.state(ID) is WorkloadState.RUNNING
    runtime.crash(ID)
    assert runtime.observe(ID).exit_code == -9
    runtime.hold()
    runtime.launch(SPEC)
    assert runtime.wait(ID, WorkloadState.STARTING, 5).state is WorkloadState.STARTING
