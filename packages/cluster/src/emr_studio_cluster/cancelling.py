"""Cancelling what a cell has asked of a driver of this process.

An interrupt in the middle of a call leaves the thread's connection to the JVM in no good state: what py4j does about it
may raise an error that takes the interrupt's place, and the thread's next call may fail. So it is another thread, with
a connection of its own, that tells the driver, and it tells again what did not arrive.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from typing import Any

from emr_studio_cluster.background import Background

log = logging.getLogger(__name__)

_TOLD_SECONDS = 10.0
_TELL_SECONDS = 60.0
_AGAIN_SECONDS = 0.2
_LATE_SECONDS = 10.0


def was_interrupted(error: BaseException | None) -> bool:
    """Whether an interrupt led to it, even if the error is that of a connection which the interrupt broke."""
    seen = set[int]()
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def interrupt_session(session: Any) -> None:
    """Stop what a session of Spark Connect runs; an interrupt that comes again ends the waiting alone."""

    def tell() -> None:
        try:
            session.interruptAll()
        except Exception:  # the server may be away
            log.warning("the server could not be told to interrupt the session", exc_info=True)

    Background(tell, "cancel").start().wait(_TOLD_SECONDS)


def cancel_jobs(context: Any, group: str = "", *, for_good: bool = True) -> None:
    """Cancel all jobs of the driver, and those that the group, if there is one, still submits.

    `for_good`: however late, which needs Spark 4. Not where Scala has run: threads that a cell leaves to others, as
    those of Scala's futures, stay in its group.

    Returns once the driver has been told; one that does not answer keeps nobody waiting for long, and is then told of
    the group alone: other jobs may be those of the next cell.
    """
    over = threading.Event()
    Background(lambda: _tell(context, group, over, for_good), "cancel").start().wait(_TOLD_SECONDS)
    over.set()
    # The first call on a broken connection fails, and the one after it gets a new one: the next cell's.
    with suppress(Exception):
        context._jsc.version()


def _tell(context: Any, group: str, over: threading.Event, for_good: bool) -> None:
    until = time.monotonic() + _TELL_SECONDS
    while True:
        try:
            if group:
                _cancel_group(context, group, for_good)
            if not over.is_set():
                context.cancelAllJobs()
            return
        except Exception:  # of a connection, or of a driver that ends
            if time.monotonic() > until:
                log.warning("the driver could not be told to cancel %s", group or "its jobs", exc_info=True)
                return
        threading.Event().wait(_AGAIN_SECONDS)


def _cancel_group(context: Any, group: str, for_good: bool) -> None:
    """With what is on its way to the driver: a query may still be planned there."""
    if for_good and int(str(context.version).partition(".")[0]) >= 4:
        context._jsc.sc().cancelJobGroupAndFutureJobs(group)
        return
    context.cancelJobGroup(group)
    Background(lambda: _cancel_late(context, group), "cancel-late").start()


def _cancel_late(context: Any, group: str) -> None:
    """What the cell still submits; the jobs of later cells are in other groups."""
    until = time.monotonic() + _LATE_SECONDS
    while time.monotonic() < until:
        with suppress(Exception):
            context.cancelJobGroup(group)
        threading.Event().wait(_AGAIN_SECONDS)
