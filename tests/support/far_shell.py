"""A terminal of a Workspace through the edge, as the user who has opened it."""

from __future__ import annotations

import json
import time
import uuid

from emr_studio.cli.demo.browser import Workspace


def shell(workspace: Workspace, command: str, seconds: float = 120.0) -> str:
    """What `command` prints."""
    mark = uuid.uuid4().hex
    first, last = mark[:16], mark[16:]
    name = workspace.origin.json("POST", "/api/terminals")["name"]
    with workspace.origin.websocket(f"/terminals/websocket/{name}") as stream:
        # The marks are put together by the shell, so that the echo of the command does not hold them.
        stream.send(json.dumps(["stdin", f"stty -echo; echo '{first}''{last}'; {command}; echo '{last}''{first}'\r"]))
        text, deadline = "", time.monotonic() + seconds
        while last + first not in text:
            assert time.monotonic() < deadline, text
            kind, *rest = json.loads(stream.recv(timeout=seconds))
            text += rest[0] if kind == "stdout" else ""
    workspace.origin.request("DELETE", f"/api/terminals/{name}")
    return text.split(first + last)[1].split(last + first)[0].strip().replace("\r\n", "\n")
