"""One file between the folder and S3: what is uploaded is whole, what is downloaded appears at once."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from botocore.exceptions import ClientError

from emr_studio.storage.names import CHECKPOINTS, checkpoint_path, conflict_name, is_checkpoint
from emr_studio.storage.state import MirrorState, Saved
from emr_studio.storage.tree import Node, Tree

PART_SIZE = 8 << 20
"""Files up to this size go in one request; it also bounds the memory of a transfer."""
_MOST_PARTS = 9000
_AUTHOR = "user.emr-studio.author"
_LONGEST_NAME = 200
_CHUNK = 1 << 20
# All mirrors of a process together hold at most so many parts in memory.
_running = threading.BoundedSemaphore(12)


class Unstable(Exception):
    """The file changed while it was read; try again."""


@dataclass(frozen=True)
class Remote:
    """The head of an object: tag, and what our metadata say."""

    etag: str
    metadata: dict[str, str]


@dataclass(frozen=True)
class _Job:
    """One upload: where from and to, and what S3 had before."""

    path: str
    key: str
    metadata: dict[str, str]
    saved: Saved | None
    accept_torn: bool


class Transfer:
    """Moves the files of one mirror. Thread-safe; `client` is a boto-style S3 client."""

    def __init__(
        self, client: Any, bucket: str, prefix: str, tree: Tree, state: MirrorState, *, kms_key_id: str | None = ""
    ) -> None:
        self._sealing = sealing(kms_key_id)
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._tree = tree
        self._state = state

    # --- to S3

    def upload(self, path: str, key: str, accept_torn: bool = False) -> None:
        """Bring what lies at `path` to S3 and note it; if it is gone, do nothing.

        Where someone else changed the object meanwhile, that version is first kept beside the file.

        Raises:
            Unstable: if the file changes while it is read (unless `accept_torn`: then it is saved
                as read, and stays noted as changed).
            botocore.exceptions: if S3 refuses or is away.
        """
        with _running:
            if path.endswith("/"):
                place = {"Bucket": self._bucket, "Key": self._prefix + key}
                answer = self._client.put_object(**place, Body=b"", **self._sealing)
                self._state.put(path, Saved(key, "marker", _tag(answer)))
                return
            node = self._tree.node(path)
            if node is None or node.kind == "dir":
                return
            job = _Job(path, key, self._metadata(path, node), self._state.saved.get(path), accept_torn)
            if node.kind == "link":
                job.metadata["link"] = quote(os.fsencode(self._tree.link_target(path)))
                self._state.put(path, Saved(key, node.stamp, self._put(job, b"")))
                return
            with contextlib.suppress(FileNotFoundError, NotADirectoryError), self._tree.opened(path) as opened:
                self._upload_file(job, *opened)

    def _upload_file(self, job: _Job, descriptor: int, node: Node) -> None:
        job.metadata.update(self._metadata(job.path, node) | _author(descriptor, node))
        saved = job.saved
        if node.size <= PART_SIZE:
            body = _read(descriptor, PART_SIZE + 1)
            same = self._check_whole(job, descriptor, node, len(body))
            # A touched file with the same content and mode needs no request.
            touched = saved and saved.stamp.startswith("file ") and f" {node.mode:o} " in saved.stamp
            etag = saved.etag if saved and touched and saved.etag == _md5(body) else self._put(job, body)
        else:
            etag, same = self._put_parts(job, descriptor, node)
        self._state.put(job.path, Saved(job.key, node.stamp if same else "", etag))

    def _check_whole(self, job: _Job, descriptor: int, before: Node, length: int) -> bool:
        same = self._tree.described(descriptor).stamp == before.stamp and length == before.size
        if not same and not job.accept_torn:
            raise Unstable
        return same

    def _put(self, job: _Job, body: bytes) -> str:
        known = job.saved.etag if job.saved else ""
        for _ in range(3):
            condition = {"IfMatch": f'"{known}"'} if known else {"IfNoneMatch": "*"}
            place = {"Bucket": self._bucket, "Key": self._prefix + job.key, **self._sealing}
            try:
                return _tag(self._client.put_object(**place, Body=body, Metadata=job.metadata, **condition))
            except ClientError as error:
                if not _is_conflict(error):
                    raise
            found = self._settle(job, _md5(body))
            if found and found.etag == _md5(body) and found.metadata.get("mode") == job.metadata["mode"]:
                return found.etag
            known = found.etag if found else ""
        raise Unstable

    def _settle(self, job: _Job, digest: str) -> Remote | None:
        """The object is not as we knew it: keep a stranger's version beside the file; return what it is now."""
        found = self.head(job.key)
        if found is None or found.etag == digest or self._ours(found.metadata):
            return found
        folder, _, name = job.path.rpartition("/")
        kept = conflict_name(name, _now())
        self._fetch(job.key, lambda _: f"{folder}/{kept}" if folder else kept, note=False)
        return found

    def _put_parts(self, job: _Job, descriptor: int, node: Node) -> tuple[str, bool]:
        found = self.head(job.key)
        if found and (job.saved is None or found.etag != job.saved.etag):
            self._settle(job, "")
        place = {"Bucket": self._bucket, "Key": self._prefix + job.key}
        begun = self._client.create_multipart_upload(**place, Metadata=job.metadata, **self._sealing)
        upload = place | {"UploadId": begun["UploadId"]}
        try:
            parts, length = self._send_parts(descriptor, node, upload)
            same = self._check_whole(job, descriptor, node, length)
            answer = self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        except BaseException:
            with contextlib.suppress(Exception):
                self._client.abort_multipart_upload(**upload)
            raise
        return _tag(answer), same

    def _send_parts(self, descriptor: int, node: Node, upload: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
        size = max(PART_SIZE, node.size // _MOST_PARTS + 1)
        parts: list[dict[str, Any]] = []
        length = 0
        # Not beyond the size at the start: a file that grows for ever must still come to an end.
        while length < node.size and (body := _read(descriptor, min(size, node.size - length))):
            number = len(parts) + 1
            answer = self._client.upload_part(**upload, PartNumber=number, Body=body)
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            length += len(body)
        return parts, length

    def _metadata(self, path: str, node: Node) -> dict[str, str]:
        metadata = {
            "mode": f"{node.mode & 0o777:04o}",
            "mtime": f"{node.mtime_ns // 10**9}.{node.mtime_ns % 10**9:09d}",
            "writer": self._state.writer,
        }
        return metadata | ({"checkpoint": "1"} if is_checkpoint(path) else {})

    def delete(self, path: str) -> None:
        """Delete the object of `path` and forget it; an object that someone else replaced stays."""
        saved = self._state.saved[path]
        with _running:
            found = self.head(saved.key) if not path.endswith("/") else None
            ours = found is None or found.etag == saved.etag or self._ours(found.metadata)
            if ours and not self._key_is_shared(path, saved.key):
                self._client.delete_object(Bucket=self._bucket, Key=self._prefix + saved.key)
            self._state.remove(path)

    def _key_is_shared(self, path: str, key: str) -> bool:
        """A user's own `checkpoints/x.ipynb` took over the key of the checkpoint of `x.ipynb`."""
        if not key.startswith(CHECKPOINTS):
            return False
        return any(saved.key == key and other != path for other, saved in list(self._state.saved.items()))

    # --- from S3

    def head(self, key: str) -> Remote | None:
        """What S3 has under `key`; None if nothing."""
        try:
            answer = self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise
        return Remote(_tag(answer), _metadata(answer))

    def list(self) -> Iterator[tuple[str, str]]:
        """All keys below the prefix (without it) and their tags."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        for page in pages:
            for item in page.get("Contents", []):
                if item["Key"] != self._prefix:
                    yield item["Key"].removeprefix(self._prefix), _tag(item)

    def download(self, key: str) -> None:
        """Bring an object into the folder and note it.

        A local file that was changed too, or that we know nothing of, is first renamed to a
        conflict's name, unless it has the same content.
        """
        with _running:
            if key.endswith("/"):
                self._tree.make_directory(key[:-1])
                self._state.put(key, Saved(key, "marker", ""))
                return
            self._fetch(key, lambda metadata: _path_of(key, metadata), note=True)

    def _fetch(self, key: str, place: Callable[[dict[str, str]], str], note: bool) -> None:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return
            raise
        metadata, etag = _metadata(answer), _tag(answer)
        with contextlib.closing(answer["Body"]) as body:
            path = place(metadata)
            if note and self._keeps_local(path, key, etag, metadata):
                return
            if "link" in metadata:
                node = self._tree.write_link(path, os.fsdecode(unquote(metadata["link"]).encode()))
            else:
                mode, mtime = _mode(metadata), _mtime(metadata)
                node = self._tree.write(path, body.iter_chunks(_CHUNK), mode, mtime)
        if note and node:
            self._state.put(path, Saved(key, node.stamp, etag))

    def _keeps_local(self, path: str, key: str, etag: str, metadata: dict[str, str]) -> bool:
        """True if the local file is to stay as it is; a changed one is moved out of the way."""
        node, saved = self._tree.node(path), self._state.saved.get(path)
        if node is None or node.kind == "dir" or (saved and saved.stamp == node.stamp and not self._ours(metadata)):
            return False
        if self._ours(metadata):
            # Our own write, which a kill kept us from noting: the local file is that or a later one.
            self._state.put(path, Saved(key, "", etag))
            return True
        if node.kind == "file" and node.size <= PART_SIZE and self._digest(path) == etag:
            self._state.put(path, Saved(key, node.stamp, etag))
            return True
        self._tree.rename(path, conflict_name(path.rpartition("/")[2], _now()))
        return False

    def _ours(self, metadata: dict[str, str]) -> bool:
        return metadata.get("writer") == self._state.writer

    def _digest(self, path: str) -> str:
        with self._tree.opened(path) as (descriptor, _):
            return _md5(_read(descriptor, PART_SIZE + 1))


def _author(descriptor: int, node: Node) -> dict[str, str]:
    """Who wrote it, if its Workspace noted that of this very content (`emr_studio_workspace/authors.py`)."""
    try:
        told = json.loads(os.getxattr(descriptor, _AUTHOR))
        name = quote(str(told["by"])[:_LONGEST_NAME]) if told["at"] == node.mtime_ns else ""
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {"author": name} if name else {}


def sealing(kms_key_id: str | None) -> dict[str, Any]:
    """How S3 is to encrypt what is written: with a KMS key, with its own (""), or unasked (None)."""
    if kms_key_id is None:
        return {}
    if not kms_key_id:
        return {"ServerSideEncryption": "AES256"}
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id, "BucketKeyEnabled": True}


def _path_of(key: str, metadata: dict[str, str]) -> str:
    """A user may have a folder `checkpoints` too: only the metadata tell a checkpoint."""
    if key.startswith(CHECKPOINTS) and "checkpoint" in metadata:
        return checkpoint_path(key) or key
    return key


def _is_conflict(error: ClientError) -> bool:
    return error.response["ResponseMetadata"]["HTTPStatusCode"] in {404, 409, 412} and error.response["Error"][
        "Code"
    ] in {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"}


def _read(descriptor: int, length: int) -> bytes:
    chunks, left = [], length
    while left and (chunk := os.read(descriptor, min(left, _CHUNK))):
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def _md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def _tag(answer: Any) -> str:
    return str(answer.get("ETag", "")).strip('"')


def _metadata(answer: Any) -> dict[str, str]:
    """Lower-case: a proxy (Caddy, over HTTP/1.1) may have written the names in another way."""
    return {name.lower(): value for name, value in answer.get("Metadata", {}).items()}


def _mode(metadata: dict[str, str]) -> int:
    try:
        return int(metadata.get("mode", "0644"), 8)
    except ValueError:
        return 0o644


def _mtime(metadata: dict[str, str]) -> int | None:
    seconds, _, fraction = metadata.get("mtime", "").partition(".")
    try:
        return int(seconds) * 10**9 + int(fraction.ljust(9, "0")[:9])
    except ValueError:
        return None


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H.%M.%S.%f")[:-3]
