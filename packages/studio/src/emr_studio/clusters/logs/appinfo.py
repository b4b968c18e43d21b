"""The studio's own place in S3 for event logs, as AWS keeps those of persistent application UIs.

A bucket that belongs to no account: no key of anybody reads or writes there, only the studio itself.
`<account>/<cluster>/<name>`; kept for 30 days after the cluster's end (`KEPT`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import httpx

from emr_studio.aws.errors import AwsError, Unavailable
from emr_studio.clock import Clock
from emr_studio.db import Database
from emr_studio.settings import Settings
from emr_studio.storage.buckets import create_bucket
from emr_studio.storage.store import store_client

KEPT = dt.timedelta(days=30)
_NOBODY = "studio"
_TIMEOUT = 60.0
_CHUNK = 1 << 20


class StoreFailed(Exception):
    """The store did not do it; the text is for the log. `final`: it will not the next time either."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class AppInfo:
    """Event logs in S3."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._ready = False

    @property
    def bucket(self) -> str:
        """Its name."""
        return f"emr-studio-appinfo-{self._settings.account_id}-{self._settings.region}"

    def put(self, prefix: str, name: str, body: bytes) -> None:
        """Write an object.

        Raises:
            StoreFailed: it is not there.
        """
        self._ensure_bucket()
        with self._store() as client:
            _check(client.put(self._path(f"{prefix}/{name}"), content=body))

    def names(self, prefix: str) -> list[str]:
        """Names of all objects below `prefix`.

        Raises:
            StoreFailed: the store does not say.
        """
        found: list[str] = []
        token = ""
        with self._store() as client:
            while True:
                parameters = {"list-type": "2", "prefix": f"{prefix}/"} | (
                    {"continuation-token": token} if token else {}
                )
                answer = client.get(f"/{self.bucket}", params=parameters)
                if answer.status_code == httpx.codes.NOT_FOUND:
                    return []
                page = ElementTree.fromstring(_check(answer).content)
                found += [str(key.text).removeprefix(f"{prefix}/") for key in page.iterfind("{*}Contents/{*}Key")]
                token = page.findtext("{*}NextContinuationToken") or ""
                if not token:
                    return found

    def fetch(self, prefix: str, target: Path) -> int:
        """Write all objects below `prefix` into a folder, readable by everybody who reaches it; how many.

        Raises:
            StoreFailed: not all are there.
        """
        names = self.names(prefix)
        target.mkdir(mode=0o755, parents=True, exist_ok=True)
        with self._store() as client:
            for name in names:
                path = target / name
                for folder in reversed(path.relative_to(target).parents[:-1]):
                    (target / folder).mkdir(mode=0o755, exist_ok=True)
                self._download(client, f"{prefix}/{name}", path)
        return len(names)

    def _download(self, client: httpx.Client, key: str, path: Path) -> None:
        with client.stream("GET", self._path(key)) as answer, path.open("wb") as file:
            if answer.status_code != httpx.codes.OK:
                raise StoreFailed(f"{key}: {answer.status_code}")
            for chunk in answer.iter_bytes(_CHUNK):
                file.write(chunk)
        path.chmod(0o644)

    def remove(self, prefix: str) -> None:
        """Delete all objects below `prefix`.

        Raises:
            StoreFailed: not all are gone.
        """
        names = self.names(prefix)
        with self._store() as client:
            for name in names:
                _check(client.delete(self._path(f"{prefix}/{name}")))

    def _path(self, key: str) -> str:
        return f"/{self.bucket}/{quote(key)}"

    @contextmanager
    def _store(self) -> Iterator[httpx.Client]:
        try:
            with store_client(self._settings, timeout=_TIMEOUT) as client:
                yield client
        except (OSError, httpx.HTTPError, ElementTree.ParseError) as error:
            raise StoreFailed(f"the store does not answer: {error}") from error

    def _ensure_bucket(self) -> None:
        if self._ready:
            return
        try:
            with self._database.write() as session:
                create_bucket(session, self._settings, _NOBODY, self.bucket, now=self._clock.now())
        except AwsError as error:
            # An S3 of one's own may give us no bucket of that name.
            final = not isinstance(error, Unavailable)
            raise StoreFailed(f"{self.bucket}: {error.message}", final=final) from error
        self._ready = True


def _check(answer: httpx.Response) -> httpx.Response:
    if not answer.is_success:
        raise StoreFailed(f"{answer.request.method} {answer.request.url.path}: {answer.status_code}")
    return answer
