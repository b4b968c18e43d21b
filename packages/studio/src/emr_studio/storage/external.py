"""An S3 of one's own in place of the embedded store: AWS, MinIO, Ceph, another SeaweedFS.

What the studio's users sign is verified at the edge as ever; the request is then signed again, by its
head alone, with the keys of that S3 (file `s3_credentials_file`, or `EMR_STUDIO_S3_ACCESS_KEY_ID` and
`EMR_STUDIO_S3_SECRET_ACCESS_KEY`), and its body flows there untouched. Users never see those keys.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from emr_studio.aws.sigv4 import UNSIGNED_PAYLOAD, authorization
from emr_studio.aws.wire import WireRequest
from emr_studio.edge.decisions import DELETE, EdgeAnswer, EdgeRequest
from emr_studio.settings import Settings
from emr_studio.storage.s3_request import S3Request, path_style

_KEY, _SECRET, _TOKEN = (f"EMR_STUDIO_S3_{name}" for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"))
_SIGNING = "x-amz-"


class ExternalError(OSError):
    """The settings of the external S3 are not usable; the message says what to do.

    For whoever asks the store, it is one that does not answer.
    """


@dataclass(frozen=True)
class Keys:
    """Keys of the external S3."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


@dataclass(frozen=True)
class External:
    """Where it is. `address` is `host:port`, as the edge dials it; `host` as the Host header has it."""

    settings: Settings
    endpoint: str
    address: str
    host: str
    secure: bool
    region: str

    def keys(self) -> Keys:
        """The keys, as they are now.

        Raises:
            ExternalError: there are none, or they cannot be read.
        """
        return _keys(self.settings)

    def signed(self, request: WireRequest, payload: str, now: dt.datetime) -> dict[str, str]:
        """Headers (lower-case names) that sign `request`, whose own headers are the `x-amz-` ones."""
        keys = self.keys()
        headers = {**request.headers, "host": self.host, "x-amz-content-sha256": payload}
        headers["x-amz-date"] = now.strftime("%Y%m%dT%H%M%SZ")
        if keys.session_token:
            headers["x-amz-security-token"] = keys.session_token
        to_sign = WireRequest(request.method, request.path, request.query, headers)
        made = authorization(to_sign, keys.secret_access_key, keys.access_key_id, self.region)
        return {**headers, "authorization": made}

    def resigned(
        self, answer: EdgeAnswer, request: S3Request, asked: EdgeRequest, headers: Mapping[str, str], now: dt.datetime
    ) -> EdgeAnswer:
        """The answer with a signature of ours; `headers` are the client's."""
        # S3 takes `a//b` for another key than `a/b`; the rest of the studio does not.
        uri = answer.uri or (path_style(request, asked.query) if "//" in unquote(asked.path) else "")
        sent = {name: value for name, value in headers.items() if name.startswith(_SIGNING)}
        for name, value in answer.headers.items():
            sent[name.lower()] = value
        sent = {name: value for name, value in sent.items() if name.startswith(_SIGNING) and value != DELETE}
        sent.pop("x-amz-security-token", None)
        payload = sent.pop("x-amz-content-sha256", UNSIGNED_PAYLOAD)
        path, _, query = (uri or asked.uri).partition("?")
        made = self.signed(WireRequest(request.method, path, query, sent), payload, now)
        ours = ("authorization", "host", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token")
        changed = {**answer.headers, **{name.title(): made[name] for name in ours if name in made}}
        return replace(answer, uri=uri, headers=changed)


class StoreAuth(httpx.Auth):
    """Signs the control plane's own requests to it."""

    requires_request_body = False

    def __init__(self, external: External) -> None:
        self._external = external

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        headers = {name: value for name, value in request.headers.items() if name.startswith(_SIGNING)}
        try:
            payload = hashlib.sha256(request.content).hexdigest()
        except httpx.RequestNotRead:  # it streams
            payload = UNSIGNED_PAYLOAD
        path, _, query = request.url.raw_path.decode().partition("?")
        now = dt.datetime.now(dt.UTC)
        request.headers.update(self._external.signed(WireRequest(request.method, path, query, headers), payload, now))
        yield request


@lru_cache(maxsize=16)
def external(settings: Settings) -> External | None:
    """The external S3, None if the store is the embedded one.

    Raises:
        ExternalError: its URL is none.
    """
    if not settings.s3_endpoint:
        return None
    parts = urlsplit(settings.s3_endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ExternalError(f"s3_endpoint must be like https://s3.example.com, not {settings.s3_endpoint!r}.")
    secure = parts.scheme == "https"
    address = f"{parts.hostname}:{parts.port or (443 if secure else 80)}"
    endpoint = f"{parts.scheme}://{parts.netloc}"
    return External(settings, endpoint, address, parts.netloc, secure, settings.s3_region or settings.region)


def problem(settings: Settings) -> str | None:
    """Why the external S3 cannot be used, in a sentence; None if it answers to our keys."""
    try:
        found = external(settings)
        if found is None:
            return None
        with httpx.Client(base_url=found.endpoint, auth=StoreAuth(found), timeout=10) as client:
            answer = client.get("/")
    except ExternalError as error:
        return str(error)
    except (OSError, httpx.HTTPError) as error:
        return f"The S3 at {settings.s3_endpoint} does not answer: {error}."
    code = answer.text.partition("<Code>")[2].partition("</Code>")[0]
    # Keys that may use buckets but not list them all are good keys.
    if answer.is_success or code == "AccessDenied":
        return None
    return f"The S3 at {settings.s3_endpoint} refuses our keys: {code or answer.status_code}."


def _keys(settings: Settings) -> Keys:
    if settings.s3_credentials_file is not None:
        path = settings.s3_credentials_file
        try:
            return _read_keys(path, path.stat().st_mtime_ns)
        except OSError as error:
            raise ExternalError(f"s3_credentials_file cannot be read: {error}.") from None
    if not os.environ.get(_KEY) or not os.environ.get(_SECRET):
        raise ExternalError(f"An external S3 needs s3_credentials_file, or {_KEY} and {_SECRET}.")
    return Keys(os.environ[_KEY], os.environ[_SECRET], os.environ.get(_TOKEN) or None)


@lru_cache(maxsize=4)
def _read_keys(path: Path, _changed: int) -> Keys:
    try:
        said = json.loads(path.read_text())
        return Keys(said["access_key_id"], said["secret_access_key"], said.get("session_token"))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ExternalError(f"{path} must be JSON with access_key_id and secret_access_key.") from None
