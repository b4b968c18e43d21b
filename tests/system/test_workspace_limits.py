"""A Workspace that takes all it can get, disk, memory, processes: it is told, and nobody else notices.

The attacks are typed into a terminal of a real Workspace under a real agent.
"""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from emr_studio.runtime import disks
from emr_studio.runtime.contract import Cause, Limits, Observation, ProcessSpec
from tests.support.agent_rig import AgentRig, Workspace, unprivileged, until
from tests.support.documents import Client, room_of

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can set limits")
needs_disks = pytest.mark.skipif(not disks.can_mount(), reason="no file system can be mounted here")
needs_open_checkout = pytest.mark.skipif(
    any(not folder.stat().st_mode & 0o001 for folder in Path(__file__).resolve().parents),
    reason="another user cannot read this checkout",
)
MB = 1024**2
LIMITS = Limits(memory_bytes=400 * MB, cpus=1.0, pids=80, disk_bytes=96 * MB)
FILL = "dd if=/dev/zero of=big bs=1M count=200 2>&1 | grep -o 'No space left'"


@pytest.fixture(scope="module")
def neighbour(rig: AgentRig) -> Workspace:
    return rig.launch("e-NEIGHBOUR", 412501, limits=LIMITS)


@pytest.fixture(scope="module")
def full(rig: AgentRig) -> Workspace:
    return rig.launch("e-FULL", 412502, limits=LIMITS)


def suffers(rig: AgentRig, workspace: Workspace, cause: str) -> Observation:
    """Wait until it is seen to suffer from `cause` (empty: from nothing)."""
    until(lambda: rig.runtime.observe(workspace.id).cause == cause)
    return rig.runtime.observe(workspace.id)


def saves(workspace: Workspace, path: str, text: str) -> httpx.Response:
    with workspace.client() as client:
        return client.put(f"/api/contents/{path}", json={"type": "file", "format": "text", "content": text})


def works(workspace: Workspace) -> None:
    """It answers, saves and opens terminals as ever."""
    assert saves(workspace, "note.txt", "all is well").status_code in (200, 201)
    assert workspace.shell("cat note.txt") == "all is well"


def disk_of(workspace: Workspace) -> dict[str, object]:
    with workspace.client() as client:
        found: dict[str, object] = client.get("/api/emr-studio/status").json()["disk"]
    return found


@needs_root
@needs_disks
def test_a_full_disk_refuses_saves_and_loses_nothing(rig: AgentRig, full: Workspace, neighbour: Workspace) -> None:
    assert saves(full, "work.txt", "first").status_code == 201
    assert full.shell(FILL) == "No space left"
    assert "disk is full" in suffers(rig, full, Cause.DISK_FULL).reason
    refused = saves(full, "work.txt", "second" * MB)
    assert (refused.status_code, refused.json()["message"].split(":")[0]) == (507, "The Workspace's disk is full")
    told = disk_of(full)
    assert told["enforcedBy"] == "kernel"
    assert 0 < int(str(told["limitBytes"])) - int(str(told["usedBytes"])) + 1 < 2 * MB
    assert full.shell("cat work.txt; ls -A | grep -c '~'") == "first0"
    works(neighbour)
    full.shell("rm big")
    assert suffers(rig, full, "").reason == ""
    assert saves(full, "work.txt", "second").status_code == 200


def opened(workspace: Workspace, name: str) -> Client:
    """A page with the notebook in it."""
    page = Client(workspace, room_of(workspace, name))

    def has_come() -> bool:
        page.receive(0.5)
        return len(page.cells) > 0

    until(has_come)
    return page


def write(page: Client, text: str) -> None:
    """Type at the end of the first cell."""
    source = page.cells[0]["source"]
    source += text
    page.flush()


@needs_root
@needs_disks
def test_an_open_notebook_survives_a_full_disk(rig: AgentRig) -> None:
    """What is typed meanwhile is seen by others, is kept, and is in the file as soon as there is room."""
    busy = rig.launch("e-BUSY", 412506, limits=LIMITS)
    name = "My first.ipynb"
    file = rig.settings.workspaces_dir / busy.id / "files" / name
    page = opened(busy, name)
    write(page, "before")
    until(lambda: "before" in file.read_text())
    assert busy.shell(FILL) == "No space left"
    assert busy.shell("dd if=/dev/zero of=rest bs=4k count=9999 2>&1 | grep -o 'No space left'") == "No space left"
    # More than what is left in the last blocks.
    write(page, " meanwhile " + "x" * MB)
    suffers(rig, busy, Cause.DISK_FULL)
    other = opened(busy, name)
    assert "meanwhile" in next(iter(other.sources().values()))
    assert "before" in file.read_text()
    assert "meanwhile" not in file.read_text()
    busy.shell("rm big rest")
    until(lambda: "meanwhile" in file.read_text())
    write(other, " after")
    until(lambda: "after" in file.read_text())
    for client in (page, other):
        client.offline()
    rig.runtime.stop(busy.id)
    rig.ended(busy.id)


@needs_root
@needs_disks
def test_its_disk_is_there_again_after_a_stop_and_a_killed_agent(rig: AgentRig) -> None:
    kept = rig.launch("e-KEPT", 412503, limits=LIMITS)
    saves(kept, "work.txt", "kept")
    base = rig.settings.workspaces_dir / kept.id
    rig.kill()
    rig.start()
    rig.started(kept.id)
    assert disks.is_mounted(base)
    rig.runtime.stop(kept.id)
    rig.ended(kept.id)
    until(lambda: not disks.is_mounted(base))
    again = rig.launch(kept.id, 412503, limits=Limits(disk_bytes=192 * MB))
    assert again.shell("cat work.txt") == "kept"
    # A larger quota acts on the next start.
    until(lambda: int(str((disk_of(again) or {}).get("limitBytes", 0))) > 150 * MB)
    rig.runtime.stop(kept.id)
    rig.ended(kept.id)


@needs_root
def test_memory_ends_the_program_that_asks_for_too_much(rig: AgentRig, full: Workspace, neighbour: Workspace) -> None:
    hog = "python3 -c 'b = [bytearray(1 << 20) for _ in range(2000)]'; echo $?"
    assert full.shell(hog).split()[-1] == "137"
    assert "ran out of memory" in suffers(rig, full, Cause.OUT_OF_MEMORY).reason
    works(full)
    works(neighbour)


@needs_root
def test_temporary_files_are_bounded_too(full: Workspace) -> None:
    fill = "for d in /tmp /var/tmp /dev/shm; do dd if=/dev/zero of=$d/x bs=1M count=500 2>&1 | grep -o 'No space'; done"
    assert full.shell(fill).split("\n") == ["No space"] * 3
    full.shell("rm /tmp/x /var/tmp/x /dev/shm/x")
    works(full)


@needs_root
def test_a_fork_bomb_is_bounded_and_a_new_start_is_well(rig: AgentRig, neighbour: Workspace) -> None:
    bomber = rig.launch("e-BOMBER", 412504, limits=LIMITS)
    bomber.shell("(b() { b | b & }; b) >/dev/null 2>&1; true")
    assert "80" in suffers(rig, bomber, Cause.PROCESS_LIMIT).reason
    works(neighbour)
    assert len(rig.runtime.list()) >= 2
    rig.runtime.stop(bomber.id, grace_seconds=1.0)
    rig.ended(bomber.id)
    works(rig.launch(bomber.id, 412504, limits=LIMITS))


@needs_root
def test_a_server_that_the_kernel_ended_says_why(rig: AgentRig, neighbour: Workspace) -> None:
    small = rig.launch("e-SMALL", 412505, limits=Limits(memory_bytes=200 * MB))
    small.shell("truncate -s 400M huge.txt")
    with small.client() as client, pytest.raises(httpx.TransportError):
        client.get("/api/contents/huge.txt")
    seen = rig.ended(small.id)
    assert (seen.cause, seen.reason.split(":")[0]) == (Cause.OUT_OF_MEMORY, "The Workspace ran out of memory")
    works(rig.launch(small.id, 412505, limits=LIMITS))
    works(neighbour)


@needs_root
@needs_disks
def test_a_cluster_that_starts_meanwhile_does_not_hold_a_workspaces_disk(rig: AgentRig, full: Workspace) -> None:
    folder = rig.settings.clusters_dir / "node"
    argv = ("/bin/sleep", "987640")
    spec = ProcessSpec("j-1/ci-1/node", "j-1", argv, str(folder), str(folder.parent / "node.log"), uid=412507)
    rig.runtime.launch(spec)
    pid = rig.started(spec.workload_id).pid
    until(lambda: b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes())
    assert str(rig.settings.workspaces_dir / full.id / "disk") in Path("/proc/self/mounts").read_text()
    assert str(rig.settings.workspaces_dir) not in Path(f"/proc/{pid}/mounts").read_text()
    rig.runtime.stop(spec.workload_id)
    rig.ended(spec.workload_id)


@needs_root
@needs_open_checkout
def test_without_root_its_folders_are_measured_and_saves_refused() -> None:
    with unprivileged(54322) as rig:
        plain = rig.launch("e-PLAIN", limits=Limits(disk_bytes=64 * MB))
        until(lambda: disk_of(plain))
        assert disk_of(plain)["enforcedBy"] == "server"
        plain.shell("dd if=/dev/zero of=big bs=1M count=65 2>/dev/null")
        suffers(rig, plain, Cause.DISK_FULL)
        refused = saves(plain, "work.txt", "first")
        assert (refused.status_code, "disk is full" in refused.json()["message"]) == (507, True)
        plain.shell("rm big")
        suffers(rig, plain, "")
        assert saves(plain, "work.txt", "first").status_code == 201
