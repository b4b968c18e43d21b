"""Explanations for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from emr_studio.cli.explain import Deciding, Explanation, needed
from emr_studio.cli.explain.decoded import Denial

_DECISIONS = {
    "allowed": "Allowed",
    "explicitDeny": "Denied by a statement",
    "implicitDeny": "Denied: nothing allows it",
}
_MISSED = {
    "resource": "but not on this resource",
    "condition": "but its conditions do not hold",
    "principal": "but not to this principal",
}
_MOST_ALMOST = 3


def explained(explanation: Explanation) -> str:
    """Decision, statements and what it would take, in lines."""
    return "\n".join(_lines(explanation))


def _lines(explanation: Explanation) -> Iterable[str]:
    yield _DECISIONS[explanation.decision]
    yield f"  {explanation.principal}"
    yield f"  {explanation.action} on {explanation.resource}"
    if explanation.reason:
        yield f"  {explanation.reason}"
    for deciding in explanation.statements:
        yield from _statement("decided by", deciding, "")
    for deciding in explanation.almost[:_MOST_ALMOST]:
        yield from _statement("almost", deciding, _MISSED.get(deciding.missed, ""))
    if explanation.missing_keys:
        yield ""
        yield f"The policies ask for keys that were not given: {', '.join(explanation.missing_keys)} (--context k=v)"
    if text := needed(explanation):
        yield ""
        yield f"What it takes: {text}"
        if explanation.decision == "implicitDeny" and explanation.layer == "identity":
            yield _indented({"Effect": "Allow", "Action": explanation.action, "Resource": explanation.resource}, "  ")


def _statement(word: str, deciding: Deciding, but: str) -> Iterable[str]:
    where = "" if deciding.index is None else f", statement {deciding.index + 1}"
    sid = (deciding.statement or {}).get("Sid")
    yield ""
    yield f"{word} {deciding.policy} ({deciding.kind}){where}{f' {sid}' if sid else ''}{f', {but}' if but else ''}"
    if deciding.statement is None:
        yield "  (its text is not yours to see)"
    else:
        yield _indented(deciding.statement, "  ")


def _indented(value: object, margin: str) -> str:
    return "\n".join(margin + line for line in json.dumps(value, indent=2).splitlines())


def listed(denials: Sequence[Denial]) -> str:
    """The last denials, each in a paragraph."""
    if not denials:
        return "Nothing was denied."
    return "\n\n".join("\n".join(_denial(denial)) for denial in denials)


def _denial(denial: Denial) -> Iterable[str]:
    yield f"{denial.time}  {denial.operation}  {denial.principal}"
    yield f"  {denial.message}"
    if denial.explanation is None:
        if denial.refusal:
            yield "  (why is not yours to see: it takes sts:DecodeAuthorizationMessage)"
        return
    for deciding in denial.explanation.statements:
        sid = (deciding.statement or {}).get("Sid") or f"statement {(deciding.index or 0) + 1}"
        yield f"  by {deciding.policy} ({deciding.kind}): {sid}"
    yield f"  more: emr-studio iam explain {denial.event_id}"
