"""What the command was asked, and its answer as text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from emr_studio.cli.explain import NotExplained, words
from emr_studio.cli.explain.decoded import explain_message, last_denials
from emr_studio.cli.explain.door import Door
from emr_studio.cli.explain.simulated import simulate

_USUAL = 10
_USAGE = (
    "Say what to explain: --principal ARN --action service:Action [--resource ARN], "
    "or --denied [N], or the id of a request or record, or an encoded message."
)


@dataclass(frozen=True)
class Question:
    """One of three: what would be (principal and action), the last denials, or one that was (`what`)."""

    what: str | None
    principal: str | None
    action: str | None
    resource: str
    context: tuple[str, ...]
    denied: bool


def answer(question: Question, profile: str | None, data_dir: Path | None, *, as_json: bool) -> str:
    """The answer, for people or for machines.

    Raises:
        NotExplained: what was asked makes no sense, is not there, or is not the caller's to see.
    """
    count = _count(question)
    door = Door(profile, data_dir)
    if question.denied:
        denials = last_denials(door, count)
        return json.dumps([one.as_json() for one in denials]) if as_json else words.listed(denials)
    if question.what:
        found = explain_message(door, question.what)
    else:
        assert question.principal is not None
        assert question.action is not None
        found = simulate(door, question.principal, question.action, question.resource, question.context)
    return json.dumps(found.as_json()) if as_json else words.explained(found)


def _count(question: Question) -> int:
    """How many denials are wanted; also refuses what is neither of the three questions."""
    simulated = question.principal is not None and question.action is not None
    if question.denied:
        if question.what and not question.what.isdecimal():
            raise NotExplained("--denied takes a number.")
        return int(question.what or _USUAL)
    if simulated == bool(question.what):
        raise NotExplained(_USAGE)
    return 0
