"""Why a cluster ends unasked."""

from __future__ import annotations

from emr_studio.clusters.model import Reason


class Failure(Exception):
    """The cluster cannot go on: code and message of its StateChangeReason, and log lines."""

    def __init__(self, code: Reason, message: str, lines: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.lines = lines
