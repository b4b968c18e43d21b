"""Earlier contents of a mirrored file: the versions that S3 keeps of its object, where its bucket keeps any."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

MOST = 200
"""Newest versions that are listed."""
_WITH_AUTHORS = 50
_AT_ONCE = 8
LARGEST = 32 << 20
"""Bytes of a version that can be read back: a notebook, not a data set."""


class NoSuchVersion(ValueError):
    """There is no such version, or it is too large to be read back."""


@dataclass(frozen=True)
class FileVersion:
    """One version; `saved` is when S3 got it, `size` in bytes."""

    version_id: str
    saved: dt.datetime
    size: int
    latest: bool
    author: str = ""
    """Who wrote it in JupyterLab, as its Workspace told; empty: a terminal, git, S3 itself, or not known."""


class Versions:
    """The versions of one mirror's files. `client` is a boto-style S3 client.

    What S3 refuses, or that it is away, is raised as by the client.
    """

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def list(self, key: str) -> list[FileVersion]:
        """All versions of a file, newest first, `MOST` at most; times at which it was deleted are left out."""
        whole, found = self._prefix + key, []
        pages = self._client.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=self._bucket, Prefix=whole):
            rows = page.get("Versions", [])
            found += [_version(row) for row in rows if row["Key"] == whole]
            # Keys come in order: the file's own are before all that begin with its name.
            if len(found) >= MOST or any(row["Key"] != whole for row in rows):
                break
        newest = sorted(found, key=lambda version: (version.latest, version.saved), reverse=True)[:MOST]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            told = pool.map(lambda version: self._author(whole, version), newest[:_WITH_AUTHORS])
            return [replace(version, author=author) for version, author in zip(newest, told, strict=False)] + newest[
                _WITH_AUTHORS:
            ]

    def _author(self, key: str, version: FileVersion) -> str:
        try:
            answer = self._client.head_object(Bucket=self._bucket, Key=key, VersionId=version.version_id)
        except self._client.exceptions.ClientError:
            # Gone meanwhile, or it may be listed and not read: then its time is all that is known.
            return ""
        found = {name.lower(): value for name, value in answer.get("Metadata", {}).items()}
        return unquote(found.get("author", ""))

    def read(self, key: str, version_id: str) -> bytes:
        """The content of a version.

        Raises:
            NoSuchVersion: there is none of that id, or it is larger than `LARGEST`.
        """
        place = {"Bucket": self._bucket, "Key": self._prefix + key, "VersionId": version_id}
        try:
            answer = self._client.get_object(**place)
        except self._client.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 404, 405):
                raise NoSuchVersion(f"S3 has no version {version_id} of {key}.") from error
            raise
        if answer["ContentLength"] > LARGEST:
            raise NoSuchVersion(f"This version has {answer['ContentLength']} bytes, more than can be shown here.")
        body: bytes = answer["Body"].read()
        return body


def _version(row: dict[str, Any]) -> FileVersion:
    return FileVersion(row["VersionId"], row["LastModified"], row["Size"], row["IsLatest"])
