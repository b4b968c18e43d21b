"""Workloads outlive the agent, are found again, and leave nothing when they are stopped."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from emr_studio.loopback import free_port
from emr_studio.runtime import trees
from emr_studio.runtime.contract import ProcessSpec, RuntimeUnavailable, WorkloadState
from tests.support.agent_rig import AgentRig, alive, until

STRAYS = "setsid sleep 987654 & sleep 987655 & (setsid sh -c 'sleep 987656 & sleep 987657') & exec sleep 987658"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[AgentRig]:
    rig = AgentRig(tmp_path)
    rig.start()
    yield rig
    rig.close()


def process(rig: AgentRig, script: str, name: str = "j-1/ci-1/thing", **extra: object) -> ProcessSpec:
    folder = rig.settings.clusters_dir / "thing"
    values = {"argv": ("/bin/sh", "-c", script), "folder": str(folder), "log_path": str(folder.parent / "thing.log")}
    return ProcessSpec(name, "j-1", **(values | extra))  # type: ignore[arg-type]


def strays(rig: AgentRig, spec: ProcessSpec) -> set[int]:
    return trees.tree(trees.Root(0, 0, spec.workload_id))


@pytest.mark.capability("WS-02")
def test_a_workspace_opens_with_its_notebook(rig: AgentRig) -> None:
    workspace = rig.launch("e-ONE")
    with workspace.client() as client:
        found = client.get("/api/contents/My first.ipynb").raise_for_status().json()
    nbformat_dict = found["content"]
    nbformat.validate(nbformat.from_dict(nbformat_dict))
    assert nbformat_dict["metadata"]["kernelspec"]["name"] == "pysparkkernel"


def test_everything_survives_a_killed_agent(rig: AgentRig) -> None:
    workspace = rig.launch("e-ONE")
    port = free_port()
    spec = process(
        rig,
        f"exec python3 -m http.server --bind 127.0.0.1 {port}",
        ready_address=f"127.0.0.1:{port}",
    )
    rig.runtime.launch(spec)
    server = rig.started(spec.workload_id)
    rig.kill()
    with pytest.raises(RuntimeUnavailable):
        rig.runtime.list()
    with workspace.client() as client:
        assert client.get("/api/status").status_code == 200
    rig.start()
    assert rig.started(workspace.id).pid == workspace.pid
    assert rig.started(spec.workload_id).pid == server.pid
    # An adopted process is no child of the new agent: its end is seen all the same.
    os.kill(server.pid, signal.SIGKILL)
    assert rig.ended(spec.workload_id).address == ""
    rig.runtime.stop(workspace.id)
    rig.ended(workspace.id)
    until(lambda: not alive(workspace.pid))


def test_what_ended_while_no_agent_looked_is_told(rig: AgentRig) -> None:
    spec = process(rig, "exec sleep 987650")
    rig.runtime.launch(spec)
    pid = rig.started(spec.workload_id).pid
    rig.kill()
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid))
    rig.start()
    assert rig.ended(spec.workload_id).reason != ""


def test_stop_leaves_no_process(rig: AgentRig) -> None:
    spec = process(rig, STRAYS)
    rig.runtime.launch(spec)
    rig.started(spec.workload_id)
    until(lambda: len(strays(rig, spec)) >= 5)
    rig.runtime.stop(spec.workload_id)
    assert rig.ended(spec.workload_id).reason == ""
    assert strays(rig, spec) == set()


def test_what_ignores_sigterm_is_killed(rig: AgentRig) -> None:
    spec = process(rig, "trap '' TERM; echo deaf; while :; do sleep 0.1; done")
    rig.runtime.launch(spec)
    until(lambda: "deaf" in rig.runtime.logs(spec.workload_id))
    rig.runtime.stop(spec.workload_id, grace_seconds=0.3)
    assert rig.ended(spec.workload_id).exit_code == -signal.SIGKILL
    assert strays(rig, spec) == set()


def test_strays_of_a_dead_workload_go_too(rig: AgentRig) -> None:
    spec = process(rig, "setsid sleep 987651 & echo went; exit 3")
    rig.runtime.launch(spec)
    seen = rig.ended(spec.workload_id)
    assert (seen.exit_code, seen.reason) == (3, "ended with exit status 3")
    assert "went" in seen.log_tail
    assert strays(rig, spec) == set()


def test_a_program_that_is_not_there(rig: AgentRig) -> None:
    spec = process(rig, "", argv=("/nowhere/spark",))
    rig.runtime.launch(spec)
    seen = rig.ended(spec.workload_id)
    assert seen.exit_code == 127
    assert "could not be executed" in seen.log_tail[-1]


def test_launch_is_idempotent_and_an_ended_one_starts_again(rig: AgentRig) -> None:
    spec = process(rig, "exec sleep 987652")
    rig.runtime.launch(spec)
    first = rig.started(spec.workload_id).pid
    rig.runtime.launch(spec)
    assert rig.started(spec.workload_id).pid == first
    rig.runtime.stop(spec.workload_id)
    rig.ended(spec.workload_id)
    rig.runtime.launch(spec)
    assert rig.started(spec.workload_id).pid != first
    rig.runtime.stop(spec.workload_id)
    rig.ended(spec.workload_id)
    rig.runtime.forget(spec.workload_id)
    assert rig.runtime.observe(spec.workload_id).state is WorkloadState.ABSENT


def test_files_and_environment_reach_the_program(rig: AgentRig) -> None:
    spec = process(
        rig, 'cat conf/a.txt; echo "$GREETING"', files={"conf/a.txt": "from a file\n"}, environment={"GREETING": "hi"}
    )
    rig.runtime.launch(spec)
    assert rig.ended(spec.workload_id).exit_code == 0
    assert rig.runtime.logs(spec.workload_id) == ["from a file", "hi"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change users")
def test_a_program_with_a_user_of_its_own_reaches_what_it_needs_below_a_closed_folder(rig: AgentRig) -> None:
    closed = rig.settings.data_dir / "closed"
    environment = closed / "env"
    environment.mkdir(parents=True)
    (environment / "tool").write_text("readable")
    (closed / "secret").write_text("the secret itself")
    environment.chmod(0o755)
    closed.chmod(0o700)
    rig.settings.data_dir.chmod(0o700)
    script = f"id -u; cat {environment}/tool; cat {closed}/secret; echo x > own.txt && cat own.txt"
    spec = process(rig, script, uid=345678, readable=(str(environment),))
    rig.runtime.launch(spec)
    rig.ended(spec.workload_id)
    text = "\n".join(rig.runtime.logs(spec.workload_id))
    assert text.startswith("345678\nreadable")
    assert text.endswith("x")
    assert "the secret itself" not in text


def test_a_new_zygote_after_the_old_one_died(rig: AgentRig) -> None:
    first = rig.launch("e-ONE")
    zygote = rig.runtime.helpers()["zygote"]
    os.kill(zygote, signal.SIGKILL)
    until(lambda: not alive(zygote))
    second = rig.launch("e-TWO")
    for workspace in (first, second):
        with workspace.client() as client:
            assert client.get("/api/status").status_code == 200
    assert rig.runtime.helpers()["zygote"] not in (0, zygote)
    os.kill(first.pid, signal.SIGKILL)
    assert rig.ended(first.id).state is WorkloadState.EXITED


def test_a_dead_workspace_says_how_it_died_and_starts_again(rig: AgentRig) -> None:
    workspace = rig.launch("e-ONE")
    os.kill(workspace.pid, signal.SIGKILL)
    seen = rig.ended("e-ONE")
    assert (seen.exit_code, seen.reason) == (-9, "was killed by signal 9")
    again = rig.launch("e-ONE")
    with again.client() as client:
        names = [entry["name"] for entry in client.get("/api/contents").json()["content"]]
    assert "My first.ipynb" in names


def test_shutdown_leaves_nothing_and_keep_leaves_workloads(rig: AgentRig) -> None:
    workspace = rig.launch("e-ONE")
    helpers = rig.runtime.helpers()
    rig.runtime.shutdown(keep=True)
    assert alive(workspace.pid)
    assert alive(helpers["relay"])
    until(lambda: not alive(helpers["zygote"]))
    rig.kill()
    rig.start()
    assert rig.started(workspace.id).pid == workspace.pid
    helpers = rig.runtime.helpers()
    rig.runtime.shutdown(keep=False)
    until(lambda: not any(alive(pid) for pid in (workspace.pid, *helpers.values())))
    with pytest.raises(RuntimeUnavailable):
        rig.runtime.launch(rig.spec("e-TWO"))


def test_records_are_private(rig: AgentRig) -> None:
    rig.launch("e-ONE", credentials_token="very secret")
    path = rig.settings.agent_dir / "e-ONE.workload.json"
    assert json.loads(path.read_text())["spec"]["credentials_token"] == "very secret"
    assert path.stat().st_mode & 0o777 == 0o600
    assert rig.settings.agent_socket.stat().st_mode & 0o777 == 0o600
