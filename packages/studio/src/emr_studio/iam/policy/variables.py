"""Policy variables: `${key}`, `${key, 'default'}`, and `${*}`, `${?}`, `${$}`.

A template is read once. Filled-in text is literal: a `*` in a tag's value is no wildcard.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from emr_studio.iam.policy.glob import ANY, Token, Tokens, Wild, match_tokens, merge, tokenize

ContextValue = str | Sequence[str]
RequestContext = Mapping[str, ContextValue]
"""Keys in lower case. A string is a single value; a list is a multivalued key."""
TemplateMatcher = Callable[[str, RequestContext], bool]

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
            if isinstance(part, Variable):
                value = _value(part, context)
                if value is None:
                    return None
                tokens.append(value)
            else:
                tokens.append(part)
        return merge(tokens)

    def matcher(self) -> TemplateMatcher:
        """Return a function that matches a text; usual shapes go without tokens."""
        *head, last = self.parts
        if not any(isinstance(part, Wild) for part in self.parts):
            return _exact(tuple(self.parts))
        if last is ANY and not any(isinstance(part, Wild) for part in head):
            return _prefix(tuple(head))

        def match(text: str, context: RequestContext) -> bool:
            tokens = self.fill(context)
            return tokens is not None and match_tokens(tokens, text)

        return match


def _value(variable: Variable, context: RequestContext) -> str | None:
    """A multivalued key has no value here; the default stands for a missing one."""
    value = context.get(variable.key)
    return value if isinstance(value, str) else variable.default


def _join(parts: tuple[Token | Variable, ...], context: RequestContext) -> str | None:
    """The text of parts without wildcards; None if a variable has no value."""
    text = ""
    for part in parts:
        more = _value(part, context) if isinstance(part, Variable) else part
        if more is None:
            return None
        text += str(more)
    return text


def _exact(parts: tuple[Token | Variable, ...]) -> TemplateMatcher:
    only = parts[0]
    if len(parts) == 1 and isinstance(only, Variable):

        def match_variable(text: str, context: RequestContext) -> bool:
            return _value(only, context) == text

        return match_variable

    def match(text: str, context: RequestContext) -> bool:
        return _join(parts, context) == text

    return match


def _prefix(parts: tuple[Token | Variable, ...]) -> TemplateMatcher:
    def match(text: str, context: RequestContext) -> bool:
        start = _join(parts, context)
        return start is not None and text.startswith(start)

    return match


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
