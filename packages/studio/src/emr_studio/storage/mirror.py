"""Keeps a Workspace's folder in S3: restore at the start, every change while it runs, all before a stop.

    watcher (inotify) ──> dirty folders ──> compare with the state ──> upload, delete ──> note in the state

An event is only a hint where to look: what is done follows from comparing the folder with the
state (what S3 has), so a lost event, a kill or a restart costs nothing but a full comparison.
"""

from __future__ import annotations

import datetime as dt
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from httpx import HTTPError

from emr_studio.storage.names import is_ignored, is_safe_key, key_of
from emr_studio.storage.s3 import parse_s3_uri
from emr_studio.storage.scan import Changes, Scanner
from emr_studio.storage.state import MirrorState
from emr_studio.storage.transfer import Transfer, Unstable
from emr_studio.storage.tree import Tree
from emr_studio.storage.versions import FileVersion, Versions
from emr_studio.storage.watch import shared_watcher

log = logging.getLogger(__name__)
T = TypeVar("T")

ClientFactory = Callable[[], Any]
"""Makes a boto-style S3 client (`emr_studio.storage.s3`); called again after a failure."""
Progress = Callable[[int, int], None]
"""Called with (objects done, objects in all) during a restore."""
Listener = Callable[["MirrorStatus"], None]
"""Called when a save begins that has something to do, and after each; quick, and raises nothing."""

_SOON_SECONDS = 0.03
"""Save when nothing happened for so long …"""
_QUIET_SECONDS = 0.25
"""… or for so long, where the save before it was a moment ago: something writes all the time …"""
_LATEST_SECONDS = 1.0
"""… or so long after the first change at the latest."""
_POLL_SECONDS = 3.0
"""Full comparisons, where the machine allows no more watches."""
_LONGEST_BACKOFF = 30.0
_TORN_AFTER = 4
"""A file that changed during so many readings on end (a growing log) is saved as read."""
_PARALLEL = 8
_FAILURES = (BotoCoreError, ClientError, HTTPError, OSError, Unstable, sqlite3.Error)
"""What may go wrong and be tried again; SQLite's, where the host's disk has no room to note what S3 has."""


class MirrorError(Exception):
    """S3 does not have everything (flush), or the folder could not be restored; the text says why."""


@dataclass(frozen=True)
class MirrorStatus:
    """What the agent may tell about a mirror.

    `last_saved`: when S3 last had everything known; `pending`: changes known but not yet in S3;
    `error`: the last failure in one sentence, empty when all is well; `skipped`: how many files
    cannot be mirrored (names that S3 cannot hold, files of another owner).
    """

    last_saved: dt.datetime | None
    pending: int
    error: str
    skipped: int = 0


class Mirror:
    """One folder and its place in S3.

    Args:
        folder: the Workspace's file tree; it belongs to untrusted code and must exist.
        s3_location: `s3://bucket/prefix/<editor id>/`.
        client_factory: called when a client is needed.
        state_path: file that remembers what S3 has; outside of `folder`.
        owner_uid: owner of restored files; files of other owners are not mirrored.
    """

    def __init__(
        self, folder: Path, s3_location: str, client_factory: ClientFactory, state_path: Path, owner_uid: int
    ) -> None:
        self._bucket, prefix = parse_s3_uri(s3_location)
        self._prefix = prefix if not prefix or prefix.endswith("/") else prefix + "/"
        self._client_factory = client_factory
        self._tree = Tree(folder, owner_uid)
        self._state = MirrorState(state_path)
        self._scanner = Scanner(self._tree, self._state)
        self._client: Any = None
        self.tell: Listener = lambda _status: None
        """Who is to know how far the mirror is."""
        self.kms_key_id: str | None = ""
        """The KMS key with which S3 seals what is written from now on; empty: S3's own; None: what it does unasked."""
        self._working = threading.Lock()
        self._condition = threading.Condition()
        self._dirty: set[str] = set()
        self._everything = False
        self._since = 0.0
        self._latest = 0.0
        self._ended = 0.0
        """When the thread's last attempt ended."""
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._torn: dict[str, int] = {}
        self._last_saved: dt.datetime | None = None
        self._pending = 0
        self._error = ""

    # --- what the agent calls

    def restore(self, progress: Progress | None = None) -> None:
        """Bring the folder up to S3, then S3 up to the folder; blocks.

        A new or changed object wins; where both sides changed the local file is kept beside it as
        `name (conflict <time>).ext`; files that only exist here are uploaded.

        Raises:
            MirrorError: if S3 cannot be read (a later call goes on where this one stopped).
        """
        with self._working:
            try:
                with self._state.opened():
                    self._restore(progress)
                    self._save(None)
            except _FAILURES as error:
                self._error = _sentence(error)
                raise MirrorError(self._error) from error
            self._succeeded()

    def start(self) -> None:
        """Watch and save from now on (own thread); begins with a full comparison. Idempotent."""
        with self._condition:
            if self._thread is not None:
                return
            self._stopping = False
            self._everything = True
            self._since = self._latest = time.monotonic()
            self._thread = threading.Thread(target=self._run, name=f"mirror {self._prefix}", daemon=True)
        self._scanner.watch(shared_watcher(), self)
        self._thread.start()

    def flush(self, timeout: float = 60.0) -> None:
        """Return when S3 has everything that was in the folder at the call.

        Raises:
            MirrorError: if that did not succeed within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        if not self._working.acquire(timeout=timeout):
            raise MirrorError(f"S3 did not have everything within {timeout:.0f} s: another save is still running")
        try:
            pause = 0.05
            while not self._attempt(None):
                pause = min(pause * 2, 2.0, deadline - time.monotonic())
                if pause <= 0:
                    raise MirrorError(f"S3 does not have everything after {timeout:.0f} s: {self._error}")
                time.sleep(pause)
        finally:
            self._working.release()

    def versions(self, path: str) -> list[FileVersion]:
        """The versions that S3 keeps of a file, newest first.

        Raises:
            MirrorError: S3 refuses, or is away.
            ValueError: no file of that name is kept in S3.
        """
        return self._asked(lambda versions: versions.list(_key(path)))

    def version(self, path: str, version_id: str) -> bytes:
        """The content of one of them; raises like `versions`."""
        return self._asked(lambda versions: versions.read(_key(path), version_id))

    def _asked(self, ask: Callable[[Versions], T]) -> T:
        try:
            return ask(Versions(self._client_factory(), self._bucket, self._prefix))
        except _FAILURES as error:
            raise MirrorError(_sentence(error)) from error

    def stop(self) -> None:
        """Stop watching; does not flush. Idempotent."""
        with self._condition:
            thread, self._thread = self._thread, None
            self._stopping = True
            self._condition.notify_all()
        if thread is not None:
            thread.join()
        self._scanner.unwatch()

    def status(self) -> MirrorStatus:
        """The state now; cheap."""
        with self._condition:
            waiting = 1 if self._dirty or self._everything else 0
            return MirrorStatus(self._last_saved, max(self._pending, waiting), self._error, self._scanner.skipped)

    # --- what the watcher calls

    def changed(self, directory: str, name: str) -> None:
        """Look at `directory` soon."""
        if is_ignored(name):
            return
        with self._condition:
            self._latest = time.monotonic()
            if not self._dirty and not self._everything:
                self._since = self._latest
                self._condition.notify_all()
            self._dirty.add(directory)

    def lost(self) -> None:
        """Look at everything soon."""
        with self._condition:
            self._everything = True
            self._condition.notify_all()

    # --- the thread

    def _run(self) -> None:
        backoff = 0.0
        while (folders := self._next_folders(backoff)) is not _STOP:
            with self._working:
                started = time.monotonic()
                if self._attempt(folders):
                    # Never busy for more than half of the time, however much is written.
                    backoff = min(time.monotonic() - started, _LONGEST_BACKOFF) if folders is not None else 0.0
                else:
                    backoff = min(max(backoff * 2, 0.25), _LONGEST_BACKOFF)
                    self._look_again(folders)
            self._ended = time.monotonic()

    def _next_folders(self, pause: float) -> set[str] | None:
        """Wait for changes and for quiet; return the folders to look at, None for all of them."""
        with self._condition:
            not_before = time.monotonic() + pause
            while not self._stopping:
                now = time.monotonic()
                due = max(min(self._latest + self._quiet, self._since + _LATEST_SECONDS), not_before)
                if not self._dirty and not self._everything:
                    if not self._condition.wait(_POLL_SECONDS if self._scanner.must_poll else None):
                        self._everything = True
                elif now < due:
                    self._condition.wait(due - now)
                else:
                    folders = None if self._everything else self._dirty
                    self._dirty, self._everything = set(), False
                    return folders
        return _STOP

    @property
    def _quiet(self) -> float:
        """Seconds without a change that a save waits for."""
        return _QUIET_SECONDS if self._since < self._ended + _LATEST_SECONDS else _SOON_SECONDS

    def _look_again(self, folders: set[str] | None) -> None:
        with self._condition:
            self._everything = self._everything or folders is None
            self._dirty |= folders or set()

    # --- the work (under `_working`)

    def _attempt(self, folders: set[str] | None) -> bool:
        """Save; True if S3 now has everything that was to be seen in `folders`."""
        try:
            with self._state.opened():
                self._save(folders)
        except _FAILURES as error:
            sentence = _sentence(error)
            if sentence != self._error and not isinstance(error, Unstable):
                log.warning("mirror of %s: %s", self._prefix, sentence)
            self._error = sentence
            self._client = None
            self.tell(self.status())
            return False
        self._succeeded()
        return True

    def _succeeded(self) -> None:
        self._error = ""
        self._pending = 0
        self._last_saved = dt.datetime.now(dt.UTC)
        self.tell(self.status())

    def _save(self, folders: set[str] | None) -> None:
        changes: Changes = self._scanner.compare(folders)
        self._pending = len(changes.uploads) + len(changes.deletions)
        transfer = self._transfer() if self._pending else None
        if transfer is None:
            return
        self.tell(self.status())
        # First what is new, then what is gone: a renamed file is in S3 at every moment.
        self._each(changes.uploads, lambda path: self._upload(transfer, path, changes.uploads[path]))
        self._each(changes.deletions, transfer.delete)

    def _upload(self, transfer: Transfer, path: str, key: str) -> None:
        try:
            transfer.upload(path, key, accept_torn=self._torn.get(path, 0) >= _TORN_AFTER)
        except Unstable:
            self._torn[path] = self._torn.get(path, 0) + 1
            raise
        except PermissionError:
            # The owner took our right to read it (only where the agent is an ordinary user).
            log.info("mirror of %s: %r cannot be read", self._prefix, path)
        self._torn.pop(path, None)

    def _each(self, items: Iterable[str], work: Callable[[str], None], done: Callable[[], None] | None = None) -> None:
        """Do `work` for all, in parallel; then raise the first failure, if any."""
        todo = list(items)
        failure: BaseException | None = None
        if not todo:
            return
        with ThreadPoolExecutor(min(_PARALLEL, len(todo))) as pool:
            for future in as_completed([pool.submit(work, item) for item in todo]):
                failure = failure or future.exception()
                if future.exception() is None:
                    self._pending = max(self._pending - 1, 0)
                    if done:
                        done()
        if failure is not None:
            raise failure

    def _transfer(self) -> Transfer:
        if self._client is None:
            self._client = self._client_factory()
        place = (self._client, self._bucket, self._prefix)
        return Transfer(*place, self._tree, self._state, kms_key_id=self.kms_key_id)

    def _restore(self, progress: Progress | None) -> None:
        transfer = self._transfer()
        remote = dict(transfer.list())
        wanted = [key for key in self._to_download(remote) if is_safe_key(key)]
        count = 0

        def done() -> None:
            nonlocal count
            count += 1
            if progress:
                progress(count, len(wanted))

        self._each(wanted, lambda key: self._download(transfer, key), done)
        self._forget_missing(remote)

    def _download(self, transfer: Transfer, key: str) -> None:
        try:
            transfer.download(key)
        except (NotADirectoryError, IsADirectoryError, FileExistsError, PermissionError) as error:
            # S3 may hold both `a` and `a/b`, a folder cannot; one such key must not keep a Workspace down.
            log.warning("mirror of %s: %r cannot be restored: %s", self._prefix, key, error)

    def _to_download(self, remote: dict[str, str]) -> list[str]:
        known = {saved.key: (path, saved) for path, saved in self._state.saved.items()}
        wanted = []
        for key, etag in remote.items():
            path, saved = known.get(key, (key, None))
            unchanged = saved is not None and saved.etag == etag and not key.endswith("/")
            # A file that is missing here comes back: at a start S3 is what counts.
            if not unchanged or self._tree.node(path) is None:
                wanted.append(key)
        return wanted

    def _forget_missing(self, remote: dict[str, str]) -> None:
        """What S3 lacks is no longer "saved": files that only exist here are uploaded."""
        for path in [path for path, saved in self._state.saved.items() if saved.key not in remote]:
            self._state.remove(path)


def _key(path: str) -> str:
    key = key_of(path)
    if key is None or not is_safe_key(path) or path.endswith("/"):
        raise ValueError(f"{path!r} is not a file that is kept in S3.")
    return key


_STOP: set[str] = set()
"""Returned by identity: the thread is to end."""


def _sentence(error: BaseException) -> str:
    if isinstance(error, Unstable):
        return "a file changes all the time and could not be read whole yet"
    return f"{type(error).__name__}: {error}"
