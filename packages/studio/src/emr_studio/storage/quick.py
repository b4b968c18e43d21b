"""A boto-style S3 client whose small puts and gets do not pass through botocore.

A mirror makes them by the thousand, and botocore takes 2.5 ms of a processor for each, obstore (Rust's object_store)
0.3 ms, without holding up other threads. What obstore cannot do (names with control characters, large objects) and
whatever it fails at is asked again by botocore, which says why in S3's own words: nothing is decided by an error of
obstore's. A put that is asked twice is one that the first put's condition (`IfMatch`, `IfNoneMatch`) guards.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import obstore
from botocore.credentials import RefreshableCredentials
from obstore.exceptions import BaseError, GenericError
from obstore.store import S3Store

from emr_studio.storage import s3

LARGEST = 8 << 20
"""Bytes; what is larger is streamed by botocore."""
_OPTIONS = {"allow_http": True, "connect_timeout": "5s", "read_timeout": "20s", "timeout": "120s"}
_SEALING = {
    "ServerSideEncryption": "server_side_encryption",
    "SSEKMSKeyId": "sse_kms_key_id",
    "BucketKeyEnabled": "sse_bucket_key_enabled",
}
_KNOWN = frozenset({"Bucket", "Key", "Body", "Metadata", "IfMatch", "IfNoneMatch", *_SEALING})
_NOT_METADATA = frozenset(
    {"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Storage-Class"}
)
_KEYS_SECONDS = 60
_PAUSE_SECONDS = 60.0
_PATIENCE_SECONDS = 60.0
"""How long a mirror waits for keys: a start of its Workspace would count as failed without them."""
_FAILED = (BaseError, OSError, ValueError)

StoreFactory = Callable[[str, Mapping[str, Any]], S3Store]
"""Makes the store of a bucket, with settings of how it is to encrypt."""


def role_client(endpoint_url: str, region: str, credentials_url: str, credentials_token: str) -> QuickClient:
    """As `s3.role_client`, for a mirror; both halves sign with the same keys."""
    keys = s3.role_keys(credentials_url, credentials_token, _PATIENCE_SECONDS)
    client = s3.client_of(endpoint_url, region, keys)
    signing = {"credential_provider": lambda: _frozen(keys)}
    return QuickClient(client, lambda bucket, sealing: _store(endpoint_url, region, bucket, {**sealing, **signing}))


def unsigned_client(endpoint_url: str, region: str) -> QuickClient:
    """As `s3.unsigned_client`, for a mirror."""
    client, unsigned = s3.unsigned_client(endpoint_url, region), {"skip_signature": True}
    return QuickClient(client, lambda bucket, sealing: _store(endpoint_url, region, bucket, {**sealing, **unsigned}))


def _store(endpoint_url: str, region: str, bucket: str, more: Mapping[str, Any]) -> S3Store:
    return S3Store(
        bucket,
        endpoint=endpoint_url,
        region=region,
        virtual_hosted_style_request=False,
        client_options=_OPTIONS,
        retry_config={"max_retries": 0},
        **more,
    )


def _frozen(keys: RefreshableCredentials) -> Any:
    """The keys as obstore wants them; botocore's own renew themselves, so these are asked for again soon."""
    frozen = keys.get_frozen_credentials()
    return {
        "access_key_id": frozen.access_key,
        "secret_access_key": frozen.secret_key,
        "token": frozen.token,
        "expires_at": dt.datetime.now(dt.UTC) + dt.timedelta(seconds=_KEYS_SECONDS),
    }


@dataclass(frozen=True)
class _Body:
    """A small object's content, with what is used of botocore's `StreamingBody`."""

    content: bytes

    def read(self) -> bytes:
        return self.content

    def iter_chunks(self, chunk_size: int = 0) -> Iterator[bytes]:
        if self.content:
            yield self.content

    def close(self) -> None:
        """There is nothing open."""


class QuickClient:
    """`put_object` and `get_object` by obstore where it can, all else by `client`. Thread-safe."""

    def __init__(self, client: Any, make_store: StoreFactory) -> None:
        self._client = client
        self._make_store = make_store
        self._stores: dict[Any, S3Store] = {}
        self._lock = threading.Lock()
        self._not_before = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_object(self, **wanted: Any) -> Any:
        """As botocore's; `Body` must be bytes for the quick way."""
        quick = wanted.keys() <= _KNOWN and isinstance(wanted["Body"], bytes) and self._may_try(wanted["Key"])
        return (quick and self._tried(self._put, wanted)) or self._client.put_object(**wanted)

    def get_object(self, **wanted: Any) -> Any:
        """As botocore's; the answer has `ETag`, `Metadata` and `Body`."""
        quick = wanted.keys() == {"Bucket", "Key"} and self._may_try(wanted["Key"])
        return (quick and self._tried(self._get, wanted)) or self._client.get_object(**wanted)

    def _may_try(self, key: str) -> bool:
        # A slash at an end would be lost: to obstore `a/` is `a`.
        return key == key.strip("/") and time.monotonic() >= self._not_before

    def _tried(self, ask: Callable[[dict[str, Any]], Any], wanted: dict[str, Any]) -> Any:
        """What obstore answers; None where botocore is to be asked."""
        try:
            return ask(wanted)
        except GenericError:
            # No connection, a certificate that it does not trust: not with every file again.
            self._not_before = time.monotonic() + _PAUSE_SECONDS
        except _FAILED:
            pass
        return None

    def _put(self, wanted: dict[str, Any]) -> Any:
        sealing = {ours: wanted[name] for name, ours in _SEALING.items() if name in wanted}
        mode: Any = "create" if wanted.get("IfNoneMatch") else "overwrite"
        if known := wanted.get("IfMatch"):
            mode = {"e_tag": known}
        put = obstore.put(
            self._store_of(wanted["Bucket"], sealing),
            wanted["Key"],
            wanted["Body"],
            attributes=wanted.get("Metadata", {}),
            mode=mode,
            use_multipart=False,
        )
        return {"ETag": put["e_tag"]} if put["e_tag"] else None

    def _get(self, wanted: dict[str, Any]) -> Any:
        found = obstore.get(self._store_of(wanted["Bucket"], {}), wanted["Key"])
        if found.meta["size"] > LARGEST:
            return None
        metadata = {name: value for name, value in found.attributes.items() if name not in _NOT_METADATA}
        body = _Body(found.bytes().to_bytes())
        return {"ETag": found.meta["e_tag"] or "", "Metadata": metadata, "Body": body}

    def _store_of(self, bucket: str, sealing: Mapping[str, Any]) -> S3Store:
        which = (bucket, tuple(sealing.items()))
        with self._lock:
            if which not in self._stores:
                self._stores[which] = self._make_store(bucket, sealing)
            return self._stores[which]
