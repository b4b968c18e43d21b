"""AWS Signature Version 4, verified: in the header or in the query (presigned), for S3 and all others.

Source: aws-wire.md section 3 (the SigV4 reference and what botocore and Go's SDK were seen to send).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from emr_studio.aws.errors import AuthError, AuthFailure
from emr_studio.aws.wire import WireRequest

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
STREAMING = "STREAMING-"
_FORMAT = "%Y%m%dT%H%M%SZ"
_SKEW = dt.timedelta(minutes=5)
_S3_SKEW = dt.timedelta(minutes=15)
_MAX_EXPIRES = 604_800
_BLANKS = re.compile(r"\s+")
_TIMESTAMP = re.compile(r"\d{8}T\d{6}Z")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
# Bound to the signature by other means: the string to sign, the credential, the canonical request.
_NEED_NOT_BE_SIGNED = frozenset({"x-amz-date", "x-amz-security-token", "x-amz-content-sha256"})
_PLAIN = re.compile(r"[A-Za-z0-9._~-]*")
_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Signature:
    """What a request says of its signature; nothing of it is proven yet."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    timestamp: str
    session_token: str | None
    expires: int | None
    """Seconds that a presigned request is good for; None for one signed in its header."""

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"

    @property
    def presigned(self) -> bool:
        return self.expires is not None


def find_signature(request: WireRequest) -> Signature | None:
    """Return the request's signature, None if it has none.

    Raises:
        AuthError: malformed, or two of them.
    """
    header = request.headers.get("authorization")
    in_query = "X-Amz-Algorithm=" in request.query or "X-Amz-Signature=" in request.query
    if header is None:
        return _from_query(request) if in_query else None
    if in_query:
        raise AuthError(AuthFailure.TWO_MECHANISMS)
    return _from_header(request.headers, header)


def scope_service(request: WireRequest) -> str | None:
    """Return the service named in the credential scope, even of a request whose signature is malformed."""
    found = re.search(
        r"Credential=[^/\s,]*/\d{8}/[^/]*/([^/]*)/aws4_request", request.headers.get("authorization", "")
    ) or re.search(r"X-Amz-Credential=[^&]*?(?:%2F|/)([a-z0-9-]+)(?:%2F|/)aws4_request", request.query, re.IGNORECASE)
    return found.group(1) if found else None


def _from_header(headers: Mapping[str, str], header: str) -> Signature:
    algorithm, _, rest = header.strip().partition(" ")
    if algorithm != ALGORITHM:
        raise _malformed(f"Unsupported AWS 'algorithm': '{algorithm[:64]}'.")
    parts = dict([part.strip().partition("=")[::2] for part in rest.split(",") if part.strip()])
    timestamp = _timestamp_of(headers)
    missing = [
        f"Authorization header requires '{name}' parameter."
        for name in ("Credential", "Signature", "SignedHeaders")
        if not parts.get(name)
    ]
    if timestamp is None:
        missing.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if missing or timestamp is None:
        raise _malformed(" ".join([*missing, f"Authorization={header[:512]}"]))
    return _signature(
        credential=parts["Credential"],
        signed_headers=parts["SignedHeaders"],
        signature=parts["Signature"],
        timestamp=timestamp,
        token=headers.get("x-amz-security-token"),
        expires=None,
    )


def _from_query(request: WireRequest) -> Signature:
    query = request.query_parameters
    needed = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date")
    missing = [f"AWS query-string parameters must include '{name}'." for name in needed if not query.get(name)]
    if missing:
        raise _malformed(" ".join(missing) + " Re-examine the query-string parameters.")
    if query["X-Amz-Algorithm"] != ALGORITHM:
        raise _malformed(f"Unsupported AWS 'algorithm': '{query['X-Amz-Algorithm'][:64]}'.")
    if not _TIMESTAMP.fullmatch(query["X-Amz-Date"]):
        raise _malformed("Date must be in ISO-8601 'basic format'.")
    expires = query.get("X-Amz-Expires", "300")
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 6 and 1 <= int(expires) <= _MAX_EXPIRES):
        raise _malformed(f"X-Amz-Expires must be between 1 and {_MAX_EXPIRES} seconds.")
    return _signature(
        credential=query["X-Amz-Credential"],
        signed_headers=query["X-Amz-SignedHeaders"],
        signature=query["X-Amz-Signature"],
        timestamp=query["X-Amz-Date"],
        token=query.get("X-Amz-Security-Token") or None,
        expires=int(expires),
    )


def _signature(
    *, credential: str, signed_headers: str, signature: str, timestamp: str, token: str | None, expires: int | None
) -> Signature:
    # An access key id holds no slash; some clients' scopes do not either.
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request" or not all(parts):
        raise _malformed(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{credential[:256]}'"
        )
    names = tuple(signed_headers.lower().split(";"))
    if "host" not in names:
        raise _malformed("'Host' must be a 'SignedHeader' in the AWS Authorization.")
    return Signature(parts[0], parts[1], parts[2], parts[3], names, signature, timestamp, token, expires)


def _timestamp_of(headers: Mapping[str, str]) -> str | None:
    value = headers.get("x-amz-date") or headers.get("date")
    if value is None:
        return None
    if _TIMESTAMP.fullmatch(value):
        return value
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        raise _malformed(f"Date must be in ISO-8601 'basic format'. Got '{value[:64]}'.") from None
    return moment.astimezone(dt.UTC).strftime(_FORMAT)


def _malformed(message: str) -> AuthError:
    return AuthError(AuthFailure.MALFORMED, message)


def verify(
    request: WireRequest, signature: Signature, secret_access_key: str, now: dt.datetime, *, s3: bool = False
) -> None:
    """Return if `signature` is of `request`, made with that secret, and good now.

    Raises:
        AuthError: clock, scope, signature, unsigned headers or payload.
    """
    _check_time(signature, now, s3)
    payload = _payload_hash(request, signature, s3)
    _check_signed_headers(request, signature)
    key = _derived_key(secret_access_key, signature.date, signature.region, signature.service)
    for path in _signed_paths(request.path, s3):
        if same_signature(_calculate(request, signature, path, payload, key), signature.signature):
            return
    raise AuthError(AuthFailure.SIGNATURE)


def _signed_paths(path: str, s3: bool) -> Iterator[str]:
    """What a client may have signed for this path: the likeliest first."""
    first = _canonical_path(path, s3)
    yield first
    if s3:  # Some clients send the path less encoded than they sign it.
        other = quote(unquote_to_bytes(path), safe="/~")
        if other != first:
            yield other


def sign_text(secret_access_key: str, credential_scope: str, text: str) -> str:
    """The signature of a text of one's own (S3's POST policy).

    `credential_scope` is `date/region/service/aws4_request`.
    """
    date, region, service, _ = credential_scope.split("/")
    key = _derived_key(secret_access_key, date, region, service)
    return hmac.digest(key, text.encode(), "sha256").hex()


def authorization(request: WireRequest, secret_access_key: str, access_key_id: str, region: str) -> str:
    """The `Authorization` header of a request to S3, of which all headers given are signed.

    `x-amz-date` and `x-amz-content-sha256` are among the headers.
    """
    timestamp = request.headers["x-amz-date"]
    names = tuple(sorted(request.headers))
    made = Signature(access_key_id, timestamp[:8], region, "s3", names, "", timestamp, None, None)
    key = _derived_key(secret_access_key, made.date, region, "s3")
    path = quote(unquote_to_bytes(request.path), safe="/~")
    signature = _calculate(request, made, path, request.headers["x-amz-content-sha256"], key)
    signed = ";".join(names)
    return f"{ALGORITHM} Credential={access_key_id}/{made.scope}, SignedHeaders={signed}, Signature={signature}"


def same_signature(expected: str, given: str) -> bool:
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(expected.encode(), given.encode())


@lru_cache(maxsize=1024)
def moment_of(timestamp: str) -> dt.datetime:
    """The time that `20261123T160000Z` stands for. (`strptime` takes ten times as long.)

    Raises:
        ValueError: it is none.
    """
    if not _TIMESTAMP.fullmatch(timestamp):
        raise ValueError(f"not in ISO-8601 basic format: {timestamp!r}")
    date, time = timestamp[:8], timestamp[9:15]
    return dt.datetime(
        int(date[:4]), int(date[4:6]), int(date[6:]), int(time[:2]), int(time[2:4]), int(time[4:]), tzinfo=dt.UTC
    )


def _check_time(signature: Signature, now: dt.datetime, s3: bool) -> None:
    try:
        signed = moment_of(signature.timestamp)
    except ValueError:
        raise _malformed("Date must be in ISO-8601 'basic format'.") from None
    skew = _S3_SKEW if s3 else _SKEW
    late = dt.timedelta(seconds=signature.expires) if signature.expires is not None else skew
    if now - signed > late:
        if signature.presigned:
            raise AuthError(AuthFailure.EXPIRED_REQUEST)
        raise AuthError(
            AuthFailure.CLOCK,
            f"Signature expired: {signature.timestamp} is now earlier than {(now - skew).strftime(_FORMAT)} "
            f"({now.strftime(_FORMAT)} - {_minutes(skew)} min.)",
        )
    if signed - now > skew:
        raise AuthError(
            AuthFailure.CLOCK,
            f"Signature not yet current: {signature.timestamp} is still later than {(now + skew).strftime(_FORMAT)} "
            f"({now.strftime(_FORMAT)} + {_minutes(skew)} min.)",
        )
    if signature.date != signature.timestamp[:8]:
        raise AuthError(
            AuthFailure.SCOPE,
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{signature.date[:16]}' != '{signature.timestamp[:8]}', from '{signature.timestamp}'.",
        )


def _minutes(skew: dt.timedelta) -> int:
    return int(skew.total_seconds() // 60)


def _payload_hash(request: WireRequest, signature: Signature, s3: bool) -> str:
    if not s3:
        return hashlib.sha256(request.body).hexdigest() if request.body else _EMPTY_SHA256
    declared = request.headers.get("x-amz-content-sha256") or request.query_parameters.get("X-Amz-Content-Sha256")
    if declared is None:
        # Header-signed requests to S3 must declare it; presigned ones are UNSIGNED-PAYLOAD by rule.
        if signature.presigned:
            return UNSIGNED_PAYLOAD
        raise AuthError(AuthFailure.PAYLOAD)
    if declared != UNSIGNED_PAYLOAD and not declared.startswith(STREAMING) and not _SHA256.fullmatch(declared):
        raise AuthError(AuthFailure.PAYLOAD)
    return declared


def _check_signed_headers(request: WireRequest, signature: Signature) -> None:
    signed = signature.signed_headers
    for name in request.headers:
        if name.startswith("x-amz-") and name not in signed and name not in _NEED_NOT_BE_SIGNED:
            raise AuthError(AuthFailure.UNSIGNED_HEADERS)


def _calculate(request: WireRequest, signature: Signature, path: str, payload: str, key: bytes) -> str:
    given = request.headers
    headers = "".join([f"{name}:{_trimmed(given.get(name, ''))}\n" for name in signature.signed_headers])
    canonical = "\n".join(
        (
            request.method,
            path,
            _canonical_query(request.query),
            headers,
            ";".join(signature.signed_headers),
            payload,
        )
    )
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    to_sign = f"{ALGORITHM}\n{signature.timestamp}\n{signature.scope}\n{digest}"
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def _trimmed(value: str) -> str:
    """A header's value without blanks at its ends, and with one in place of several."""
    if value.isprintable() and "  " not in value:  # the only printable blank is the space
        return value.strip()
    return _BLANKS.sub(" ", value.strip())


def _canonical_path(path: str, s3: bool) -> str:
    if s3 or path == "/":
        return path or "/"
    # RFC 3986's dot segments, and AWS's own rule that repeated slashes are one.
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment and segment != ".":
            kept.append(segment)
    last = "/" if path.endswith("/") and kept else ""
    return quote("/" + "/".join(kept) + last, safe="/~")


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    pairs = []
    for part in query.split("&"):
        if not part:
            continue
        name, _, value = part.partition("=")
        if name == "X-Amz-Signature":
            continue
        pairs.append((_encode(name), value if _PLAIN.fullmatch(value) else _encode(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


@lru_cache(maxsize=512)
def _encode(text: str) -> str:
    # A plus sign stands for a space in a query: SDKs send %20 and %2B, so that only forms have it.
    return quote(unquote_to_bytes(text.replace("+", " ")), safe="~")


@lru_cache(maxsize=4096)
def _derived_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = ("AWS4" + secret).encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
