"""A policy's text beside its meaning: where its statements stand, which context keys it names.

The grammar keeps neither; only the simulator and its kin ask for them. Texts given here are valid.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

_SPACE = re.compile(r"[\s,:]*")
_VARIABLE = re.compile(r"\$\{\s*([^{},\s]+)\s*(?:,[^{}]*)?\}")
_SPECIAL = frozenset("*?$")
_decoder = json.JSONDecoder()


class Position(NamedTuple):
    """Both from 1. As AWS counts: the column that follows the brace."""

    line: int
    column: int


class Span(NamedTuple):
    """A statement from behind its opening brace to behind its closing one."""

    start: Position
    end: Position


def spans(text: str) -> list[Span]:
    """Where each statement of a policy stands."""
    return [Span(_position(text, start + 1), _position(text, end)) for start, end in _statements(text)]


def context_keys(text: str) -> list[set[str]]:
    """For each statement, the context keys of its conditions and variables, as they are written."""
    document = json.loads(text)
    statements = document["Statement"]
    variables = document.get("Version") == "2012-10-17"
    return [
        _keys(statement, variables=variables)
        for statement in (statements if isinstance(statements, list) else [statements])
    ]


def without_doubles(keys: Iterable[str]) -> list[str]:
    """Keys sorted; of those that differ in case alone, the first."""
    found: dict[str, str] = {}
    for key in sorted(keys):
        found.setdefault(key.lower(), key)
    return list(found.values())


def _statements(text: str) -> Iterator[tuple[int, int]]:
    """Start and end (behind it) of each statement, as offsets."""
    for name, start, end in _members(text):
        if name == "Statement":
            yield from _items(text, start) if text[start] == "[" else [(start, end)]


def _members(text: str) -> Iterator[tuple[str, int, int]]:
    """Name and span of the values of the outermost object."""
    at = _skip(text, text.index("{") + 1)
    while text[at] != "}":
        name, after = _decoder.raw_decode(text, at)
        start = _skip(text, after)
        _, end = _decoder.raw_decode(text, start)
        yield name, start, end
        at = _skip(text, end)


def _items(text: str, start: int) -> Iterator[tuple[int, int]]:
    at = _skip(text, start + 1)
    while text[at] != "]":
        _, end = _decoder.raw_decode(text, at)
        yield at, end
        at = _skip(text, end)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _position(text: str, offset: int) -> Position:
    before = text[:offset]
    return Position(before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)


def _keys(statement: dict[str, Any], *, variables: bool) -> set[str]:
    condition = statement.get("Condition") or {}
    found = {key for keys in condition.values() for key in keys}
    if variables:
        parts = (statement.get("Resource"), statement.get("NotResource"), *condition.values())
        found |= {name for text in _texts(parts) for name in _VARIABLE.findall(text) if name not in _SPECIAL}
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
