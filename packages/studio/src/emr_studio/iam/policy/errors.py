"""The one error of the policy language."""

from __future__ import annotations

SYNTAX = "Syntax errors in policy."
LEGACY = "The policy failed legacy parsing"


class MalformedPolicy(ValueError):
    """A document that AWS would refuse with `MalformedPolicyDocument`; the text is AWS's message."""

    def __init__(self, message: str = SYNTAX) -> None:
        super().__init__(message)
        self.message = message
        self.policy: str | None = None
        """Which of several policies it is, where that is known."""
