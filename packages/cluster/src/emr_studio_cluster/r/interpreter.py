"""R for one notebook: IRkernel's process and the bridge that it asks, started anew when R has ended."""

from __future__ import annotations

import queue
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from emr_studio_cluster.background import Background
from emr_studio_cluster.cancelling import cancel_jobs, interrupt_session
from emr_studio_cluster.r.bridge import Bridge
from emr_studio_cluster.r.client import Message, REnded, RProcess

_LOOK_SECONDS = 0.05
_AGAIN_LOOKS = 10
_ASK_SECONDS = 10.0
Show = Callable[[str, dict[str, Any]], None]
"""Shows a message of R's, by its type and content."""
Ask = Callable[[str, bool], str]
"""Asks the user, by a prompt; True: what is typed is not shown."""


def cancel(session: Any) -> None:
    """End what a session runs, of Spark Connect or of a driver of this process."""
    if ".connect." in type(session).__module__:
        interrupt_session(session)
    else:
        cancel_jobs(session.sparkContext)


class Interpreter:
    """Of one kernel. All but what `session` does happens in the main thread, where interrupts arrive."""

    def __init__(self, session: Callable[[], Any], folder: Path) -> None:
        """`session` gives PySpark's session when R asks something of it; `folder`: for its files, below it."""
        self._session = session
        self._folder = Path(tempfile.mkdtemp(prefix=".r-", dir=folder))
        self._starts = 0
        self._process: RProcess | None = None
        self._bridge: Bridge | None = None
        self._is_ready = self._is_cancelled = False

    def start(self) -> None:
        """Start R, if it does not run; it is waited for when something is asked of it."""
        if self._process is not None and self._process.is_running():
            return
        self.end()
        self._starts += 1
        self._bridge = Bridge(self._session, self._folder / f"bridge-{self._starts}")
        self._bridge.open()
        self._process = RProcess(self._folder / f"r-{self._starts}", self._folder / f"bridge-{self._starts}")
        self._is_ready = False

    def run(self, code: str, show: Show, ask: Ask | None = None, *, silent: bool = False) -> dict[str, Any]:
        """Run a cell; returns the content of IRkernel's reply. A cell that was interrupted raises at its end.

        Raises:
            REnded: R did not start, or ended; the next cell gets a new one.
            KeyboardInterrupt: the cell was interrupted, and has ended.
        """
        self.start()
        messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        replies: list[dict[str, Any]] = []
        ended: list[REnded] = []

        def work() -> None:
            try:
                self._ready()
                if self._is_cancelled:
                    return
                replies.append(self._running().execute(code, silent=silent, history=not silent, show=messages.put))
            except REnded as error:
                ended.append(error)

        self._is_cancelled = False
        interrupted = self._watch(Background(work, "r-cell").start(), lambda: self._pass_on(messages, show, ask))
        self._pass_on(messages, show, ask)
        if ended:
            raise ended[0]
        if interrupted:
            raise KeyboardInterrupt
        return replies[0]

    def _watch(self, running: Background, look: Callable[[], None]) -> bool:
        """Until the cell has ended; whether it was interrupted."""
        interrupted, looks = False, 0
        while True:
            try:
                if interrupted and looks % _AGAIN_LOOKS == 0:
                    self._interrupt(again=looks > 0)
                looks += 1
                if running.wait(_LOOK_SECONDS):
                    return interrupted
                look()
            except KeyboardInterrupt:
                interrupted, looks, self._is_cancelled = True, 0, True

    def _interrupt(self, *, again: bool) -> None:
        """R first: when Spark's answer comes it does not go on. A query may be only on its way to Spark."""
        # R that is interrupted while it starts would end.
        if not again and self._is_ready:
            self._running().interrupt()
        if self._bridge is not None and self._bridge.is_busy:
            cancel(self._session())

    def _pass_on(self, messages: queue.SimpleQueue[Message], show: Show, ask: Ask | None) -> None:
        while not messages.empty():
            kind, content = messages.get()
            if kind != "input_request":
                show(kind, content)
            elif ask is not None:
                self._running().tell(ask(content["prompt"], bool(content["password"])))
            else:
                self._running().tell("")

    def request(self, kind: str, content: dict[str, Any]) -> dict[str, Any] | None:
        """What R says of code (`complete_request` and others); None if it does not run or does not answer."""
        try:
            self.start()
            self._ready()
        except (REnded, OSError):
            return None
        return self._running().request(kind, content, _ASK_SECONDS)

    def _ready(self) -> None:
        if not self._is_ready:
            self._running().wait()
            self._is_ready = True

    def _running(self) -> RProcess:
        assert self._process is not None
        return self._process

    def failure(self) -> BaseException | None:
        """What went wrong in Spark since this was asked last."""
        if self._bridge is None:
            return None
        found, self._bridge.failure = self._bridge.failure, None
        return found

    def end(self) -> None:
        """End R; what it had is gone."""
        if self._process is not None:
            self._process.end()
        if self._bridge is not None:
            with suppress(OSError, ValueError):
                self._bridge.close()
        self._process = self._bridge = None

    def leave(self) -> None:
        """End R for good, with its files."""
        self.end()
        shutil.rmtree(self._folder, ignore_errors=True)
