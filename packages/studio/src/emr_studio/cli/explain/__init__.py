"""`emr-studio iam explain`: why something is, was or would be denied, through the API as the caller.

    simulated.py   what would be decided (SimulatePrincipalPolicy)
    decoded.py     what was decided (LookupEvents, DecodeAuthorizationMessage)
    words.py       an explanation for people

Everything is asked with the caller's own AWS credentials, so nobody sees here what she may not see there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

Json = dict[str, Any]


class NotExplained(Exception):
    """It cannot be explained, or not to this caller; the message says why."""


@dataclass
class Deciding:
    """A statement that decided or almost did. `statement` is None where the caller may not see it."""

    policy: str
    kind: str
    statement: Json | None
    index: int | None = None
    missed: str = ""
    """Of one that almost allowed: what did not fit (`resource`, `condition`, `principal`)."""


@dataclass
class Explanation:
    """A decision with its reasons. `decision` is `allowed`, `explicitDeny` or `implicitDeny`."""

    decision: str
    principal: str
    action: str
    resource: str
    layer: str
    reason: str
    statements: list[Deciding] = field(default_factory=list)
    almost: list[Deciding] = field(default_factory=list)
    missing_keys: list[str] = field(default_factory=list)
    conditions: dict[str, list[str]] = field(default_factory=dict)

    def as_json(self) -> Json:
        """For machines."""
        return {**asdict(self), "needed": needed(self)}


_WHOSE = {
    "identity": "An identity-based policy of {who} must allow it",
    "boundary": "The permissions boundary of {who} must allow it too",
    "session": "The session policies of this session must allow it too",
    "resource": "The policy of the resource must allow {who}",
    "trust": "The trust policy of the role must allow {who}",
}


def needed(explanation: Explanation) -> str:
    """What it would take, in a sentence; empty if it is allowed."""
    who = explanation.principal.rpartition(":")[2]
    if explanation.decision == "allowed":
        return ""
    if explanation.decision == "explicitDeny":
        return "No Allow helps while a statement denies: that statement must go or must not apply."
    return _WHOSE[explanation.layer].format(who=who) + f": {explanation.action} on {explanation.resource}."
