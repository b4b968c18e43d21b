"""Attacks from inside a Workspace, by its own terminal; and on its door, with wrong identities."""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from emr_studio.aws.context import Caller
from emr_studio.clock import SystemClock
from emr_studio.edge.identity import IdentityIssuer
from emr_studio.runtime import trees
from emr_studio.runtime.processes import start_time
from emr_studio.settings import Settings
from tests.support.agent_rig import AgentRig, Workspace, unprivileged, until

_ABOVE = Path(__file__).resolve().parents
needs_open_checkout = pytest.mark.skipif(
    any(not folder.stat().st_mode & 0o001 for folder in _ABOVE), reason="another user cannot read this checkout"
)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give each Workspace a user of its own")
UIDS = (412345, 412346)


@pytest.fixture(scope="module")
def mine(rig: AgentRig) -> Workspace:
    return rig.launch("e-MINE", UIDS[0])


@pytest.fixture(scope="module")
def other(rig: AgentRig) -> Workspace:
    other = rig.launch("e-OTHER", UIDS[1])
    (rig.settings.workspaces_dir / other.id / "files" / "diary.txt").write_text("dear diary")
    return other


@needs_root
def test_it_has_a_user_and_namespaces_of_its_own(mine: Workspace, other: Workspace) -> None:
    assert mine.shell("id -u; id -G") == f"{UIDS[0]}\n{UIDS[0]}"
    assert mine.shell("whoami; id -gn; echo ~emr-notebook") == "emr-notebook\nemr-notebook\n/home/emr-notebook"
    assert mine.shell("hostname") == "e-mine"
    assert mine.shell("grep -E 'NoNewPrivs|CapEff|CapBnd' /proc/self/status").split() == [
        "CapEff:", "0000000000000000", "CapBnd:", "0000000000000000", "NoNewPrivs:", "1",
    ]  # fmt: skip


@needs_root
def test_it_sees_its_own_files_only(rig: AgentRig, mine: Workspace, other: Workspace) -> None:
    data = rig.settings.data_dir
    assert mine.shell("pwd; ls -1 | cat") == "/home/work\nMy first.ipynb"
    for path in (data, rig.settings.agent_dir, rig.settings.keys_dir, rig.settings.run_dir, "/root", "/opt", "/srv"):
        assert "diary" not in mine.shell(f"find {path} -name 'diary*' 2>&1")
    assert "No such file" in mine.shell(f"ls {data} 2>&1")
    assert mine.shell("ls -1 /home") == "emr-notebook\nwork"
    # Where this checkout itself lies below /tmp, the way to it is there, and nothing else.
    own = [Path(__file__).resolve().parts[2]] if Path(__file__).resolve().parts[1] == "tmp" else []
    assert mine.shell("ls -A /tmp").split() == own
    assert "diary" not in mine.shell("find / -name 'diary.txt' -not -path '/proc/*' 2>/dev/null")


@needs_root
def test_it_sees_and_signals_its_own_processes_only(mine: Workspace, other: Workspace) -> None:
    names = mine.shell("cat /proc/[0-9]*/comm | sort -u").split()
    assert set(names) <= {"ws:e-MINE", "bash", "cat", "sort", "sh"}
    assert "No such process" in mine.shell(f"bash -c 'kill -9 {other.pid}' 2>&1")
    with other.client() as client:
        assert client.get("/api/status").status_code == 200


@needs_root
def test_it_has_no_network(rig: AgentRig, mine: Workspace) -> None:
    script = (
        "python3 -c \"import socket; s=socket.socket(); s.settimeout(2); print(s.connect_ex(('127.0.0.1', 22)))\"; "
        "cat /proc/net/dev | tail -n +3 | cut -d: -f1"
    )
    code, interface = mine.shell(script).split()
    assert (int(code), interface) == (111, "lo")
    assert "No such file" in mine.shell(f"ls {rig.settings.agent_socket} 2>&1")


@needs_root
def test_it_cannot_replace_its_sockets(rig: AgentRig, mine: Workspace) -> None:
    attack = (
        "ln -sfn /run/emr-studio/g.sock /run/emr-studio/s.sock; rm -f /run/emr-studio/s.sock; touch /run/emr-studio/x"
    )
    assert mine.shell(f"({attack}) 2>&1 | grep -cE 'Read-only|denied|cannot'") == "3"
    path = rig.settings.workspace_run_dir(mine.id) / "s.sock"
    assert path.is_socket()
    assert path.stat().st_uid == 0


@needs_root
def test_a_link_to_elsewhere_leads_nowhere(mine: Workspace) -> None:
    mine.shell("ln -s /etc/shadow shadow.txt; ln -s / top")
    with mine.client() as client:
        assert client.get("/api/contents/shadow.txt").status_code in (403, 404, 500)


@needs_root
def test_a_fork_bomb_ends_at_its_limit(rig: AgentRig, other: Workspace) -> None:
    from emr_studio.runtime.contract import Limits

    bomber = rig.launch("e-BOMB", 412399, limits=Limits(pids=60, memory_bytes=400_000_000))
    out = bomber.shell("for i in $(seq 200); do sleep 30 & done 2>&1 | grep -c -E 'fork|Resource'; true")
    assert out
    with other.client() as client:
        assert client.get("/api/status").status_code == 200
    rig.runtime.stop(bomber.id)
    rig.ended(bomber.id)


def test_no_valid_identity_no_answer(rig: AgentRig, mine: Workspace, tmp_path_factory: pytest.TempPathFactory) -> None:
    forger = IdentityIssuer(Settings(data_dir=tmp_path_factory.mktemp("forger")))
    caller = Caller("1", "user", "arn:aws:iam::1:user/x", "arn:aws:iam::1:user/x", "AIDAX", "x")
    wrong = {
        "none": "",
        "rubbish": "x.y.z",
        "forged": forger.issue(mine.id, caller, SystemClock().now()),
        "expired": mine.token(age=3600),
        "of another Workspace": mine.token(audience="e-OTHER"),
        "of the root user": mine.token(arn="arn:aws:iam::123456789012:root"),
    }
    for what, token in wrong.items():
        with mine.client(token) as client:
            for path in ("/api/status", "/lab", "/static/favicons/favicon.ico", "/api/contents", "/nowhere"):
                assert client.get(path).status_code == 403, (what, path)


def test_two_identities_are_refused(mine: Workspace) -> None:
    headers = [("X-Emr-Studio-Identity", mine.token()), ("X-Emr-Studio-Identity", mine.token())]
    with httpx.Client(transport=httpx.HTTPTransport(uds=mine.socket)) as client:
        assert client.get("http://workspace/api/status", headers=headers).status_code == 403


def test_a_websocket_needs_an_identity_and_the_right_origin(mine: Workspace) -> None:
    from websockets.sync.client import unix_connect

    with mine.client() as client:
        name = client.post("/api/terminals").json()["name"]
    path = f"ws://workspace/terminals/websocket/{name}"
    with pytest.raises(InvalidStatus) as none, unix_connect(mine.socket, uri=path):
        pass
    assert none.value.response.status_code == 403
    headers = {"X-Emr-Studio-Identity": mine.token(), "Origin": "http://e-other.workspace.localhost:8080"}
    with pytest.raises(InvalidStatus) as foreign, unix_connect(mine.socket, uri=path, additional_headers=headers):
        pass
    assert foreign.value.response.status_code == 403
    headers["Origin"] = "http://e-mine.workspace.localhost:8080"
    with unix_connect(mine.socket, uri=path, additional_headers=headers) as stream:
        assert stream.recv(timeout=120)


def test_the_user_is_who_the_token_says(mine: Workspace) -> None:
    with mine.client() as client:
        found = client.get("/api/me").json()["identity"]
    assert (found["username"], found["name"]) == ("AIDAEXAMPLE", "ana")


@needs_open_checkout
@needs_root
def test_without_root_it_runs_all_the_same_and_stops_whole() -> None:
    with unprivileged(54321) as rig:
        workspace = rig.launch("e-NOROOT", UIDS[0])
        assert workspace.shell("id -u") == "54321"
        with workspace.client() as client:
            name = client.post("/api/terminals").json()["name"]
        with workspace.connect(f"/terminals/websocket/{name}") as stream:
            stream.send(json.dumps(["stdin", "setsid sleep 876543 & sleep 876544\r"]))
            root = trees.Root(workspace.pid, start_time(workspace.pid) or 0, workspace.id)
            until(lambda: len(trees.tree(root)) >= 4)
        rig.runtime.stop(workspace.id)
        rig.ended(workspace.id)
        assert trees.tree(root) == set()
