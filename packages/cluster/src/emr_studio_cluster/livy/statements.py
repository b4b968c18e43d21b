"""A statement and its output, as Livy shows them, made of what a kernel says."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

ERROR_TYPE = "application/vnd.emr-studio.livy-error+json"
"""In what a kernel shows: an error of Scala, which Python's own form of errors does not fit."""
_TEXT = "text/plain"
_SHOWN = ("application/json", "application/vnd.livy.table.v1+json", "image/png")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST_TEXT = 1024 * 1024


class StatementState(StrEnum):
    """What Livy's API names."""

    WAITING = "waiting"
    RUNNING = "running"
    AVAILABLE = "available"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


OPEN = (StatementState.WAITING, StatementState.RUNNING, StatementState.CANCELLING)


@dataclass
class Heard:
    """What a kernel said while it ran one cell."""

    text: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    length: int = 0

    def take(self, kind: str, content: dict[str, Any]) -> None:
        """Note one message of the kernel's."""
        if kind == "stream":
            self._add(str(content["text"]))
        elif kind in ("execute_result", "display_data"):
            self._show(content["data"])
        elif kind == "error":
            self.error = _error(content["ename"], content["evalue"], "\n".join(content["traceback"]))

    def _show(self, data: dict[str, Any]) -> None:
        if ERROR_TYPE in data:
            told = data[ERROR_TYPE]
            self.error = _error(told["ename"], told["evalue"], told["traceback"])
            return
        rich = {name: data[name] for name in _SHOWN if name in data}
        if not rich:
            # What a cell's last line is worth stands on a line of its own.
            self._add(f"{data.get(_TEXT, '')}\n")
        self.data |= rich

    def _add(self, text: str) -> None:
        if self.length < _LONGEST_TEXT:
            self.text.append(text)
        elif self.length - len(self.text[-1]) < _LONGEST_TEXT:
            self.text.append("\n… more than 1 MB was printed; the rest is left out.")
        self.length += len(text)

    def output(self, number: int) -> dict[str, Any]:
        """`output` of the statement."""
        if self.error is not None:
            return {"status": "error", "execution_count": number, **self.error}
        text = "".join(self.text).rstrip("\n")
        data = {**({_TEXT: text} if text or not self.data else {}), **self.data}
        return {"status": "ok", "execution_count": number, "data": data}


def failure(number: int, name: str, value: str) -> dict[str, Any]:
    """`output` of a statement that could not be run to its end."""
    return {"status": "error", "execution_count": number, **_error(name, value, value)}


def _error(name: str, value: str, trace: str) -> dict[str, Any]:
    lines = _COLOURS.sub("", trace).rstrip("\n").splitlines(keepends=True)
    return {"ename": name, "evalue": _COLOURS.sub("", value), "traceback": lines}


@dataclass
class Statement:
    """One; times are seconds since 1970, 0 before."""

    id: int
    code: str
    kind: str
    state: StatementState = StatementState.WAITING
    output: dict[str, Any] | None = None
    started: float = 0.0
    completed: float = 0.0

    def shown(self, progress: float) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "id": self.id,
            "code": self.code,
            "state": self.state.value,
            "output": self.output,
            "progress": 1.0 if self.state is StatementState.AVAILABLE else progress,
            "started": int(self.started * 1000),
            "completed": int(self.completed * 1000),
        }
