"""Who calls: the ports to the identity service, authentication itself, and AWS's codes for each failure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.orm import Session

from emr_studio.aws import sigv4
from emr_studio.aws.context import Caller
from emr_studio.aws.errors import AuthError, AuthFailure, ClientError
from emr_studio.aws.wire import WireRequest

SESSION_COOKIE = "__Host-emr-studio"
ANONYMOUS = Caller(account_id="", kind="anonymous", arn="", principal_arn="", user_id="")
"""Caller of the few operations that are not signed (sts:AssumeRoleWithWebIdentity)."""


class UnknownKey(AuthError):
    """The access key does not exist or is not active."""

    def __init__(self, claimed: str = "") -> None:
        super().__init__(AuthFailure.UNKNOWN_KEY, claimed=claimed)


class InvalidToken(AuthError):
    """The session token is missing, forged, revoked, or not that key's."""

    def __init__(self, claimed: str = "") -> None:
        super().__init__(AuthFailure.INVALID_TOKEN, claimed=claimed)


class ExpiredToken(AuthError):
    """The session token was good once."""

    def __init__(self, claimed: str = "") -> None:
        super().__init__(AuthFailure.EXPIRED_TOKEN, claimed=claimed)


@dataclass(frozen=True)
class Credential:
    """An access key and whose it is. `expires` is None for a long-term key."""

    access_key_id: str
    secret_access_key: str
    caller: Caller
    expires: dt.datetime | None = None


class CredentialStore(Protocol):
    """Finds keys; implemented by `emr_studio.iam`, which caches."""

    def find(self, session: Session, access_key_id: str, session_token: str | None, now: dt.datetime) -> Credential:
        """Return the credential.

        Raises:
            UnknownKey, InvalidToken, ExpiredToken: as they say.
        """
        ...


class SessionAuthenticator(Protocol):
    """Knows the console's sessions (cookie and CSRF token); implemented by `emr_studio.signin`."""

    def authenticate(self, session: Session, headers: Mapping[str, str]) -> Caller | None:
        """Return who is signed in, or None if these headers (lower-case names) name no live session."""
        ...


class NoSessions:
    """A `SessionAuthenticator` for an installation without a console."""

    def authenticate(self, session: Session, headers: Mapping[str, str]) -> Caller | None:
        return None


def has_session_cookie(headers: Mapping[str, str]) -> bool:
    """True if the console's cookie is there."""
    return SESSION_COOKIE + "=" in headers.get("cookie", "")


def authenticate_signature(
    session: Session,
    credentials: CredentialStore,
    request: WireRequest,
    signature: sigv4.Signature,
    now: dt.datetime,
    *,
    s3: bool = False,
) -> Caller:
    """Return the caller whose key signed `request`.

    With `s3` the rules are S3's: the path as sent, and the payload hash that the client declares (the
    body is not looked at, so that an authoriser in front of the store can ask with the headers only).

    Raises:
        AuthError: see `AuthFailure`; in AWS's order: key and token, their time, the clock, the signature.
    """
    credential = credentials.find(session, signature.access_key_id, signature.session_token, now)
    if credential.expires is not None and credential.expires <= now:
        raise ExpiredToken(credential.caller.account_id)
    try:
        sigv4.verify(request, signature, credential.secret_access_key, now, s3=s3)
    except AuthError as error:
        error.claimed = credential.caller.account_id
        raise
    return credential.caller


_INVALID_TOKEN = "The security token included in the request is invalid."
_EXPIRED_TOKEN = "The security token included in the request is expired"
_SIGNATURE = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_EC2 = "AWS was not able to validate the provided access credentials"
_UNSIGNED = "There were headers present in the request which were not signed"

# By failure: (code, status, fixed message or None for the error's own), for each protocol (aws-wire.md section 3).
_Row = tuple[str, int, str | None]
_QUERY: dict[AuthFailure, _Row] = {
    AuthFailure.MISSING: ("MissingAuthenticationToken", 403, "Request is missing Authentication Token"),
    AuthFailure.MALFORMED: ("IncompleteSignature", 400, None),
    AuthFailure.TWO_MECHANISMS: ("IncompleteSignature", 400, "Only one auth mechanism allowed"),
    AuthFailure.UNKNOWN_KEY: ("InvalidClientTokenId", 403, _INVALID_TOKEN),
    AuthFailure.INVALID_TOKEN: ("InvalidClientTokenId", 403, _INVALID_TOKEN),
    AuthFailure.EXPIRED_TOKEN: ("ExpiredToken", 403, _EXPIRED_TOKEN),
    AuthFailure.EXPIRED_REQUEST: ("RequestExpired", 400, "Request has expired."),
    AuthFailure.CLOCK: ("SignatureDoesNotMatch", 403, None),
    AuthFailure.SCOPE: ("SignatureDoesNotMatch", 403, None),
    AuthFailure.SIGNATURE: ("SignatureDoesNotMatch", 403, _SIGNATURE),
    AuthFailure.UNSIGNED_HEADERS: ("SignatureDoesNotMatch", 403, _UNSIGNED),
    AuthFailure.PAYLOAD: ("SignatureDoesNotMatch", 403, _SIGNATURE),
}
_JSON: dict[AuthFailure, _Row] = {
    AuthFailure.MISSING: ("MissingAuthenticationTokenException", 400, "Missing Authentication Token"),
    AuthFailure.MALFORMED: ("IncompleteSignatureException", 400, None),
    AuthFailure.TWO_MECHANISMS: ("IncompleteSignatureException", 400, "Only one auth mechanism allowed"),
    AuthFailure.UNKNOWN_KEY: ("UnrecognizedClientException", 400, _INVALID_TOKEN),
    AuthFailure.INVALID_TOKEN: ("UnrecognizedClientException", 400, _INVALID_TOKEN),
    AuthFailure.EXPIRED_TOKEN: ("ExpiredTokenException", 400, _EXPIRED_TOKEN),
    AuthFailure.EXPIRED_REQUEST: ("InvalidSignatureException", 400, "Signature expired."),
    AuthFailure.CLOCK: ("InvalidSignatureException", 400, None),
    AuthFailure.SCOPE: ("InvalidSignatureException", 400, None),
    AuthFailure.SIGNATURE: ("InvalidSignatureException", 400, _SIGNATURE),
    AuthFailure.UNSIGNED_HEADERS: ("InvalidSignatureException", 400, _UNSIGNED),
    AuthFailure.PAYLOAD: ("InvalidSignatureException", 400, _SIGNATURE),
}
_REST_JSON = {failure: (code, 403, message) for failure, (code, _, message) in _JSON.items()}
_EC2_ROWS: dict[AuthFailure, _Row] = dict.fromkeys(AuthFailure, ("AuthFailure", 401, _EC2)) | {
    AuthFailure.MISSING: _QUERY[AuthFailure.MISSING],
    AuthFailure.MALFORMED: _QUERY[AuthFailure.MALFORMED],
    AuthFailure.EXPIRED_TOKEN: ("RequestExpired", 400, "Request has expired."),
    AuthFailure.EXPIRED_REQUEST: ("RequestExpired", 400, "Request has expired."),
    AuthFailure.CLOCK: ("RequestExpired", 400, "Request has expired."),
}
_S3_CLOCK = "The difference between the request time and the current time is too large."
_S3: dict[AuthFailure, _Row] = {
    AuthFailure.MISSING: ("AccessDenied", 403, "Access Denied"),
    AuthFailure.MALFORMED: ("AuthorizationHeaderMalformed", 400, None),
    AuthFailure.TWO_MECHANISMS: ("InvalidArgument", 400, "Only one auth mechanism allowed"),
    AuthFailure.UNKNOWN_KEY: (
        "InvalidAccessKeyId",
        403,
        "The AWS Access Key Id you provided does not exist in our records.",
    ),
    AuthFailure.INVALID_TOKEN: ("InvalidToken", 400, "The provided token is malformed or otherwise invalid."),
    AuthFailure.EXPIRED_TOKEN: ("ExpiredToken", 400, "The provided token has expired."),
    AuthFailure.EXPIRED_REQUEST: ("AccessDenied", 403, "Request has expired"),
    AuthFailure.CLOCK: ("RequestTimeTooSkewed", 403, _S3_CLOCK),
    AuthFailure.SCOPE: ("AuthorizationHeaderMalformed", 400, None),
    AuthFailure.SIGNATURE: (
        "SignatureDoesNotMatch",
        403,
        "The request signature we calculated does not match the signature you provided. Check your key and signing "
        "method.",
    ),
    AuthFailure.UNSIGNED_HEADERS: ("AccessDenied", 403, _UNSIGNED),
    AuthFailure.PAYLOAD: (
        "XAmzContentSHA256Mismatch",
        400,
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    ),
}
_TABLES = {"query": _QUERY, "json": _JSON, "rest-json": _REST_JSON, "ec2": _EC2_ROWS, "rest-xml": _S3}


def for_protocol(error: AuthError, protocol: str) -> ClientError:
    """Return `error` with the code, status and message that AWS gives in `protocol`.

    `protocol` is botocore's name: `query`, `json`, `rest-json`, `ec2` or `rest-xml` (S3).
    """
    code, status, message = _TABLES[protocol][error.failure]
    return ClientError(code, error.message if message is None else message, status)
