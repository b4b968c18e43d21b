"""The host agent: `Host` as JSON over HTTP on a unix socket that only its own user can open."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emr_studio.controllers import WORKLOAD, SocketWaker
from emr_studio.runtime import wire
from emr_studio.runtime.contract import RuntimeUnavailable, WorkloadState
from emr_studio.runtime.host import Host
from emr_studio.runtime.supervisor import UMASK
from emr_studio.settings import Settings

log = logging.getLogger(__name__)
_LONGEST_WAIT = 60.0
Values = dict[str, Any]


class AgentApp:
    """One address a method of the contract: `POST /<method>` with its arguments."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._changed: dict[str, set[asyncio.Event]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        host.on_change(self._on_change)

    def application(self) -> Starlette:
        """The ASGI application."""
        plain: dict[str, Callable[[Values], Any]] = {
            "launch": lambda v: self._host.launch(wire.load_spec(v["spec"])),
            "observe": lambda v: wire.dump_observation(self._host.observe(v["workload_id"])),
            "stop": lambda v: self._host.stop(v["workload_id"], float(v["grace_seconds"])),
            "forget": lambda v: self._host.forget(v["workload_id"]),
            "list": lambda _: [wire.dump_observation(seen) for seen in self._host.list()],
            "logs": lambda v: self._host.logs(v["workload_id"], int(v["lines"])),
            "set_gateway": lambda v: self._host.set_gateway(v["workload_id"], wire.load_gateway(v["gateway"])),
            "set_encryption": lambda v: self._host.set_encryption(v["workload_id"], v["kms_key_id"]),
            "activity": lambda v: wire.dump_activity(self._host.activity(v["workload_id"])),
            "git": lambda v: wire.dump_git(self._host.git(v["workload_id"], wire.load_git_work(v["work"]))),
            "flush": lambda v: self._host.flush(v["workload_id"]),
            "versions": lambda v: [
                wire.dump_version(version) for version in self._host.versions(v["workload_id"], v["path"])
            ],
            "version": lambda v: base64.b64encode(
                self._host.version(v["workload_id"], v["path"], v["version_id"])
            ).decode(),
            "shutdown": lambda v: self._host.shutdown(bool(v["keep"])),
            "helpers": lambda _: self._host.workspaces.helpers(),
        }
        routes = [Route(f"/{name}", self._endpoint(_threaded(call)), methods=["POST"]) for name, call in plain.items()]
        routes.append(Route("/wait", self._endpoint(self._wait), methods=["POST"]))
        return Starlette(routes=routes)

    def _endpoint(self, call: Callable[[Values], Awaitable[Any]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            self._loop = asyncio.get_running_loop()
            try:
                values = json.loads(await request.body() or b"{}")
                return JSONResponse({"result": await call(values)})
            except RuntimeUnavailable as error:
                return JSONResponse({"error": str(error)}, status_code=503)
            except (TypeError, ValueError, KeyError) as error:
                return JSONResponse({"error": f"{type(error).__name__}: {error}"}, status_code=400)

        return endpoint

    async def _wait(self, values: Values) -> Values:
        """Long poll without holding a thread: there may be one for each workload."""
        workload_id, leave = values["workload_id"], WorkloadState(values["leave"])
        event = asyncio.Event()
        waiting = self._changed.setdefault(workload_id, set())
        waiting.add(event)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(float(values["timeout"]), _LONGEST_WAIT)):
                    while self._host.observe(workload_id).state is leave:
                        await event.wait()
                        event.clear()
        finally:
            waiting.discard(event)
            if not waiting:
                self._changed.pop(workload_id, None)
        return wire.dump_observation(await run_in_threadpool(self._host.observe, workload_id))

    def _on_change(self, workload_id: str) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake, workload_id)

    def _wake(self, workload_id: str) -> None:
        for event in self._changed.get(workload_id, ()):
            event.set()


def _threaded(call: Callable[[Values], Any]) -> Callable[[Values], Awaitable[Any]]:
    async def run(values: Values) -> Any:
        return await run_in_threadpool(call, values)

    return run


def run_agent(settings: Settings) -> None:
    """Serve until SIGTERM. Workloads go on; the next agent takes them over.

    Raises:
        SystemExit: another agent serves this data folder.
    """
    os.umask(UMASK)
    prepare_folders(settings)
    with (settings.agent_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"another agent serves {settings.data_dir}") from None
        host, waker = Host(settings), SocketWaker(settings)
        # The controllers hear at once of what ends by itself.
        host.on_change(lambda workload_id: waker.wake(WORKLOAD, workload_id))
        host.open()
        config = uvicorn.Config(
            AgentApp(host).application(),
            log_level=settings.log_level.lower(),
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        with listen(settings.agent_socket) as listener:
            uvicorn.Server(config).run(sockets=[listener])


def prepare_folders(settings: Settings) -> None:
    """Make the folders that the agent needs; those above a Workspace's let its user pass."""
    for folder in (settings.agent_dir, settings.logs_dir):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in (settings.run_dir, settings.run_dir / "w", settings.workspaces_dir):
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    if settings.run_dir.stat().st_uid != os.geteuid():
        # It may lie below /tmp, where anybody could have made it before us.
        raise SystemExit(f"{settings.run_dir} belongs to somebody else: remove it, or choose a shorter data folder")


def listen(path: Path) -> socket.socket:
    """A unix socket that only our user can open."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    listener.listen(512)
    return listener
