"""What a kernel says of each execution, kept in files until later ones take their place.

Jupyter's messages go to whoever listens at that moment. A Workspace's server that is killed in the middle
of a cell, or a gateway that is, would miss what the kernel prints until they are back; here they find all of
it again, in order: a file for each execution, a message (of `iopub`) on each line. The kernel itself writes
them, so nothing between it and them can lose any. The kernel gateway reads them out (`gateway.py`):

    GET /api/kernels/<kernel>/executions/<msg_id of the request>?from=<octets>&wait=<seconds>
    -> {"messages": [...], "next": <octets>}; `from` is 0 at first, then `next` of the answer before. It stays
       0 if the kernel has not begun this execution, or no longer remembers it. 404: there is no such kernel
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_FOLDER = "journal"
_DELIMITER = b"<IDS|MSG>"
_KEPT_EXECUTIONS = 20
_LONGEST_BYTES = 64 * 1024 * 1024
"""Of one execution; what it says beyond that is not kept, but for its end."""
_KEPT_BYTES = 128 * 1024 * 1024
_ANSWER_BYTES = 1024 * 1024
_ID = re.compile(r"[\w-]{1,100}")


def folder_of(node: Path, kernel_id: str) -> Path:
    """Where the journal of a kernel lies below the folder of its node."""
    return node / _FOLDER / kernel_id


def is_id(text: str) -> bool:
    """Whether it may be the name of a file here."""
    return _ID.fullmatch(text) is not None


class Journal:
    """That of one kernel process, which writes it; a kernel that is started anew has said nothing yet."""

    def __init__(self, folder: Path, longest: int = _LONGEST_BYTES, kept: int = _KEPT_BYTES) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        self._folder, self._longest, self._kept = folder, longest, kept
        self._sizes: dict[str, int] = {}
        """Octets of each execution's file, the oldest first."""

    def note(self, frames: Sequence[Any]) -> None:
        """Keep one message as it goes over the wire; a full disk costs the journal, never the message."""
        parts = [bytes(frame) for frame in frames]
        with suppress(OSError, ValueError, KeyError, AttributeError):
            begin = parts.index(_DELIMITER) + 2
            header, parent, metadata, content = parts[begin : begin + 4]
            about = json.loads(parent)
            if about.get("msg_type") == "execute_request" and is_id(about["msg_id"]):
                line = b'{"header":%s,"parent_header":%s,"metadata":%s,"content":%s}\n'
                kind = json.loads(header)["msg_type"]
                self._append(about["msg_id"], kind, line % (header, parent, metadata, content))

    def _append(self, execution: str, kind: str, line: bytes) -> None:
        if execution not in self._sizes:
            self._sizes[execution] = 0
            self._forget_old()
        if kind != "status" and self._sizes[execution] + len(line) > self._longest:
            return
        handle = os.open(self._folder / execution, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line)
        finally:
            os.close(handle)
        self._sizes[execution] += len(line)

    def _forget_old(self) -> None:
        while len(self._sizes) > 1 and (len(self._sizes) > _KEPT_EXECUTIONS or sum(self._sizes.values()) > self._kept):
            oldest = next(iter(self._sizes))
            del self._sizes[oldest]
            (self._folder / oldest).unlink(missing_ok=True)


def keep(app: Any, folder: Path) -> None:
    """Let `app` (an initialised `IPKernelApp`) keep a journal of what it says in `folder`."""
    journal, thread = Journal(folder), app.iopub_thread
    send = thread._really_send

    def send_and_keep(frames: Sequence[Any], *args: Any, **kwargs: Any) -> None:
        # Processes that the user's code forks hand their messages to this one.
        if thread._is_master_process():
            journal.note(frames)
        send(frames, *args, **kwargs)

    thread._really_send = send_and_keep


def read(folder: Path, execution: str, start: int) -> tuple[list[dict[str, Any]], int]:
    """Messages of an execution from the octet `start` on (not more than about 1 MiB) and where the next begin."""
    try:
        with (folder / execution).open("rb") as file:
            file.seek(start)
            lines = file.readlines(_ANSWER_BYTES)
    except OSError:
        return [], start
    whole = [line for line in lines if line.endswith(b"\n")]
    return [json.loads(line) for line in whole], start + sum(map(len, whole))
