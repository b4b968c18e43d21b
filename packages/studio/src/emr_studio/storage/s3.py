"""S3 clients for the agent, the bootstrap and the domains: always through the edge, so IAM always decides."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.loaders import create_loader
from botocore.session import Session
from botocore.utils import parse_timestamp

from emr_studio.loopback import certificates

_CONFIG = {
    "signature_version": "s3v4",
    "s3": {"addressing_style": "path"},
    "connect_timeout": 5,
    "read_timeout": 60,
    "max_pool_connections": 16,
    "retries": {"mode": "standard", "max_attempts": 3},
}
_AWAY = frozenset({502, 503, 504})
"""What the edge answers while nothing is behind it."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_models = threading.Lock()
_loader = create_loader()


def parse_s3_uri(uri: str) -> tuple[str, str]:
    """Split `s3://bucket/key` (or a location's prefix); the key may be empty.

    Raises:
        ValueError: if it is not an S3 URI with a bucket.
    """
    parts = urlsplit(uri, allow_fragments=False)
    if parts.scheme not in {"s3", "s3a", "s3n"} or not parts.netloc:
        raise ValueError(f"{uri!r} is not an S3 URI (s3://bucket/key)")
    query = f"?{parts.query}" if parts.query or uri.endswith("?") else ""
    return parts.netloc, parts.path.removeprefix("/") + query


def role_client(endpoint_url: str, region: str, credentials_url: str, credentials_token: str) -> Any:
    """A boto-style S3 client whose keys come from a container-credentials endpoint and renew themselves."""
    return client_of(endpoint_url, region, role_keys(credentials_url, credentials_token))


def role_keys(credentials_url: str, credentials_token: str, patience: float = 0.0) -> RefreshableCredentials:
    """Keys that are fetched from there when they are first used, and again before they expire.

    `patience`: seconds for which a control plane that is away is waited for, by whoever has nothing else to do; it is
    started again at once, which takes longer on a busy machine.
    """

    def refresh() -> dict[str, str]:
        return _fetch_keys(credentials_url, credentials_token, patience)

    return RefreshableCredentials(
        access_key="",
        secret_key="",
        token="",
        # Long past: so the first request fetches.
        expiry_time=dt.datetime(2000, 1, 1, tzinfo=dt.UTC),
        refresh_using=refresh,
        method="container-role",
        advisory_timeout=120,
        mandatory_timeout=30,
    )


def unsigned_client(endpoint_url: str, region: str) -> Any:
    """A client that does not sign: for the store itself, which only the edge and its probes reach."""
    return client_of(endpoint_url, region, None, signature_version=UNSIGNED)


def _fetch_keys(url: str, token: str, patience: float) -> dict[str, str]:
    headers = {"Authorization": token}
    answer = _once_there(lambda: httpx.get(url, headers=headers, timeout=10, verify=certificates()), patience)
    answer.raise_for_status()
    keys = answer.json()
    return {
        "access_key": keys["AccessKeyId"],
        "secret_key": keys["SecretAccessKey"],
        "token": keys["Token"],
        "expiry_time": keys["Expiration"],
    }


def _once_there(ask: Callable[[], httpx.Response], patience: float) -> httpx.Response:
    """Ask, and again while nobody is there, for so many seconds."""
    deadline, pause = time.monotonic() + patience, _FIRST_PAUSE
    while True:
        is_last = time.monotonic() >= deadline
        try:
            answer = ask()
            if is_last or answer.status_code not in _AWAY:
                return answer
        except httpx.TransportError:
            if is_last:
                raise
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


class _FixedProvider:
    """Stands where botocore looks for keys: always the same (self-renewing) ones."""

    def __init__(self, keys: Credentials | None) -> None:
        self._keys = keys

    def load_credentials(self) -> Credentials | None:
        return self._keys


def _timestamp(text: Any) -> dt.datetime:
    """The time of each key in a list: botocore's own parser takes most of the time that reading a list takes."""
    try:
        return dt.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        found: dt.datetime = parse_timestamp(text)
        return found


def client_of(endpoint_url: str, region: str, keys: Credentials | None, **extra: Any) -> Any:
    """A boto-style S3 client that signs with `keys`; `extra`: more of botocore's `Config`."""
    session = Session()
    # One loader for all clients of a process: the parsed models are shared, a client costs little.
    session.register_component("data_loader", _loader)
    session.register_component("credential_provider", _FixedProvider(keys))
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_timestamp)
    config = Config(**{**_CONFIG, **extra})
    with _models:
        return session.create_client("s3", region_name=region, endpoint_url=endpoint_url, config=config)
