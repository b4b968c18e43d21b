"""The keys of OpenID Connect issuers: fetched from their own addresses and nowhere else, and kept for a while.

A fetch goes to the issuer that an administrator registered: its discovery document, and the key set that
this names, on the same origin (Google's is elsewhere, as its documentation says). HTTPS, or plain HTTP to
this machine; no redirects; five seconds and 256 KiB at most. Certificates are checked against the system's
authorities (`SSL_CERT_FILE` adds others).
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import time
from dataclasses import dataclass, field
from threading import BoundedSemaphore, Lock
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from emr_studio.bounded import Bounded
from emr_studio.clock import Clock
from emr_studio.iam.federation.errors import BadProof, ProviderUnreachable

_KEEP = dt.timedelta(hours=1)
_RETRY = dt.timedelta(seconds=10)
"""So soon an issuer is asked again: for a key that it did not have, or after it did not answer."""
_SECONDS = 5.0
_MOST_BYTES = 256 * 1024
_AT_ONCE = 4
_REMEMBERED = 1000
_ELSEWHERE = {"https://accounts.google.com": "https://www.googleapis.com"}
_BAD_KEYS = (
    "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity "
    "documentation for requirements"
)


def is_address(issuer: str) -> bool:
    """True for what may be registered: `https://host[:port][/path]`, or `http` on this machine."""
    try:
        parts = urlsplit(issuer)
        port_is_good = parts.port != 0
    except ValueError:
        return False
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment or not port_is_good:
        return False
    if "?" in issuer or "#" in issuer or "@" in issuer or "\\" in issuer or not issuer.isprintable() or " " in issuer:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))


def is_loopback(host: str) -> bool:
    """True for names and addresses of this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass
class _Kept:
    lock: Lock = field(default_factory=Lock)
    keys: KeySet | None = None
    fetched: dt.datetime | None = None
    failed: dt.datetime | None = None


class IssuerKeys:
    """Finds the keys of issuers; one a process, shared by all threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: Bounded[str, _Kept] = Bounded(_REMEMBERED)
        self._lock = Lock()
        # Whoever sends tokens of slow issuers must not occupy every thread.
        self._fetches = BoundedSemaphore(_AT_ONCE)

    def find(self, issuer: str, key_id: str | None) -> KeySet:
        """The issuer's keys; fetched anew if `key_id` is not among those that are kept.

        Raises:
            ProviderUnreachable: it did not answer.
            BadProof: its documents are not what they must be.
        """
        kept = self._entry(issuer)
        with kept.lock:
            now = self._clock.now()
            if self._is_stale(kept, key_id, now):
                self._refresh(issuer, kept, now)
            assert kept.keys is not None
            return kept.keys

    @staticmethod
    def _is_stale(kept: _Kept, key_id: str | None, now: dt.datetime) -> bool:
        if kept.keys is None or kept.fetched is None or now - kept.fetched > _KEEP:
            return True
        return key_id is not None and not _has(kept.keys, key_id) and now - kept.fetched > _RETRY

    def _entry(self, issuer: str) -> _Kept:
        with self._lock:
            kept = self._kept.setdefault(issuer, _Kept())
            self._kept.move_to_end(issuer)
            return kept

    def _refresh(self, issuer: str, kept: _Kept, now: dt.datetime) -> None:
        if kept.failed is not None and now - kept.failed < _RETRY:
            raise ProviderUnreachable("The identity provider did not answer a moment ago.")
        if not self._fetches.acquire(blocking=False):
            raise ProviderUnreachable("Too many identity providers are being asked. Try again.")
        try:
            kept.keys, kept.fetched, kept.failed = fetch_keys(issuer), now, None
        except (ProviderUnreachable, BadProof):
            kept.failed = now
            raise
        finally:
            self._fetches.release()


def _has(keys: KeySet, key_id: str) -> bool:
    return any(key.kid == key_id for key in keys.keys)


def fetch_keys(issuer: str) -> KeySet:
    """Ask an issuer for its keys. Raises as `IssuerKeys.find`."""
    if not is_address(issuer):
        raise BadProof(_BAD_KEYS)
    until = time.monotonic() + _SECONDS
    context = ssl.create_default_context() if issuer.startswith("https") else False
    with httpx.Client(verify=context, follow_redirects=False, timeout=_SECONDS, trust_env=False) as client:
        found = _get(client, issuer.rstrip("/") + "/.well-known/openid-configuration", until)
        address = found.get("jwks_uri")
        if found.get("issuer") != issuer or not isinstance(address, str) or not _is_of(issuer, address):
            raise BadProof(_BAD_KEYS)
        return _key_set(_get(client, address, until))


def _is_of(issuer: str, address: str) -> bool:
    origin = _origin(issuer)
    return is_address(address.partition("?")[0]) and _origin(address) in (origin, _ELSEWHERE.get(origin))


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _get(client: httpx.Client, address: str, until: float) -> dict[str, Any]:
    body = b""
    try:
        with client.stream("GET", address, headers={"Accept": "application/json"}) as response:
            if response.status_code >= 500:
                raise ProviderUnreachable("The identity provider is not able to answer.")
            if response.status_code != 200:
                raise BadProof(_BAD_KEYS)
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise BadProof(_BAD_KEYS)
                if time.monotonic() > until:
                    raise ProviderUnreachable("The identity provider did not answer in time.")
    except (httpx.HTTPError, httpx.InvalidURL, OSError):
        raise ProviderUnreachable("The identity provider did not answer.") from None
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise BadProof(_BAD_KEYS) from None


def _key_set(found: dict[str, Any]) -> KeySet:
    """The keys that verify signatures; those of kinds that we do not know are left out."""
    usable = []
    for key in found.get("keys") or ():
        if not isinstance(key, dict) or key.get("kty") not in ("RSA", "EC") or key.get("use", "sig") != "sig":
            continue
        try:
            usable += KeySet.import_key_set({"keys": [key]}).keys
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    if not usable:
        raise BadProof(_BAD_KEYS)
    return KeySet(usable)
