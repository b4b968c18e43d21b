"""`LocalRuntime`: the contract, asked of the host agent on this machine."""

from __future__ import annotations

import base64
import builtins
import json
import socket
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import Any

from emr_studio.runtime import wire
from emr_studio.runtime.contract import (
    Activity,
    Gateway,
    GitProgress,
    GitWork,
    Observation,
    RuntimeUnavailable,
    Spec,
    WorkloadState,
)
from emr_studio.settings import Settings
from emr_studio.storage.versions import FileVersion

_TIMEOUT = 30.0
_FLUSH_TIMEOUT = 90.0
_SHUTDOWN_TIMEOUT = 120.0
_LONGEST_WAIT = 60.0


class LocalRuntime:
    """A client of the agent. Thread safe; holds nothing open between calls."""

    def __init__(self, settings: Settings) -> None:
        self._socket = str(settings.agent_socket)

    def launch(self, spec: Spec) -> None:
        self._call("launch", spec=wire.dump_spec(spec))

    def observe(self, workload_id: str) -> Observation:
        return wire.load_observation(self._call("observe", workload_id=workload_id))

    def wait(self, workload_id: str, leave: WorkloadState, timeout: float) -> Observation:
        timeout = min(timeout, _LONGEST_WAIT)
        arguments = {"workload_id": workload_id, "leave": leave.value, "timeout": timeout}
        return wire.load_observation(self._call("wait", timeout + _TIMEOUT, **arguments))

    def stop(self, workload_id: str, grace_seconds: float = 10.0) -> None:
        self._call("stop", workload_id=workload_id, grace_seconds=grace_seconds)

    def forget(self, workload_id: str) -> None:
        self._call("forget", workload_id=workload_id)

    def list(self) -> list[Observation]:
        return [wire.load_observation(seen) for seen in self._call("list")]

    def logs(self, workload_id: str, lines: int = 50) -> builtins.list[str]:
        found: builtins.list[str] = self._call("logs", workload_id=workload_id, lines=lines)
        return found

    def set_gateway(self, workload_id: str, gateway: Gateway | None) -> None:
        self._call("set_gateway", workload_id=workload_id, gateway=wire.dump_gateway(gateway))

    def set_encryption(self, workload_id: str, kms_key_id: str) -> None:
        self._call("set_encryption", workload_id=workload_id, kms_key_id=kms_key_id)

    def activity(self, workload_id: str) -> Activity | None:
        return wire.load_activity(self._call("activity", workload_id=workload_id))

    def git(self, workload_id: str, work: GitWork) -> GitProgress | None:
        return wire.load_git_progress(self._call("git", workload_id=workload_id, work=wire.dump_git(work)))

    def flush(self, workload_id: str) -> None:
        self._call("flush", _FLUSH_TIMEOUT, workload_id=workload_id)

    def versions(self, workload_id: str, path: str) -> builtins.list[FileVersion]:
        found = self._call("versions", workload_id=workload_id, path=path)
        return [wire.load_version(version) for version in found]

    def version(self, workload_id: str, path: str, version_id: str) -> bytes:
        arguments = {"workload_id": workload_id, "path": path, "version_id": version_id}
        return base64.b64decode(self._call("version", _FLUSH_TIMEOUT, **arguments))

    def shutdown(self, keep: bool) -> None:
        """Stop all workloads with a last save (or keep them running); the agent launches no more."""
        self._call("shutdown", _SHUTDOWN_TIMEOUT, keep=keep)

    def helpers(self) -> dict[str, int]:
        """Process ids of the agent's zygote and relay (0: does not run)."""
        found: dict[str, int] = self._call("helpers")
        return found

    def _call(self, method: str, timeout: float = _TIMEOUT, /, **arguments: Any) -> Any:
        with closing(_UnixConnection(self._socket, timeout)) as connection:
            try:
                connection.request("POST", f"/{method}", json.dumps(arguments), {"Content-Type": "application/json"})
                answer = connection.getresponse()
                status, body = answer.status, json.loads(answer.read())
            except (OSError, HTTPException, ValueError) as error:
                raise RuntimeUnavailable(f"the host agent does not answer: {error}") from error
        if status == 200:
            return body["result"]
        if status == 400:
            raise ValueError(body["error"])
        raise RuntimeUnavailable(body.get("error", f"the host agent answered {status}"))


class _UnixConnection(HTTPConnection):
    """HTTP over a unix socket: one connection a call, which costs little and is thread safe.

    (httpx leaves the socket open when such a connect is refused.)
    """

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("agent", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect, or leave nothing open."""
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.settimeout(self.timeout)
        try:
            stream.connect(self._path)
        except OSError:
            stream.close()
            raise
        self.sock = stream
