"""The one error tree: only these reach a caller.

    AwsError                      code, message, HTTP status
    ├── ClientError               the caller's fault (4xx)
    │   ├── AuthError             who are you? (codes differ by protocol: see `for_protocol` in auth.py)
    │   ├── AccessDenied          you may not
    │   ├── ValidationError       a constraint of the model
    │   ├── InvalidRequest        EMR's InvalidRequestException
    │   └── …                     each service's own (`client_error("NoSuchEntity", …, 404)`)
    └── ServerError               ours (5xx), never with a stack trace
"""

from __future__ import annotations


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


class InvalidRequest(ClientError):
    """EMR's `InvalidRequestException`."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidRequestException", message)


class ValidationError(ClientError):
    """A constraint of the model or of the service; the serialiser writes the protocol's code."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


class AccessDenied(ClientError):
    """Denied by policy; the serialiser writes the protocol's code and status."""

    def __init__(self, message: str) -> None:
        super().__init__("AccessDeniedException", message)
