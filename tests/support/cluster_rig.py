"""Real clusters: the real agent, the clusters' controller, and a client of kernels."""

from __future__ import annotations

import datetime as dt
import json
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from emr_studio.clusters.controller import ClusterReconciler
from emr_studio.clusters.logs.archive import LogArchive
from emr_studio.clusters.model import gateway_of
from emr_studio.clusters.probe import NodeProbe
from emr_studio.runtime.contract import Gateway
from tests.support.agent_rig import AgentRig
from tests.support.appinfo import MemoryAppInfo
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_world import emr_world

PROGRESS = "application/vnd.emr-studio.spark-progress+json"
"""How far Spark is: shown when the machine is slow."""


class Kernel:
    """A kernel of a cluster's gateway: a new one, or that of an id."""

    def __init__(self, gateway: Gateway, name: str, kernel_id: str = "") -> None:
        self._headers = {"Authorization": f"token {gateway.token}"}
        self._base = f"http://{gateway.address}/api/kernels"
        self.id = kernel_id or self._start(name)
        self._url = f"ws://{gateway.address}/api/kernels/{self.id}/channels"
        self._connect()

    def _connect(self) -> None:
        """The gateway lets us in once the kernel's channels answer: nothing that it says is missed."""
        self._stack = ExitStack()
        self._stream: ClientConnection = self._stack.enter_context(
            connect(self._url, additional_headers=self._headers, open_timeout=120, max_size=None)
        )

    def _start(self, name: str) -> str:
        answer = httpx.post(self._base, json={"name": name}, headers=self._headers, timeout=120)
        return str(answer.raise_for_status().json()["id"])

    def run(self, code: str, seconds: float = 240.0) -> str:
        """What a cell prints, shows and raises, as one text."""
        return self.result(self.begin(code), seconds)

    def begin(self, code: str) -> str:
        """Send a cell; the id of its message."""
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        return self._send("execute_request", content)

    def begun(self, message_id: str) -> None:
        """Wait until the kernel runs a cell: an interrupt before that would be lost."""
        next(answer for answer in self._answers(message_id, 120) if answer["msg_type"] == "execute_input")

    def result(self, message_id: str, seconds: float = 240.0, until: str = "") -> str:
        """What a cell prints, shows and raises, to its end or as soon as it has printed `until`."""
        text = ""
        for message in self._answers(message_id, seconds):
            kind, found = message["msg_type"], message["content"]
            if kind == "stream":
                text += found["text"]
            elif kind in ("execute_result", "display_data") and PROGRESS not in found["data"]:
                text += "".join(found["data"].get("text/plain", "")) + " ".join(sorted(found["data"])) + "\n"
            elif kind == "error":
                text += "\n".join(found["traceback"])
            elif kind == "status" and found["execution_state"] == "idle":
                break
            if until and until in text:
                break
        return text

    def complete(self, code: str) -> list[str]:
        """What could stand at the end of a cell."""
        request = self._send("complete_request", {"code": code, "cursor_pos": len(code)})
        return list(self._reply(request, "complete_reply")["matches"])

    def inspect(self, code: str) -> str:
        """What is told of the last word of a cell."""
        request = self._send("inspect_request", {"code": code, "cursor_pos": len(code), "detail_level": 0})
        return str(self._reply(request, "inspect_reply")["data"].get("text/plain", ""))

    def interrupt(self) -> None:
        """Interrupt what runs."""
        httpx.post(f"{self._base}/{self.id}/interrupt", headers=self._headers, timeout=120).raise_for_status()

    def restart(self) -> None:
        """Restart it in its place, and connect anew, as JupyterLab does."""
        httpx.post(f"{self._base}/{self.id}/restart", headers=self._headers, timeout=120).raise_for_status()
        self._stack.close()
        self._connect()

    def _send(self, kind: str, content: dict[str, Any]) -> str:
        message_id = uuid.uuid4().hex
        header = {"msg_id": message_id, "msg_type": kind, "version": "5.3"}
        header |= {"username": "", "session": "s", "date": dt.datetime.now(dt.UTC).isoformat()}
        request = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        self._stream.send(json.dumps(request))
        return message_id

    def _reply(self, message_id: str, kind: str) -> dict[str, Any]:
        answers = self._answers(message_id, 120)
        return next(dict(answer["content"]) for answer in answers if answer["msg_type"] == kind)

    def _answers(self, message_id: str, seconds: float) -> Iterator[dict[str, Any]]:
        deadline = time.monotonic() + seconds
        while True:
            message = json.loads(self._stream.recv(timeout=max(0.1, deadline - time.monotonic())))
            if message["parent_header"].get("msg_id") == message_id:
                yield message

    def leave(self) -> None:
        """Hear no more of it; it goes on."""
        self._stack.close()

    def close(self) -> None:
        """Shut the kernel down."""
        self.leave()
        # The cluster may have ended before, or end meanwhile.
        with suppress(httpx.TransportError):
            httpx.delete(f"{self._base}/{self.id}", headers=self._headers, timeout=120)


@dataclass
class ClusterRig:
    """Clusters on this machine, their rows in a world of their own."""

    play: ClusterPlay
    agent: AgentRig

    def turn(self, cluster_id: str) -> float | None:
        """One turn of the controller, at the real time."""
        clock = self.play.emr.clock
        clock.advance((dt.datetime.now(dt.UTC) - clock.now()).total_seconds())
        return self.play.turn(cluster_id)

    def until(self, cluster_id: str, state: str, seconds: float = 400.0) -> None:
        """Take turns until the state is reached."""
        deadline = time.monotonic() + seconds
        while self.play.state(cluster_id) != state:
            self.turn(cluster_id)
            status = self.play.describe(cluster_id)["Status"]
            assert status["State"] == state or not status["State"].startswith("TERMINATED"), status
            assert time.monotonic() < deadline, status

    def create(self, **changes: Any) -> str:
        """Create a cluster and wait until it is WAITING."""
        self.turn("")
        cluster_id = self.play.create(**changes)
        self.until(cluster_id, "WAITING")
        return cluster_id

    def register(self, kind: str, url: str, **more: Any) -> str:
        """A cluster from outside, WAITING."""
        request = {"Name": "theirs", "Type": kind, "Url": url} | more
        cluster_id = str(self.play.emr.call("RegisterCluster", **request)["ClusterId"])
        self.until(cluster_id, "WAITING")
        return cluster_id

    def reason(self, cluster_id: str) -> dict[str, Any]:
        """What is said of its state, after one more turn."""
        self.turn(cluster_id)
        return dict(self.play.describe(cluster_id)["Status"]["StateChangeReason"])

    def terminate(self, cluster_id: str) -> None:
        self.play.emr.call("TerminateJobFlows", JobFlowIds=[cluster_id])
        self.until(cluster_id, "TERMINATED")

    def gateway(self, cluster_id: str) -> Gateway:
        with self.play.emr.database.read() as session:
            return gateway_of(session, self.play.row(cluster_id))

    def kernel(self, cluster_id: str, name: str = "pysparkkernel") -> Kernel:
        """A new kernel on the cluster's gateway."""
        return Kernel(self.gateway(cluster_id), name)


@contextmanager
def cluster_rig(folder: Path) -> Iterator[ClusterRig]:
    """A real agent and a world; everything is stopped at the end."""
    agent = AgentRig(folder / "agent")
    agent.start()
    try:
        with emr_world(folder / "agent") as emr:
            # Another process runs such a rig at the same time, at addresses of its own.
            emr.settings = emr.settings.model_copy(update={"loopback_octet": random.SystemRandom().randint(32, 199)})
            play = ClusterPlay(emr)
            archive = LogArchive(emr.settings, MemoryAppInfo())
            play.controller = ClusterReconciler(
                emr.database, emr.clock, agent.runtime, emr.settings, NodeProbe(), archive=archive
            )
            yield ClusterRig(play, agent)
    finally:
        agent.close()


def processes_of(cluster_id: str) -> list[int]:
    """Processes whose command line or folder names the cluster."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "cmdline").read_bytes() + str((entry / "cwd").readlink()).encode()
        except OSError:
            continue
        if cluster_id.encode() in text:
            found.append(int(entry.name))
    return found


def hosts(cluster_id: str) -> int:
    """The kernels' host, and what is forked from it."""
    found = 0
    for pid in processes_of(cluster_id):
        with suppress(OSError):
            found += b"emr_studio_cluster.node\0kernels" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return found
