"""The one error of the policy language."""

from __future__ import annotations

from enum import IntEnum

SYNTAX = "Syntax errors in policy."
LEGACY = "The policy failed legacy parsing"


class Stage(IntEnum):
    """AWS's checks in the order it makes them: of several faults the earliest check's is told (moto's recordings)."""

    SYNTAX = 0
    VERSION = 1
    LEGACY = 2
    SID = 3
    NO_ACTIONS = 4
    RESOURCE = 5
    ACTION = 6
    NO_RESOURCES = 7
    TRUST = 8
    PRINCIPAL = 9


class MalformedPolicy(ValueError):
    """A document that AWS would refuse with `MalformedPolicyDocument`; the text is AWS's message."""

    def __init__(self, message: str = SYNTAX, stage: Stage = Stage.SYNTAX) -> None:
        super().__init__(message)
        self.message = message
        self.stage = stage
        self.policy: str | None = None
        """Which of several policies it is, where that is known."""


def raise_first(faults: list[MalformedPolicy]) -> None:
    """Raise the fault of the earliest check, if there is any."""
    if faults:
        raise min(faults, key=lambda fault: fault.stage)
