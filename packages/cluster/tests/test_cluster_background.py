"""Waiting for a thread where interrupts arrive."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from emr_studio_cluster.background import Background


@pytest.fixture
def _takes_interrupts() -> Iterator[None]:
    """What runs in a shell's background is told to ignore them, and so would the tests be."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_takes_interrupts")
def test_an_interrupted_wait_knows_that_the_work_goes_on() -> None:
    over = threading.Event()
    running = Background(over.wait, "work").start()
    main = threading.main_thread().ident
    assert main is not None

    def interrupted() -> None:
        # It may come late, and before the wait as well.
        threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT)).start()
        running.wait(60)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not running.wait(0)
    over.set()
    assert running.wait(60)


def test_it_is_interrupted_until_it_has_ended() -> None:
    over, asked = threading.Event(), list[int]()

    def interrupt() -> None:
        # The first comes before there is anything to be interrupted.
        asked.append(1)
        if len(asked) == 2:
            over.set()

    assert Background(over.wait, "work").start().stop(interrupt, 60)
    assert len(asked) == 2


def test_what_does_not_end_is_left() -> None:
    over = threading.Event()
    assert not Background(over.wait, "work").start().stop(lambda: None, 0.1)
    over.set()
