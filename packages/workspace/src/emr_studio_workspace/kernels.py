"""Kernels of the attached cluster, through Jupyter's own gateway classes.

Each manager asks the pointer at each use. A kernel belongs to the cluster it was started on: after
a switch it is forgotten here (the cluster ends it), while files and layout stay open. A server that
was killed has its kernels again: they went on.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from jupyter_server.gateway.gateway_client import GatewayClient
from jupyter_server.gateway.managers import (
    GatewayKernelManager,
    GatewayKernelSpecManager,
    GatewayMappingKernelManager,
    GatewaySessionManager,
)
from jupyter_server.utils import url_path_join
from tornado.escape import url_escape
from tornado.web import HTTPError
from traitlets import default

from emr_studio_workspace.gateway import pointer
from emr_studio_workspace.notebooks import KERNEL_NAME
from emr_studio_workspace.remembered import Remembered

NOT_ATTACHED = (
    "This Workspace is not attached to a cluster.\n"
    "Attach one in the Compute panel, on the left, or in the Studio; then choose the kernel again."
)
NOT_REACHABLE = "The attached cluster's kernel gateway does not answer. It may still be starting; try again."
_SESSION = ("path", "name", "type", "kernel_id")
_FORBIDDEN = 403
_RESOURCE_LIMIT = "Resource Limit"
"""What a gateway says that starts no more kernels; beside it stands why."""
_AWAY = (502, 503, 504, 599)


def attached_cluster() -> str:
    """Id of the attached cluster.

    Raises:
        HTTPError: 409 with what to do, if there is none.
    """
    target = pointer.target
    if target is None:
        raise HTTPError(409, NOT_ATTACHED)
    return target.cluster_id


@contextmanager
def _plainly() -> Iterator[None]:
    """Say in plain words that the gateway does not answer (Jupyter would say 599, or fail)."""
    try:
        yield
    except HTTPError as error:
        if _RESOURCE_LIMIT in error.args:
            # Jupyter says that the gateway's URL may be wrong.
            raise HTTPError(error.status_code, str(error.args[0])) from error
        if error.status_code not in _AWAY:
            raise
        raise HTTPError(503, NOT_REACHABLE) from error
    except OSError as error:
        raise HTTPError(503, NOT_REACHABLE) from error


class AttachedKernelManager(GatewayKernelManager):
    """One kernel on the cluster."""

    cluster_id = ""

    async def start_kernel(self, **kwargs: Any) -> None:
        """Start it (or take over `kernel_id`) on the attached cluster."""
        self.cluster_id = attached_cluster()
        # The folder exists here, not on the cluster.
        kwargs.pop("cwd", None)
        with _plainly():
            await super().start_kernel(**kwargs)

    def recall(self, model: dict[str, Any], cluster_id: str) -> None:
        """Be the kernel that a server before this one had; `model` is what was known of it."""
        client = GatewayClient.instance()
        self.kernel, self.kernel_id, self.cluster_id = model, model["id"], cluster_id
        self.kernel_url = url_path_join(client.url or "", client.kernels_endpoint, url_escape(model["id"]))

    async def restart_kernel(self, **kwargs: Any) -> None:
        """Restart it in its place."""
        with _plainly():
            await super().restart_kernel(**kwargs)

    async def interrupt_kernel(self) -> None:
        """Interrupt what it runs."""
        with _plainly():
            await super().interrupt_kernel()

    async def refresh_model(self, model: Any = None) -> Any:
        """Its state, as the gateway tells it."""
        with _plainly():
            return await super().refresh_model(model)


class AttachedMappingKernelManager(GatewayMappingKernelManager):
    """All kernels of this Workspace."""

    on_kernel_end: Callable[[str, str], None] = staticmethod(lambda _kernel_id, _why: None)
    """Told which kernel answers no more, and why."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._memory = Remembered("kernels")
        for kernel_id, kept in self._memory.all().items():
            manager = self.kernel_manager_factory(parent=self, log=self.log)
            with suppress(KeyError, TypeError):
                manager.recall(dict(kept["model"]) | {"id": kernel_id}, str(kept["cluster_id"]))
                self._kernels[kernel_id] = manager

    @default("kernel_manager_class")
    def _default_kernel_manager_class(self) -> str:
        return "emr_studio_workspace.kernels.AttachedKernelManager"

    def remove_kernel(self, kernel_id: str) -> Any:
        """Forget it; whoever waits for it is told."""
        self._memory.forget(kernel_id)
        self.on_kernel_end(kernel_id, "The kernel was ended.")
        return super().remove_kernel(kernel_id)

    async def restart_kernel(self, kernel_id: str, now: bool = False, **kwargs: Any) -> None:
        """Restart it in its place; what it ran is over."""
        self.on_kernel_end(kernel_id, "The kernel was restarted.")
        await super().restart_kernel(kernel_id, now=now, **kwargs)

    def forget_strangers(self) -> None:
        """Drop kernels that live on a cluster which is no longer attached."""
        for kernel_id, manager in list(self._kernels.items()):
            if not pointer.may_lead_to(getattr(manager, "cluster_id", "")):
                self.remove_kernel(kernel_id)

    async def start_kernel(self, **kwargs: Any) -> Any:
        """Start a kernel; 409 if nothing is attached."""
        cluster_id = attached_cluster()
        self.forget_strangers()
        kernel_id = await super().start_kernel(**kwargs)
        self._memory.keep(kernel_id, {"cluster_id": cluster_id, "model": self._kernels[kernel_id].kernel})
        return kernel_id

    async def list_kernels(self, **kwargs: Any) -> list[dict[str, Any]]:
        """Kernels with their state as the gateway tells it, or as last known while it is away."""
        self.forget_strangers()
        if not self._kernels:
            return []
        try:
            models: list[dict[str, Any]] = await super().list_kernels(**kwargs)
        except HTTPError as error:
            if error.status_code == _FORBIDDEN:
                return await self._one_by_one()
        except OSError:
            pass
        else:
            return models
        return [manager.kernel for manager in self._kernels.values() if manager.kernel]

    async def _one_by_one(self) -> list[dict[str, Any]]:
        """The same of a gateway that lists no kernels, as Jupyter's own does unless it is told to."""
        for kernel_id, manager in list(self._kernels.items()):
            with suppress(HTTPError, OSError):
                # None: it is gone.
                if await manager.refresh_model() is None:
                    self.remove_kernel(kernel_id)
        return [manager.kernel for manager in self._kernels.values() if manager.kernel]

    async def kernel_model(self, kernel_id: str) -> Any:
        """Model of one kernel; 404 once its cluster is detached."""
        self.forget_strangers()
        return await super().kernel_model(kernel_id)

    async def release(self) -> int:
        """End all kernels, before their cluster is detached; how many there were.

        All at once: each takes its seconds to end, and who asks does not wait for the sum of them.
        """
        kernel_ids = list(self._kernels)
        await asyncio.gather(*(self._end(kernel_id) for kernel_id in kernel_ids))
        return len(kernel_ids)

    async def shutdown_all(self, now: bool = False) -> None:
        """The same, as the server stops."""
        await self.release()

    async def _end(self, kernel_id: str) -> None:
        try:
            await self.shutdown_kernel(kernel_id, now=True)
        except Exception as error:  # whatever it is, the others end
            self.log.warning("Kernel %s could not be ended: %s", kernel_id, error)
            self.remove_kernel(kernel_id)


class AttachedKernelSpecManager(GatewayKernelSpecManager):
    """Kernel kinds that the attached cluster offers.

    While nothing is attached it is the one that a cluster will offer, and starting it says what to
    do: JupyterLab takes an empty list for an error and looks again only after minutes, so that
    after an attach the kernel would long seem to be missing.
    """

    @staticmethod
    def _get_endpoint_for_user_filter(default_endpoint: str) -> str:
        # The parent would add `?user=`, which breaks the address of a single kernelspec.
        return default_endpoint

    async def list_kernel_specs(self) -> dict[str, Any]:
        """`{"default", "kernelspecs"}`, as the gateway has it."""
        expected: dict[str, Any] = {"default": KERNEL_NAME, "kernelspecs": {KERNEL_NAME: _expected_spec()}}
        if pointer.target is None:
            return expected
        try:
            found: dict[str, Any] = await super().list_kernel_specs()
        except (HTTPError, OSError) as error:
            self.log.warning("%s (%s)", NOT_REACHABLE, error)
            return expected
        return found

    async def get_kernel_spec(self, kernel_name: str, **kwargs: Any) -> Any:
        """One kind; KeyError if it is not offered."""
        if pointer.target is None:
            if kernel_name == KERNEL_NAME:
                return _expected_spec()
            raise KeyError(kernel_name)
        return await super().get_kernel_spec(kernel_name, **kwargs)

    async def get_kernel_spec_resource(self, kernel_name: str, path: str) -> Any:
        """A logo; None if there is none."""
        if pointer.target is None:
            return None
        return await super().get_kernel_spec_resource(kernel_name, path)


def _expected_spec() -> dict[str, Any]:
    spec = {
        "argv": [],
        "display_name": "PySpark",
        "language": "python",
        "interrupt_mode": "signal",
        "env": {},
        "metadata": {"emr_studio": {"attached": False}},
    }
    return {"name": KERNEL_NAME, "spec": spec, "resources": {}}


class AttachedSessionManager(GatewaySessionManager):
    """Which document uses which kernel; known again after a server that was killed, as the kernels are."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._memory = Remembered("sessions")
        for session_id, kept in self._memory.all().items():
            row = [kept.get(name) for name in _SESSION]
            if row[-1] in self.kernel_manager:
                self.cursor.execute("INSERT INTO session VALUES (?,?,?,?,?)", [session_id, *row])
            else:
                self._memory.forget(session_id)

    async def get_session(self, **kwargs: Any) -> Any:
        """What was asked for; after each change they ask, and so it is written down then."""
        found = await super().get_session(**kwargs)
        kept = {name: found[name] for name in _SESSION[:-1]} | {"kernel_id": (found["kernel"] or {}).get("id")}
        self._memory.keep(found["id"], kept)
        return found

    async def delete_session(self, session_id: str) -> None:
        """End it, and its kernel."""
        await super().delete_session(session_id)
        self._memory.forget(session_id)

    def get_kernel_env(self, path: str | None, name: Any = None) -> dict[str, str]:
        """What the cluster's kernel is told: only `KERNEL_*`, never this server's environment."""
        told = {name_: value for name_, value in os.environ.items() if name_.startswith("KERNEL_")}
        return told | {"KERNEL_NOTEBOOK_PATH": path or ""}
