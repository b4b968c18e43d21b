"""Keeps a Workspace's folder in S3: restore at the start, every change while it runs, all before a stop."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ClientFactory = Callable[[], Any]
"""Makes (or returns) a boto3 S3 client; see `emr_studio.storage.s3`."""
Progress = Callable[[int, int], None]
"""Called with (objects done, objects in all) during a restore."""


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
        self._folder = folder
        self._location = s3_location
        self._client_factory = client_factory
        self._state_path = state_path
        self._owner_uid = owner_uid

    def restore(self, progress: Progress | None = None) -> None:
        """Bring the folder up to S3, then S3 up to the folder; blocks.

        A new or changed object wins; where both sides changed the local file is kept beside it as
        `name (conflict <time>).ext`; files that only exist here are uploaded.

        Raises:
            MirrorError: if S3 cannot be read (a later call goes on where this one stopped).
        """
        raise NotImplementedError

    def start(self) -> None:
        """Watch and save from now on (own thread); begins with a full comparison. Idempotent."""
        raise NotImplementedError

    def flush(self, timeout: float = 60.0) -> None:
        """Return when S3 has everything that was in the folder at the call.

        Raises:
            MirrorError: if that did not succeed within `timeout` seconds.
        """
        raise NotImplementedError

    def stop(self) -> None:
        """Stop watching; does not flush. Idempotent."""
        raise NotImplementedError

    def status(self) -> MirrorStatus:
        """The state now; cheap."""
        raise NotImplementedError
