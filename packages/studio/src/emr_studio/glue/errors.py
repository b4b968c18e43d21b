"""Glue's own errors, with AWS's texts."""

from __future__ import annotations

from emr_studio.aws.errors import ClientError


class NotFound(ClientError):
    """No such database, table or partition."""

    def __init__(self, message: str) -> None:
        super().__init__("EntityNotFoundException", message)


class Exists(ClientError):
    """It is there already."""

    def __init__(self, message: str) -> None:
        super().__init__("AlreadyExistsException", message)


class BadInput(ClientError):
    """A value that breaks a rule."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidInputException", message)


class Changed(ClientError):
    """Somebody else changed it meanwhile."""

    def __init__(self, message: str) -> None:
        super().__init__("ConcurrentModificationException", message)
