"""The one error tree: only these reach a caller.

AwsError                      code, message, HTTP status
├── ClientError               the caller's fault (4xx)
│   ├── AuthError             who are you? (codes differ by protocol: see `for_protocol` in auth.py)
│   ├── AccessDenied          you may not
│   ├── SerializationError    not the protocol's form, or a value of the wrong type
│   ├── UnknownOperation      no such operation here
│   ├── ValidationError       a constraint of the model
│   ├── InvalidRequest        EMR's InvalidRequestException
│   └── …                     each service's own (`ClientError("NoSuchEntity", …, 404)`)
└── ServerError               ours (5xx), never with a stack trace
    └── Unavailable           try again: the database is busy or away
"""

from __future__ import annotations

import enum


class AwsError(Exception):
    """An answer that is an error.

    `code` is the code on the wire (`NoSuchEntity`, not the shape's name), `status` the HTTP status.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class ClientError(AwsError):
    """The caller's fault."""


class ServerError(AwsError):
    """Our fault; `code` is that of the service's own internal error."""

    def __init__(self, message: str = "Internal server error", code: str = "InternalFailure") -> None:
        super().__init__(code, message, 500)


class Unavailable(ServerError):
    """Nothing was done; SDKs try again by themselves."""

    def __init__(self, message: str = "The service is busy. Try again.") -> None:
        super().__init__(message, "ServiceUnavailable")
        self.status = 503


class AuthFailure(enum.Enum):
    """Why a caller could not be identified."""

    MISSING = "no signature"
    MALFORMED = "a signature that cannot be read"
    TWO_MECHANISMS = "a signature in the header and one in the query"
    UNKNOWN_KEY = "an unknown or inactive key"
    INVALID_TOKEN = "a session token that is not that key's"
    EXPIRED_TOKEN = "a session token after its time"
    EXPIRED_REQUEST = "a presigned request after its time"
    CLOCK = "signed too long ago, or in the future"
    SCOPE = "signed for another service or day"
    SIGNATURE = "a wrong signature"
    UNSIGNED_HEADERS = "x-amz headers that the signature leaves out"
    PAYLOAD = "a body that is not the one signed"


class AuthError(ClientError):
    """The caller could not be identified; `message` is empty where the protocol has a fixed one."""

    def __init__(self, failure: AuthFailure, message: str = "", claimed: str = "") -> None:
        super().__init__(failure.name, message, 403)
        self.failure = failure
        self.claimed = claimed
        """The account of the key that was named, for the trail; never shown."""


class InvalidRequest(ClientError):
    """EMR's `InvalidRequestException`."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidRequestException", message)


class SerializationError(ClientError):
    """Not the protocol's form, or a value of the wrong type; the serialiser writes the protocol's code."""

    def __init__(self, message: str) -> None:
        super().__init__("SerializationException", message)


class UnknownOperation(ClientError):
    """No such operation is served; the serialiser writes the protocol's code."""

    def __init__(self, name: str, version: str = "") -> None:
        shown = name[:128]
        super().__init__(
            "UnknownOperationException",
            f"Could not find operation {shown}" + (f" for version {version[:32]}" if version else ""),
        )


class ValidationError(ClientError):
    """A constraint of the model or of the service; the serialiser writes the protocol's code."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


class AccessDenied(ClientError):
    """Denied by policy; the serialiser writes the protocol's code and status.

    `details` is the encoded authorization message, which STS decodes for those who may see why.
    """

    def __init__(self, message: str, details: str | None = None) -> None:
        super().__init__("AccessDeniedException", message)
        self.details = details
