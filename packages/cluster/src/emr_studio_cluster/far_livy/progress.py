"""How far a statement of Livy's is: Livy tells a number, and nothing of stages."""

from __future__ import annotations

import html
import time
import uuid
from collections.abc import Callable
from typing import Any

_PATIENCE_SECONDS, _PAUSE_SECONDS = 0.5, 0.5


class Progress:
    """How far a statement is, below its cell: only if it takes a while, and one line in the end."""

    def __init__(
        self, publish: Callable[[dict[str, Any], str, bool], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._publish, self._clock = publish, clock
        self._start, self._shown, self._display = clock(), 0.0, ""

    def see(self, done: float) -> None:
        """Livy's number, from 0 to 1."""
        now = self._clock()
        if now - self._start < _PATIENCE_SECONDS or now - self._shown < _PAUSE_SECONDS:
            return
        self._shown = now
        line = f"Livy is at work: {done:.0%}, {now - self._start:.0f} s"
        self._tell(line, f'<div>{html.escape(line)} <progress value="{done}" max="1"></progress></div>')

    def end(self) -> None:
        """The statement has ended."""
        if self._display:
            line = f"Livy: {self._clock() - self._start:.0f} s"
            self._tell(line, f"<div>{html.escape(line)}</div>")

    def _tell(self, line: str, markup: str) -> None:
        there, self._display = bool(self._display), self._display or uuid.uuid4().hex
        self._publish({"text/html": markup, "text/plain": line}, self._display, there)
