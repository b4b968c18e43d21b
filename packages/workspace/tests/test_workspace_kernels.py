"""The end of all kernels of a Workspace, at a gateway that ends none before it is asked to end all."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.workspace_python import in_workspace

_PLAY = """
import asyncio, json
from jupyter_server.gateway.gateway_client import GatewayClient
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from emr_studio_workspace.kernels import AttachedMappingKernelManager
from emr_studio_workspace.remembered import Remembered

KERNELS = ("fails", "one", "two")


class Kernel(web.RequestHandler):
    async def delete(self, kernel_id):
        asked, together = self.settings["asked"], self.settings["together"]
        asked.append(kernel_id)
        if len(asked) == len(KERNELS):
            together.set()
        await together.wait()
        self.set_status(500 if kernel_id == "fails" else 204)


async def end(how):
    settings = {"asked": [], "together": asyncio.Event()}
    server = HTTPServer(web.Application([("/api/kernels/(.*)", Kernel)], **settings))
    (listener,) = bind_sockets(0, "127.0.0.1")
    server.add_socket(listener)
    GatewayClient.clear_instance()
    GatewayClient.instance().url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for kernel_id in KERNELS:
        Remembered("kernels").keep(kernel_id, {"cluster_id": "j-A", "model": {}})
    manager, told = AttachedMappingKernelManager(), []
    manager.on_kernel_end = lambda kernel_id, why: told.append(kernel_id)
    before = manager.list_kernel_ids()
    answer = await getattr(manager, how)()
    server.stop()
    lists = (before, settings["asked"], told, manager.list_kernel_ids(), Remembered("kernels").all())
    return [answer, *map(sorted, lists)]


print(json.dumps([asyncio.run(end(how)) for how in ("release", "shutdown_all")]))
"""


def test_all_kernels_are_ended_at_once_and_one_that_fails_keeps_no_other(tmp_path: Path) -> None:
    environment = {"JUPYTER_DATA_DIR": str(tmp_path / "data"), "HOME": str(tmp_path)}
    released, shut_down = json.loads(in_workspace(_PLAY, warns=False, environment=environment).stdout)
    everyone = ["fails", "one", "two"]
    assert released == [3, everyone, everyone, everyone, [], []]
    assert shut_down == [None, everyone, everyone, everyone, [], []]
