"""Policy variables: `${key}`, `${key, 'default'}`, and `${*}`, `${?}`, `${$}`.

A template is read once. Filled-in text is literal: a `*` in a tag's value is no wildcard.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emr_studio.iam.policy.glob import Token, Tokens, merge, tokenize

ContextValue = str | Sequence[str]
RequestContext = Mapping[str, ContextValue]
"""Keys in lower case. A string is a single value; a list is a multivalued key."""

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_WITH_DEFAULT = re.compile(r"\s*([^,]*?)\s*,\s*'([^']*)'\s*", re.DOTALL)
_SPECIAL = frozenset("*?$")


@dataclass(frozen=True)
class Variable:
    """A reference to a context key (lower case) with its default, if any."""

    key: str
    default: str | None


@dataclass(frozen=True)
class Template:
    """Text with at least one variable."""

    parts: tuple[Token | Variable, ...]

    def fill(self, context: RequestContext) -> Tokens | None:
        """Return the pattern with the variables' values, or None if one has no value."""
        tokens: list[Token] = []
        for part in self.parts:
            if not isinstance(part, Variable):
                tokens.append(part)
                continue
            value = context.get(part.key)
            if not isinstance(value, str):
                # A multivalued key has no value here; the default stands for a missing one.
                value = part.default
            if value is None:
                return None
            tokens.append(value)
        return merge(tokens)


def read_pattern(text: str, *, variables: bool, wildcards: bool = True) -> Tokens | Template:
    """Read `text` as a pattern, with variables where the document's version has them."""
    read = tokenize if wildcards else _literal
    if not variables or "${" not in text:
        return read(text)
    parts: list[Token | Variable] = []
    position = 0
    for found in _VARIABLE.finditer(text):
        parts.extend(read(text[position : found.start()]))
        parts.append(_variable(found[1]))
        position = found.end()
    parts.extend(read(text[position:]))
    if any(isinstance(part, Variable) for part in parts):
        return Template(tuple(parts))
    return merge(part for part in parts if not isinstance(part, Variable))


def _variable(body: str) -> str | Variable:
    if body in _SPECIAL:
        return body
    if found := _WITH_DEFAULT.fullmatch(body):
        return Variable(found[1].lower(), found[2])
    return Variable(body.strip().lower(), None)


def _literal(text: str) -> Tokens:
    return (text,) if text else ()
