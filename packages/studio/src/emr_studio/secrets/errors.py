"""Secrets Manager's own errors, with AWS's texts."""

from __future__ import annotations

from emr_studio.aws.errors import ClientError


class NotFound(ClientError):
    """No such secret, or no such version."""

    def __init__(self, message: str = "Secrets Manager can't find the specified secret.") -> None:
        super().__init__("ResourceNotFoundException", message)


class Exists(ClientError):
    """The name, or the version's token, is taken."""

    def __init__(self, message: str) -> None:
        super().__init__("ResourceExistsException", message)


class BadRequest(ClientError):
    """Not in this state."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidRequestException", message)


class BadParameter(ClientError):
    """A value that breaks a rule."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidParameterException", message)


class BadPolicy(ClientError):
    """A resource policy that cannot be read."""

    def __init__(self, message: str) -> None:
        super().__init__("MalformedPolicyDocumentException", message)


class EncryptionFailure(ClientError):
    """The key cannot be used."""

    def __init__(self) -> None:
        text = "Secrets Manager can't encrypt the protected secret text using the provided KMS key."
        super().__init__(
            "EncryptionFailure", f"{text} Check that the key is available, enabled, and not pending deletion."
        )


class DecryptionFailure(ClientError):
    """The key cannot be used."""

    def __init__(self) -> None:
        text = "Secrets Manager can't decrypt the protected secret text using the provided KMS key."
        super().__init__(
            "DecryptionFailure", f"{text} Check that the key is available, enabled, and not pending deletion."
        )


MARKED = "You can't perform this operation on the secret because it was marked for deletion."
