"""A page that has a document open, without a browser: a Yjs document and a websocket to its room."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from pycrdt import Array, Doc, YMessageType, create_sync_message, create_update_message, handle_sync_message
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.support.agent_rig import Workspace


def room_of(workspace: Workspace, name: str) -> str:
    """The address of the room of a notebook."""
    with workspace.client() as client:
        body = {"format": "json", "type": "notebook"}
        found = client.put(f"/api/collaboration/session/{name}", json=body).raise_for_status().json()
    return f"/api/collaboration/room/json:notebook:{found['fileId']}?sessionId={found['sessionId']}"


class Client:
    """One open page."""

    def __init__(self, workspace: Workspace, room: str, document: Doc[Any] | None = None) -> None:
        self.workspace, self._room = workspace, room
        self.document: Doc[Any] = Doc() if document is None else document
        self.cells: Array[Any] = self.document.get("cells", type=Array)
        self._unsent: list[bytes] = []
        self._receiving = False
        self._subscription = self.document.observe(self._on_change)
        self._line: ClientConnection | None = None
        self._held = ExitStack()
        self.online()

    @property
    def is_online(self) -> bool:
        return self._line is not None

    def online(self) -> None:
        """Connect, and tell each other what the other does not know."""
        self._line = self._held.enter_context(self.workspace.connect(self._room))
        self._line.send(create_sync_message(self.document))
        self._unsent.clear()
        self.receive(0.5)

    def offline(self) -> None:
        """The line is cut; edits go on."""
        self._held.close()
        self._line = None

    def _on_change(self, event: Any) -> None:
        if not self._receiving:
            self._unsent.append(create_update_message(event.update))

    def flush(self) -> None:
        """Send what was typed."""
        if self._line is not None:
            for message in self._unsent:
                self._line.send(message)
            self._unsent.clear()

    def receive(self, seconds: float = 0.0) -> None:
        """Take in what has come."""
        try:
            while self._line is not None:
                self._take(self._line.recv(timeout=seconds))
                seconds = 0.0
        except TimeoutError:
            pass
        except ConnectionClosed:
            self._line = None

    def _take(self, message: str | bytes) -> None:
        if not isinstance(message, bytes) or message[0] != YMessageType.SYNC:
            return
        self._receiving = True
        try:
            reply = handle_sync_message(message[1:], self.document)
        finally:
            self._receiving = False
        if reply is not None and self._line is not None:
            self._line.send(reply)

    def sources(self) -> dict[str, str]:
        """The text of each cell."""
        return {cell["id"]: str(cell["source"]) for cell in self.cells}
