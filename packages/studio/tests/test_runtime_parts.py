"""Control groups on a made-up hierarchy, records, trees, logs, exits."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from emr_studio.runtime import cgroups, trees, wire
from emr_studio.runtime.cgroups import ControlGroups
from emr_studio.runtime.contract import Gateway, Limits, Observation, ProcessSpec, Spec, WorkloadState, WorkspaceSpec
from emr_studio.runtime.drivers import open_log, tail
from emr_studio.runtime.host import keep_short
from emr_studio.runtime.isolation import isolation_report
from emr_studio.runtime.processes import start_time
from emr_studio.runtime.records import Record, RecordStore, safe_id
from emr_studio.runtime.watching import ExitWatcher

LIMITS = Limits(memory_bytes=1_000_000, cpus=1.5, pids=50)
PROCESS = ProcessSpec("j-1/ci-1/m", "j-1", ("a", "b"), "/f", "/l", {"A": "b"}, {"x": "y"}, 7, "h:1", ("/e",), LIMITS)
WORKSPACE = WorkspaceSpec(
    "e-1", "e-1", "n", "s3://b/p/", "http://s", "r", "http://c", "t", "pem", 9, "http://o", "n.ipynb"
)


@pytest.mark.parametrize("spec", [PROCESS, WORKSPACE])
def test_specs_survive_the_wire(spec: Spec) -> None:
    assert wire.load_spec(wire.dump_spec(spec)) == spec


def test_observations_and_gateways_survive_the_wire() -> None:
    seen = Observation("e-1", "e-1", WorkloadState.EXITED, exit_code=3, reason="r", log_tail=("a", "b"))
    assert wire.load_observation(wire.dump_observation(seen)) == seen
    gateway = Gateway("h:1", "t", "j-1")
    assert wire.load_gateway(wire.dump_gateway(gateway)) == gateway
    assert wire.load_gateway(wire.dump_gateway(None)) is None


def test_records_are_kept_and_a_cut_file_is_left_aside(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    record = Record(wire.dump_spec(PROCESS), WorkloadState.RUNNING, pid=5, started=6, groups=["/g"])
    store.save(record)
    (tmp_path / "cut.workload.json").write_text('{"spec": {')
    (found,) = store.load()
    assert found.typed_spec() == PROCESS
    assert (found.state, found.pid, found.started, found.groups) == (WorkloadState.RUNNING, 5, 6, ["/g"])
    store.delete(PROCESS.workload_id)
    assert store.load() == []


def test_different_ids_have_different_files() -> None:
    names = {safe_id(name) for name in ("a/b", "a_b", "a b", "..", ".", "../a", "a/../b")}
    assert len(names) == 7
    assert not any("/" in name or name.startswith(".") for name in names)


def v2(tmp_path: Path) -> Path:
    base = tmp_path / "unified"
    base.mkdir()
    (base / "cgroup.controllers").write_text("cpu memory pids")
    (base / "cgroup.subtree_control").write_text("")
    mounts = tmp_path / "mounts"
    mounts.write_text(f"cgroup2 {base} cgroup2 rw 0 0\n")
    return mounts


def test_version_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = ControlGroups("emr", v2(tmp_path))
    assert groups.available == ("cpu", "memory", "pids", "tracking")
    folder = tmp_path / "unified" / "emr" / "w"
    # The kernel makes a new group's files; here we do.
    folder.mkdir(parents=True)
    for name in ("cgroup.procs", "memory.max", "memory.swap.max", "cpu.max", "pids.max", "cgroup.kill"):
        (folder / name).write_text("")
    assert groups.create("w", LIMITS) == [str(folder)]
    found = {name: (folder / name).read_text() for name in ("memory.max", "cpu.max", "pids.max", "memory.swap.max")}
    assert found == {"memory.max": "1000000", "cpu.max": "150000 100000", "pids.max": "50", "memory.swap.max": "0"}
    (folder / "cgroup.procs").write_text("12\n13\n")
    assert cgroups.members([str(folder)]) == {12, 13}
    cgroups.kill([str(folder)])
    assert (folder / "cgroup.kill").read_text() == "1"


def test_version_1(tmp_path: Path) -> None:
    lines = []
    for kind, names in {
        "memory": ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
        "cpu": ("cpu.cfs_period_us", "cpu.cfs_quota_us"),
        "pids": ("pids.max",),
    }.items():
        folder = tmp_path / kind / "emr" / "w"
        folder.mkdir(parents=True)
        for name in (*names, "cgroup.procs"):
            (folder / name).write_text("")
        lines.append(f"cgroup {tmp_path / kind} cgroup rw,{kind} 0 0")
    (tmp_path / "mounts").write_text("\n".join(lines) + "\nproc /proc proc rw 0 0\n")
    made = ControlGroups("emr", tmp_path / "mounts").create("w", LIMITS)
    assert len(made) == 3
    assert (tmp_path / "memory/emr/w/memory.limit_in_bytes").read_text() == "1000000"
    assert (tmp_path / "cpu/emr/w/cpu.cfs_quota_us").read_text() == "150000"
    assert (tmp_path / "pids/emr/w/pids.max").read_text() == "50"


def test_no_hierarchy_no_groups(tmp_path: Path) -> None:
    groups = ControlGroups("emr", tmp_path / "nothing")
    assert groups.available == ()
    assert groups.create("w", LIMITS) == []


def test_a_reused_pid_is_not_our_tree() -> None:
    mine = start_time(os.getppid())
    assert mine is not None
    stranger = trees.Root(os.getppid(), mine + 1, "no-such-workload")
    assert trees.tree(stranger) == set()


def test_exits_are_seen_at_once() -> None:
    watcher = ExitWatcher()
    child = subprocess.Popen(["sleep", "600"])
    started = start_time(child.pid)
    assert started is not None
    ended, never = threading.Event(), threading.Event()
    watcher.watch(child.pid, started, ended.set)
    watcher.watch(child.pid, started + 1, never.set)
    assert never.wait(60), "a pid that is somebody else's by now counts as gone"
    assert not ended.is_set()
    child.kill()
    assert ended.wait(60)
    child.wait()
    watcher.close()


def test_logs_stay_short_and_links_are_not_followed(tmp_path: Path) -> None:
    log, secret = tmp_path / "log", tmp_path / "secret"
    secret.write_text("secret")
    with os.fdopen(open_log(log), "a") as file:
        file.write("old\n" * 100)
        file.flush()
        keep_short(log, limit=100)
        file.write("new\n")
    assert tail(str(log), 5) == ["new"]
    assert (tmp_path / "log.1").read_text().startswith("old")
    log.unlink()
    log.symlink_to(secret)
    assert tail(str(log), 5) == []
    with pytest.raises(OSError, match="Too many levels"):
        open_log(log)


def test_the_isolation_report_names_each_part() -> None:
    facts = {fact.name: fact for fact in isolation_report()}
    assert {"own user id", "mount namespace", "network namespace", "memory limit"} <= set(facts)
    assert facts["own user id"].available == (os.geteuid() == 0)
