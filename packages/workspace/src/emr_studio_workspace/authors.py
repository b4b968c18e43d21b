"""Who wrote a file, noted at the file itself: the mirror gives it along with the version that it saves.

An extended attribute, with the file's modification time: what a terminal or git writes later is not taken for that
user's. The file is the user's own, so this is what the Workspace says, not a proof; the audit trail has those.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from jupyter_server.base.call_context import CallContext

ATTRIBUTE = "user.emr-studio.author"
_MOST = 5
_saving: ContextVar[str] = ContextVar("saving", default="")


def name_of(user: Any) -> str:
    """As the panels show it."""
    return str(getattr(user, "name", "") or "")


def of_request() -> str:
    """The user whose request is being answered; empty outside of one."""
    handler = CallContext.get(CallContext.JUPYTER_HANDLER)
    return name_of(getattr(handler, "current_user", None))


@contextmanager
def saving_for(names: str) -> Iterator[None]:
    """What is saved inside is theirs, whoever's request this may be."""
    token = _saving.set(names)
    try:
        yield
    finally:
        _saving.reset(token)


def note(descriptor: int) -> None:
    """Note at an open file, when it is all written, who wrote it; where files can hold no notes nobody did."""
    names = _saving.get() or of_request()
    if names:
        values = {"by": names, "at": os.fstat(descriptor).st_mtime_ns}
        with suppress(OSError):
            os.setxattr(descriptor, ATTRIBUTE, json.dumps(values).encode())


class Authors:
    """Of one document: who changed it since it was last saved, else who was the last."""

    def __init__(self) -> None:
        self._since: dict[str, None] = {}
        self._last = ""

    def edited(self, name: str) -> None:
        """Somebody has changed it, or runs a cell in it."""
        if name:
            self._since[name] = None

    def take(self) -> str:
        """Those of the save that begins now: `ana, ben`."""
        if self._since:
            self._last = ", ".join(list(self._since)[:_MOST])
            self._since.clear()
        return self._last
