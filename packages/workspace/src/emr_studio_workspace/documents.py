"""The server owns the documents: rooms of jupyter-collaboration that stay while something runs in them.

Beside what `rooms.py` says two things differ from `jupyter_server_ydoc`: a room is given up only when
nobody looks at it and nothing runs in it (theirs: a minute after the last tab closed, whatever runs),
and what is not yet saved is saved before the server stops.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

from jupyter_server_nbmodel.handlers import ExecuteHandler, InputHandler, RequestHandler
from jupyter_server_ydoc import app as ydoc_app
from jupyter_server_ydoc import handlers as ydoc_handlers
from jupyter_server_ydoc import utils as ydoc_utils
from jupyter_server_ydoc.app import YDocExtension
from jupyter_server_ydoc.handlers import YDocWebSocketHandler
from tornado.ioloop import PeriodicCallback

from emr_studio_workspace.authors import name_of
from emr_studio_workspace.executions import Executions
from emr_studio_workspace.rooms import WorkspaceRoom

_KERNEL = r"/api/kernels/(?P<kernel_id>[\w-]+)"
_EDIT = b"\x00\x02"
"""How an update begins in the protocol of Yjs."""
_SWEEP_MILLISECONDS = 10_000
_ROOM_SECONDS = 60.0
_STOP_SECONDS = 10.0


# Their code makes rooms by these names.
ydoc_app.DocumentRoom = ydoc_handlers.DocumentRoom = WorkspaceRoom


class RoomHandler(YDocWebSocketHandler):
    """A tab's line to a document."""

    async def prepare(self) -> None:
        """Find the room, and say that it is wanted."""
        await super().prepare()
        self.room.used_at = time.monotonic()

    async def on_message(self, message: Any) -> None:
        """What a tab says; an edit makes its user an author."""
        if message[:2] == _EDIT and isinstance(self.room, WorkspaceRoom):
            self.room.authors.edited(name_of(self.current_user))
        await super().on_message(message)


class Documents(YDocExtension):
    """jupyter-collaboration's server, and executions that write into its documents."""

    executions: Executions
    handlers: list[Any]

    def initialize_settings(self) -> None:
        """A session of this very process: its module was imported before the fork."""
        super().initialize_settings()
        ydoc_utils.SERVER_SESSION = ydoc_handlers.SERVER_SESSION = str(uuid.uuid4())

    def initialize_handlers(self) -> None:
        """Theirs, with our line to a document, and the addresses of executions."""
        super().initialize_handlers()
        self.handlers = [
            (route[0], RoomHandler, *route[2:]) if route[1] is YDocWebSocketHandler else route
            for route in self.handlers
        ]
        self.executions = Executions(self)
        self.serverapp.web_app.settings["emr_studio_documents"] = self
        self.serverapp.kernel_manager.on_kernel_end = self.executions.end_kernel
        stack = {"execution_stack": self.executions}
        self.handlers += [
            (f"{_KERNEL}/execute", ExecuteHandler, dict(stack)),
            (f"{_KERNEL}/input", InputHandler, dict(stack)),
            (rf"{_KERNEL}/requests/(?P<request_id>[\w-]+)", RequestHandler, dict(stack)),
        ]
        self._sweeper = PeriodicCallback(self._sweep, _SWEEP_MILLISECONDS)
        self.serverapp.io_loop.add_callback(self._sweeper.start)
        self.serverapp.io_loop.add_callback(self.executions.take_up)

    async def cell(self, document_id: str | None, path: str | None, cell_id: str, author: str = "") -> tuple[str, Any]:
        """Room id and cell (a `pycrdt.Map`); ("", None) if there is no such cell. Opens the document if it must.

        `author` is who runs it: what comes out is that user's.
        """
        for room_id in (document_id, self._room_of(path)):
            if not room_id:
                continue
            try:
                document = await self._open(room_id)
            except Exception as error:
                self.log.warning("Document %s could not be opened: %s", room_id, error)
                continue
            for cell in document.ycells:
                if cell.get("id") == cell_id and cell.get("cell_type") == "code":
                    self.ywebsocket_server.rooms[room_id].authors.edited(author)
                    return room_id, cell
        return "", None

    def open_now(self, path: str) -> Any:
        """The notebook at `path` as those see it who have it open (a `YNotebook`); None if nobody has."""
        file_id = self.serverapp.web_app.settings["file_id_manager"].get_id(path)
        room = self.ywebsocket_server.rooms.get(f"json:notebook:{file_id}")
        return room._document if isinstance(room, WorkspaceRoom) and room.ready else None

    async def save(self, room_id: str) -> None:
        """Save the document now; nothing to do if it is not open."""
        room = self.ywebsocket_server.rooms.get(room_id)
        if isinstance(room, WorkspaceRoom):
            await room.save()

    def _room_of(self, path: str | None) -> str:
        if not path:
            return ""
        file_id = self.serverapp.web_app.settings["file_id_manager"].index(path)
        return f"json:notebook:{file_id}" if file_id else ""

    async def _open(self, room_id: str) -> Any:
        document = await self.get_document(room_id=room_id, copy=False, create=True)
        room = self.ywebsocket_server.rooms[room_id]
        room.used_at = time.monotonic()
        async with self._room_locks[room_id]:
            # A tab may have made it a moment ago and not yet read the file.
            await room.initialize()
        return document

    async def _sweep(self) -> None:
        """Give up rooms that nobody has used for a while."""
        running, now = self.executions.rooms(), time.monotonic()
        for room_id, room in list(self.ywebsocket_server.rooms.items()):
            if not isinstance(room, WorkspaceRoom):
                continue
            if room.clients or room_id in running:
                room.used_at = now
            elif now - room.used_at > _ROOM_SECONDS:
                await self._give_up(room_id, room)

    async def _give_up(self, room_id: str, room: WorkspaceRoom) -> None:
        async with self._room_locks[room_id]:
            if room.clients or room_id in self.executions.rooms() or time.monotonic() - room.used_at < _ROOM_SECONDS:
                return
            await self.ywebsocket_server.delete_room(room=room)
            file_id = room_id.split(":", 2)[2]
            if file_id in self.file_loaders and self.file_loaders[file_id].number_of_subscriptions == 0:
                await self.file_loaders.remove(file_id)

    async def stop_extension(self) -> None:
        """Save what is not saved, then stop."""
        self._sweeper.stop()
        await self.executions.close()
        rooms = [room for room in self.ywebsocket_server.rooms.values() if isinstance(room, WorkspaceRoom)]
        if rooms:
            await asyncio.wait([asyncio.create_task(room.save()) for room in rooms], timeout=_STOP_SECONDS)
        if self.ywebsocket_server.started.is_set():
            await super().stop_extension()


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "emr_studio_workspace.documents", "app": Documents}]
