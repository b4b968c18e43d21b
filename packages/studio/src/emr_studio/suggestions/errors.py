"""What goes wrong with a suggestion; each text says what to do."""

from __future__ import annotations

from emr_studio.aws.errors import ClientError, ServerError


class NotConfigured(ClientError):
    """Nobody has named a model."""

    def __init__(self) -> None:
        text = "Code suggestions are off here: no model is set. An administrator turns them on by the settings"
        super().__init__("ResourceNotFoundException", f"{text} suggestions_url and suggestions_model.")


class Throttled(ClientError):
    """Too many at a time, or within a minute."""

    def __init__(self, message: str) -> None:
        super().__init__("ThrottlingException", message)


class ModelAway(ServerError):
    """The model's server gave nothing that could be used."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "ServiceUnavailableException")
        self.status = 503
