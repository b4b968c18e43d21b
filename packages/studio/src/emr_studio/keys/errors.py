"""KMS's own errors, with the texts that AWS gives (KMS API reference, moto's recordings)."""

from __future__ import annotations

from emr_studio.aws.errors import ClientError


class NotFound(ClientError):
    """No such key or alias."""

    def __init__(self, message: str) -> None:
        super().__init__("NotFoundException", message)


class Disabled(ClientError):
    """The key is disabled."""

    def __init__(self, arn: str) -> None:
        super().__init__("DisabledException", f"{arn} is disabled.")


class InvalidState(ClientError):
    """The key is waiting for its deletion, or not in the state that the operation needs."""

    def __init__(self, message: str) -> None:
        super().__init__("KMSInvalidStateException", message)


class InvalidCiphertext(ClientError):
    """Not sealed by this key with this encryption context, or changed since; AWS gives no text."""

    def __init__(self) -> None:
        super().__init__("InvalidCiphertextException", "")


class IncorrectKey(ClientError):
    """The ciphertext is of another key than the request names."""

    def __init__(self) -> None:
        message = "The key ID in the request does not identify a CMK that can perform this operation."
        super().__init__("IncorrectKeyException", message)


class AlreadyExists(ClientError):
    """An alias of that name."""

    def __init__(self, arn: str) -> None:
        super().__init__("AlreadyExistsException", f"An alias with the name {arn} already exists")


class MalformedKeyPolicy(ClientError):
    """The policy cannot be read, or would lock its author out."""

    def __init__(self, message: str) -> None:
        super().__init__("MalformedPolicyDocumentException", message)


class Unsupported(ClientError):
    """A kind of key that this installation does not make."""

    def __init__(self, message: str) -> None:
        super().__init__("UnsupportedOperationException", message)


class TagProblem(ClientError):
    """A tag that breaks a rule."""

    def __init__(self, message: str) -> None:
        super().__init__("TagException", message)


class TooMany(ClientError):
    """A quota."""

    def __init__(self, message: str) -> None:
        super().__init__("LimitExceededException", message)


class KeyUnavailable(ClientError):
    """The master key cannot be reached now."""

    def __init__(self) -> None:
        super().__init__("KeyUnavailableException", "The request was rejected because the key was not available.", 500)
