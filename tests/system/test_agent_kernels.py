"""Kernels of an attached cluster: a real gateway, through the relay and the Workspace's server."""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from emr_studio.runtime.contract import Gateway
from tests.support.agent_rig import AgentRig, KernelGateway, Workspace, alive, until


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[KernelGateway, KernelGateway]]:
    folder = tmp_path_factory.mktemp("gateways")
    pair = (KernelGateway(folder, "token-a"), KernelGateway(folder, "token-b"))
    yield pair
    for gateway in pair:
        gateway.close()


def attach(rig: AgentRig, workspace: Workspace, gateway: KernelGateway | None, cluster_id: str = "j-A") -> None:
    wanted = Gateway(gateway.address, gateway.token, cluster_id) if gateway else None
    rig.runtime.set_gateway(workspace.id, wanted)


def start_kernel(workspace: Workspace) -> str:
    with workspace.client() as client:
        model = {"path": "My first.ipynb", "type": "notebook", "name": "x", "kernel": {"name": "python3"}}
        answer = client.post("/api/sessions", json=model)
        assert answer.status_code == 201, answer.text
        kernel_id: str = answer.json()["kernel"]["id"]
        return kernel_id


def message(code: str) -> dict[str, Any]:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "execute_request",
        "username": "",
        "session": "s",
        "version": "5.3",
    }
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "user_expressions": {}}
    return {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}


def execute(stream: ClientConnection, code: str, seconds: float = 120.0) -> str:
    """What `code` prints."""
    request = message(code)
    stream.send(json.dumps(request))
    return read(stream, request["header"]["msg_id"], seconds)


def read(stream: ClientConnection, msg_id: str, seconds: float = 120.0) -> str:
    text = ""
    while True:
        found = json.loads(stream.recv(timeout=seconds))
        if found["parent_header"].get("msg_id") != msg_id:
            continue
        if found["msg_type"] == "stream":
            text += found["content"]["text"]
        if found["msg_type"] == "status" and found["content"]["execution_state"] == "idle":
            return text


def test_unattached_says_what_to_do(rig: AgentRig) -> None:
    workspace = rig.launch("e-UNATTACHED")
    with workspace.client() as client:
        answer = client.post("/api/kernels", json={"name": "pysparkkernel"})
        assert answer.status_code == 409
        assert "Attach one in the Compute panel" in answer.json()["message"]
        model = {"path": "x.ipynb", "type": "notebook", "name": "x", "kernel": {"name": "pysparkkernel"}}
        answer = client.post("/api/sessions", json=model)
        assert (answer.status_code, answer.json()["message"][:27]) == (409, "This Workspace is not attac")
        assert client.get("/api/kernels").json() == []
        assert client.get("/api/emr-studio/status").json()["clusterId"] is None


def test_attach_run_switch_detach(rig: AgentRig, gateways: tuple[KernelGateway, KernelGateway]) -> None:
    first, second = gateways
    workspace = rig.launch("e-SWITCH")
    attach(rig, workspace, first)
    with workspace.client() as client:
        assert "python3" in client.get("/api/kernelspecs").json()["kernelspecs"]
        assert client.get("/api/emr-studio/status").json()["clusterId"] == "j-A"
    kernel_id = start_kernel(workspace)
    with workspace.connect(f"/api/kernels/{kernel_id}/channels?session_id=s1") as stream:
        assert execute(stream, "import os; x = 6 * 7; print(x)") == "42\n"
        assert (
            execute(stream, "print(os.environ.get('KERNEL_NOTEBOOK_PATH'), os.environ.get('HOME') is not None)") != ""
        )
        assert [kernel["id"] for kernel in first.kernels()] == [kernel_id]
        attach(rig, workspace, second, "j-B")
    until(lambda: first.kernels() == [])
    with workspace.client() as client:
        until(lambda: client.get("/api/kernels").raise_for_status().json() == [])
        assert client.get("/api/contents/My first.ipynb").status_code == 200
    again = start_kernel(workspace)
    assert [kernel["id"] for kernel in second.kernels()] == [again]
    attach(rig, workspace, None)
    until(lambda: second.kernels() == [])
    with workspace.client() as client:
        assert client.post("/api/kernels", json={"name": "python3"}).status_code == 409
        assert client.get("/api/status").status_code == 200


@pytest.mark.capability("CL-08")
def test_two_workspaces_run_on_one_cluster(rig: AgentRig, gateways: tuple[KernelGateway, KernelGateway]) -> None:
    """Both at once, each with its own kernel; one that leaves takes nothing from the other."""
    shared = gateways[0]
    pair = [rig.launch("e-SHARE-A"), rig.launch("e-SHARE-B")]
    for workspace in pair:
        attach(rig, workspace, shared)
    kernels = [start_kernel(workspace) for workspace in pair]
    assert {found["id"] for found in shared.kernels()} >= set(kernels)
    paths = [f"/api/kernels/{kernel_id}/channels?session_id=s" for kernel_id in kernels]
    with pair[0].connect(paths[0]) as first, pair[1].connect(paths[1]) as second:
        assert execute(first, "kept = 'a'; print(6 * 7)") == "42\n"
        assert execute(second, "print('kept' in globals()); kept = 'b'") == "False\n"
        assert execute(first, "print(kept)") == "a\n"
    for workspace, kernel_id in zip(pair, kernels, strict=True):
        with workspace.client() as client:
            assert [found["id"] for found in client.get("/api/kernels").json()] == [kernel_id]
    attach(rig, pair[0], None)
    until(lambda: kernels[0] not in [found["id"] for found in shared.kernels()])
    with pair[1].connect(paths[1]) as second:
        assert execute(second, "print(kept)") == "b\n"
    attach(rig, pair[1], None)
    until(lambda: kernels[1] not in [found["id"] for found in shared.kernels()])


def test_a_browser_speaks_the_binary_protocol(rig: AgentRig, gateways: tuple[KernelGateway, KernelGateway]) -> None:
    workspace = rig.launch("e-BROWSER")
    attach(rig, workspace, gateways[0])
    kernel_id = start_kernel(workspace)
    protocol = "v1.kernel.websocket.jupyter.org"
    with workspace.connect(f"/api/kernels/{kernel_id}/channels?session_id=s3", [protocol]) as stream:
        assert stream.subprotocol == protocol
        request = message("print('hello')")
        parts = [json.dumps(request[name]).encode() for name in ("header", "parent_header", "metadata", "content")]
        stream.send(pack("shell", parts))
        texts = []
        while True:
            _, found = unpack(stream.recv(timeout=60))
            header, parent, content = (json.loads(found[i]) for i in (0, 1, 3))
            if parent.get("msg_id") != request["header"]["msg_id"]:
                continue
            texts += [content["text"]] if header["msg_type"] == "stream" else []
            if content.get("execution_state") == "idle":
                break
        assert "".join(texts) == "hello\n"
    attach(rig, workspace, None)


def pack(channel: str, parts: list[bytes]) -> bytes:
    """A frame of the v1 protocol: number of offsets, offsets, channel, parts."""
    pieces = [channel.encode(), *parts]
    offsets = [8 * (len(pieces) + 2)]
    for piece in pieces:
        offsets.append(offsets[-1] + len(piece))
    return b"".join([n.to_bytes(8, "little") for n in (len(offsets), *offsets)] + pieces)


def unpack(frame: str | bytes) -> tuple[str, list[bytes]]:
    assert isinstance(frame, bytes)
    count = int.from_bytes(frame[:8], "little")
    offsets = [int.from_bytes(frame[8 * i + 8 : 8 * i + 16], "little") for i in range(count)]
    pieces = [frame[a:b] for a, b in itertools.pairwise(offsets)]
    return pieces[0].decode(), pieces[1:]


def test_the_kernel_goes_on_when_relay_and_agent_die(
    rig: AgentRig, gateways: tuple[KernelGateway, KernelGateway]
) -> None:
    workspace = rig.launch("e-LOSS")
    attach(rig, workspace, gateways[0])
    kernel_id = start_kernel(workspace)
    with workspace.connect(f"/api/kernels/{kernel_id}/channels?session_id=s2") as stream:
        assert execute(stream, "x = 41; print(x)") == "41\n"
        request = message("import time\nfor i in range(60):\n    print(i, flush=True); time.sleep(0.1)")
        stream.send(json.dumps(request))
        # Not before the kernel has it: a request that is inside the relay when it is killed is lost.
        until(lambda: json.loads(stream.recv(timeout=60))["msg_type"] == "stream")
        relay = rig.runtime.helpers()["relay"]
        rig.kill()
        os.kill(relay, signal.SIGKILL)
        until(lambda: not alive(relay))
        rig.start()
        until(lambda: rig.runtime.helpers()["relay"] not in (0, relay))
        # The same tab, never closed: the lines of the time between arrive in order (a line that was
        # inside the relay when it was killed is lost), and the kernel still knows x.
        lines = [int(line) for line in read(stream, request["header"]["msg_id"]).split()]
        assert lines == sorted(lines)
        assert set(lines) >= set(range(50, 60))
        assert execute(stream, "print(x + 1)") == "42\n"
    attach(rig, workspace, None)


@pytest.mark.capability("WS-08")
def test_a_stopped_workspace_leaves_no_kernel(rig: AgentRig, gateways: tuple[KernelGateway, KernelGateway]) -> None:
    workspace = rig.launch("e-STOP")
    attach(rig, workspace, gateways[1])
    start_kernel(workspace)
    assert len(gateways[1].kernels()) == 1
    rig.runtime.stop(workspace.id)
    rig.ended(workspace.id)
    until(lambda: gateways[1].kernels() == [])


def test_a_gateway_that_is_away_is_told_plainly(rig: AgentRig) -> None:
    workspace = rig.launch("e-AWAY")
    rig.runtime.set_gateway(workspace.id, Gateway("127.0.0.1:1", "t", "j-GONE"))
    with workspace.client() as client:
        answer = client.post("/api/kernels", json={"name": "python3"})
        assert answer.status_code in (502, 503, 504)
        assert "does not answer" in answer.json()["message"]
        assert client.get("/api/kernelspecs").status_code == 200


def test_only_the_agent_may_release_kernels(rig: AgentRig) -> None:
    workspace = rig.launch("e-RELEASE")
    with workspace.client() as client:
        assert client.post("/api/emr-studio/release").status_code == 403
        wrong = client.post("/api/emr-studio/release", headers={"X-Emr-Studio-Agent": "guess"})
        assert wrong.status_code == 403


@pytest.mark.capability("WS-19")
def test_terminals_are_used_listed_and_closed(rig: AgentRig) -> None:
    workspace = rig.launch("e-TERMINAL")
    with workspace.client() as client:
        first, second = (client.post("/api/terminals").raise_for_status().json()["name"] for _ in range(2))
        with workspace.connect(f"/terminals/websocket/{first}") as stream:
            stream.send(json.dumps(["stdin", "echo $((6 * 7)) > typed.txt\r"]))
            # Until the file is there, Jupyter answers 404 in plain text.
            until(
                lambda: (seen := client.get("/api/contents/typed.txt")).is_success and seen.json()["content"] == "42\n"
            )
        assert {one["name"] for one in client.get("/api/terminals").json()} == {first, second}
        client.delete(f"/api/terminals/{first}").raise_for_status()
        assert [one["name"] for one in client.get("/api/terminals").json()] == [second]
        assert client.get(f"/api/terminals/{first}").status_code == 404
    rig.runtime.stop("e-TERMINAL")
    rig.ended("e-TERMINAL")


@pytest.mark.capability("WS-09")
def test_what_is_at_work_in_a_workspace(rig: AgentRig, gateways: tuple[KernelGateway, KernelGateway]) -> None:
    """Running cells and programs of a terminal count; an open page and a prompt do not."""
    workspace = rig.launch("e-ACTIVE")

    def busy() -> bool:
        activity = rig.runtime.activity("e-ACTIVE")
        assert activity is not None
        return activity.busy

    until(lambda: not busy())
    with workspace.client() as client:
        assert client.get("/api/emr-studio/activity").status_code == 403, "it is the agent's alone"
        begun = time.monotonic()
        client.put("/api/contents/a.txt", json={"type": "file", "format": "text", "content": "a"}).raise_for_status()
        saved = rig.runtime.activity("e-ACTIVE")
        assert saved is not None
        assert saved.idle_seconds <= time.monotonic() - begun + 1
        for _ in range(3):
            client.get("/api/contents/a.txt")
        read = rig.runtime.activity("e-ACTIVE")
        assert read is not None
        assert read.idle_seconds >= saved.idle_seconds
        name = client.post("/api/terminals").json()["name"]
    with workspace.connect(f"/terminals/websocket/{name}") as stream:
        until(lambda: not busy())
        stream.send(json.dumps(["stdin", "sleep 600\r"]))
        until(busy)

        def ended() -> bool:
            # Again and again: one that comes before the shell has given the terminal to the program ends nothing.
            stream.send(json.dumps(["stdin", "\x03"]))
            return not busy()

        until(ended)
    attach(rig, workspace, gateways[0])
    kernel_id = start_kernel(workspace)
    with workspace.connect(f"/api/kernels/{kernel_id}/channels?session_id=s1") as stream:
        assert execute(stream, "print(1)") == "1\n"
        until(lambda: not busy())
        stream.send(json.dumps(message("import time; time.sleep(600)")))
        until(busy)
    assert busy(), "the page is closed, the cell goes on"
    rig.runtime.stop("e-ACTIVE")
    rig.ended("e-ACTIVE")
    assert rig.runtime.activity("e-ACTIVE") is None
    assert rig.runtime.activity("e-NONE") is None
