"""What all controllers share: waking, leases and the loop. Domains add a `Reconciler` each.

    a write ──> Waker ──datagram──┐
    an exiting process (agent) ───┼──> ControllerManager ──lease──> Reconciler.reconcile(id)
    the clock (`pending`) ────────┘          ^── again after the seconds it answers, or backoff

A resource is reconciled by one worker at a time, in all processes of an installation: the worker
holds a row of `controller_leases`, taken by compare-and-set and renewed while it works.
"""

from __future__ import annotations

import heapq
import json
import logging
import random
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from emr_studio.clock import Clock
from emr_studio.db import Database
from emr_studio.leases import Key, Leases
from emr_studio.settings import Settings

log = logging.getLogger(__name__)

_RENEW_SECONDS = 10.0
_FIRST_BACKOFF = 0.25
_LONGEST_BACKOFF = 30.0
_HELD_ELSEWHERE = 1.0
_DATAGRAM_BYTES = 4096
WORKLOAD = "workload"
"""Kind of the wakes of a host agent: a workload started or ended."""
# A workload's id begins with that of the resource it belongs to: `e-…`, `j-…/ci-…/master`, `ss-…/connect`,
# `h-…/history`.
_OWNERS_KIND = {"e-": "workspace", "j-": "cluster", "ss": "session", "h-": "history"}


class Waker(Protocol):
    """Tells the controllers, in whatever process, that a resource has work waiting."""

    def wake(self, kind: str, resource_id: str) -> None:
        """`kind` is a domain's reconciler (`cluster`, `workspace`). Never raises; a lost wake is
        made up by the controllers' own clock."""
        ...


class Reconciler(Protocol):
    """One domain's controller."""

    kind: str

    def pending(self) -> list[str]:
        """Ids of resources whose status is not their target (or that need a look)."""
        ...

    def reconcile(self, resource_id: str) -> float | None:
        """Take one saved step towards the target; called in a worker thread under a lease.

        Returns seconds until the next look, 0 for at once, None when nothing is left to do.
        Any exception is logged and tried again with jittered, bounded backoff.
        """
        ...


class SocketWaker:
    """Wakes the controllers by a datagram on their unix socket."""

    def __init__(self, settings: Settings) -> None:
        self._path = str(settings.controller_socket)

    def wake(self, kind: str, resource_id: str) -> None:
        # Nobody listens, or the queue is full: their own clock finds the work within a second.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(json.dumps({"kind": kind, "id": resource_id}).encode(), self._path)


class _Schedule:
    """When which resource is looked at next; thread safe. Times are of the monotonic clock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heap: list[tuple[float, Key]] = []
        self._due: dict[Key, float] = {}
        self._busy: set[Key] = set()
        self._again: set[Key] = set()

    def add(self, key: Key, due: float) -> None:
        """Look at `key` at `due`, or when it was due anyway if that is sooner."""
        with self._lock:
            if key in self._busy:
                self._again.add(key)
            elif due < self._due.get(key, float("inf")):
                self._due[key] = due
                heapq.heappush(self._heap, (due, key))

    def take(self, now: float) -> list[Key]:
        """All that are due; they are busy until `finish`."""
        taken = []
        with self._lock:
            while self._heap and self._heap[0][0] <= now:
                due, key = heapq.heappop(self._heap)
                if self._due.get(key) == due:
                    del self._due[key]
                    self._busy.add(key)
                    taken.append(key)
        return taken

    def finish(self, key: Key, again_at: float | None, now: float) -> None:
        """The work on `key` is done; a wake that came meanwhile makes it due at once."""
        with self._lock:
            self._busy.discard(key)
            woken = key in self._again
            self._again.discard(key)
        if woken:
            self.add(key, now)
        elif again_at is not None:
            self.add(key, again_at)

    def next_due(self) -> float | None:
        with self._lock:
            return self._heap[0][0] if self._heap else None

    def busy(self) -> list[Key]:
        with self._lock:
            return list(self._busy)


class ControllerManager:
    """Runs reconcilers until it is stopped.

    `run` blocks; `start` and `stop` do the same in a thread of their own. `poll_seconds` is how
    often every reconciler is asked what is pending.
    """

    def __init__(
        self,
        reconcilers: Sequence[Reconciler],
        database: Database,
        clock: Clock,
        socket_path: Path,
        worker_threads: int = 16,
        *,
        poll_seconds: float = 1.0,
        owner: str | None = None,
    ) -> None:
        self._reconcilers = {r.kind: r for r in reconcilers}
        self._leases = Leases(database, clock, owner)
        self._socket_path = socket_path
        self._workers = worker_threads
        self._poll_seconds = poll_seconds
        self._schedule = _Schedule()
        self._failures: dict[Key, int] = {}
        self._stopping = threading.Event()
        self._bell: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Run in a thread; returns when wakes are received."""
        listening = threading.Event()
        self._thread = threading.Thread(target=self.run, args=(listening.set,), name="controllers", daemon=True)
        self._thread.start()
        if not listening.wait(10):
            raise RuntimeError("the controllers did not start")

    def stop(self) -> None:
        """Ask to stop and wait until what is being worked on is at its next saved step."""
        self.request_stop()
        if self._thread is not None:
            self._thread.join()

    def request_stop(self) -> None:
        """Ask to stop; may be called in a signal handler."""
        self._stopping.set()
        self._ring()

    def wake(self, kind: str, resource_id: str) -> None:
        """Look at a resource at once (fulfils `Waker` inside this process)."""
        if kind in self._reconcilers:
            self._schedule.add((kind, resource_id), time.monotonic())
            self._ring()

    def run(self, listening: Callable[[], None] | None = None) -> None:
        """Receive wakes, poll and hand out work until `request_stop`."""
        self._bell, heard = socket.socketpair()
        self._bell.setblocking(False)
        try:
            with heard:
                self._run(heard, listening)
        finally:
            bell, self._bell = self._bell, None
            bell.close()

    def _run(self, heard: socket.socket, listening: Callable[[], None] | None) -> None:
        with _datagram_socket(self._socket_path) as wakes, ThreadPoolExecutor(self._workers, "controller") as pool:
            helpers = [
                threading.Thread(target=self._every, args=(self._poll_seconds, self._poll), daemon=True),
                threading.Thread(target=self._every, args=(_RENEW_SECONDS, self._renew), daemon=True),
            ]
            for helper in helpers:
                helper.start()
            if listening is not None:
                listening()
            self._loop(wakes, heard, pool)
            pool.shutdown(wait=True, cancel_futures=True)
            for helper in helpers:
                helper.join()
        self._socket_path.unlink(missing_ok=True)

    def work(self, key: Key) -> float | None:
        """One turn on one resource, under its lease. Returns seconds until the next, or None.

        Public for tests that take turns by hand.
        """
        if not self._leases.acquire(key):
            return _HELD_ELSEWHERE * random.uniform(0.5, 1.0)
        try:
            again = self._reconcilers[key[0]].reconcile(key[1])
        except Exception:  # whatever it was, the next turn begins from what is saved
            return self._backoff(key)
        finally:
            self._leases.release(key)
        self._failures.pop(key, None)
        return again

    def _backoff(self, key: Key) -> float:
        count = self._failures[key] = self._failures.get(key, 0) + 1
        seconds = backoff_seconds(count)
        log.exception("%s %s failed (%d times); again in %.1f s", *key, count, seconds)
        return seconds

    def _loop(self, wakes: socket.socket, heard: socket.socket, pool: ThreadPoolExecutor) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(wakes, selectors.EVENT_READ, self._receive)
            selector.register(heard, selectors.EVENT_READ, lambda s: s.recv(_DATAGRAM_BYTES))
            while not self._stopping.is_set():
                for event, _mask in selector.select(self._timeout()):
                    event.data(event.fileobj)
                for key in self._schedule.take(time.monotonic()):
                    pool.submit(self._turn, key)

    def _timeout(self) -> float | None:
        due = self._schedule.next_due()
        return None if due is None else max(0.0, due - time.monotonic())

    def _turn(self, key: Key) -> None:
        again: float | None = _HELD_ELSEWHERE
        try:
            if not self._stopping.is_set():
                again = self.work(key)
        except Exception:  # the database, while taking or giving back the lease
            again = self._backoff(key)
        finally:
            now = time.monotonic()
            self._schedule.finish(key, None if again is None else now + again, now)
            self._ring()

    def _receive(self, wakes: socket.socket) -> None:
        # Many wakes may wait; each is one datagram.
        with suppress(BlockingIOError):
            while True:
                self._read_wake(wakes.recv(_DATAGRAM_BYTES))

    def _read_wake(self, datagram: bytes) -> None:
        try:
            message = json.loads(datagram)
            key = _resource(str(message["kind"]), str(message["id"]))
        except (ValueError, KeyError, TypeError):
            log.warning("not a wake: %r", datagram[:200])
            return
        if key[0] in self._reconcilers:
            self._schedule.add(key, time.monotonic())

    def _every(self, seconds: float, task: Callable[[], None]) -> None:
        while True:
            try:
                task()
            except Exception:
                log.exception("a periodic task of the controllers failed")
            if self._stopping.wait(seconds):
                return

    def _poll(self) -> None:
        for kind, reconciler in self._reconcilers.items():
            try:
                found = reconciler.pending()
            except Exception:
                log.exception("could not ask what is pending for %s", kind)
                continue
            now = time.monotonic()
            for resource_id in found:
                # One that failed keeps its own time: the poll must not shorten the backoff.
                if (kind, resource_id) not in self._failures:
                    self._schedule.add((kind, resource_id), now)
        self._ring()

    def _renew(self) -> None:
        if busy := self._schedule.busy():
            self._leases.renew(busy)

    def _ring(self) -> None:
        # A full pipe rings already; a closed one belongs to a loop that has ended.
        if (bell := self._bell) is not None:
            with suppress(OSError):
                bell.send(b"!")


def _resource(kind: str, resource_id: str) -> Key:
    """What a wake is about: for a workload, the resource that it belongs to."""
    if kind != WORKLOAD:
        return kind, resource_id
    return _OWNERS_KIND.get(resource_id[:2], kind), resource_id.partition("/")[0]


def backoff_seconds(failures: int) -> float:
    """Jittered, bounded: a quarter of a second after the first failure, at most half a minute."""
    seconds = min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2.0 ** min(failures - 1, 20))
    return seconds * random.uniform(0.5, 1.0)


def _datagram_socket(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    receiving = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiving.bind(str(path))
    path.chmod(0o600)
    receiving.setblocking(False)
    return receiving


class Owned(Protocol):
    """What the sweep needs of an observed workload."""

    @property
    def workload_id(self) -> str: ...

    @property
    def owner(self) -> str: ...


class Host(Protocol):
    """What the sweep needs of a runtime (`runtime.contract.Runtime` fulfils it)."""

    def list(self) -> Sequence[Owned]: ...

    def stop(self, workload_id: str, grace_seconds: float = 10.0) -> None: ...


class OwnerBook(Protocol):
    """A domain that owns workloads."""

    def owner_exists(self, owner: str) -> bool | None:
        """True or False for an owner of this domain's kind; None for another's."""
        ...


class OrphanSweep:
    """Stops what runs without an owner row; a reconciler of one resource, looked at in its own rhythm.

    A row is always committed before its workload is launched and deleted after the workload is
    gone, so a workload without a row is an orphan at whatever moment it is seen.
    """

    kind = "orphans"

    def __init__(self, host: Host, books: Sequence[OwnerBook], seconds: float = 15.0) -> None:
        self._host = host
        self._books = books
        self._seconds = seconds
        self._next = 0.0

    def pending(self) -> list[str]:
        return ["sweep"] if time.monotonic() >= self._next else []

    def reconcile(self, resource_id: str) -> float | None:
        self._next = time.monotonic() + self._seconds
        for workload in self._host.list():
            answers = [book.owner_exists(workload.owner) for book in self._books]
            if False in answers and True not in answers:
                log.warning("stopping %s: its owner %s is gone", workload.workload_id, workload.owner)
                self._host.stop(workload.workload_id)
        return None
