"""Wildcards in linear time.

A pattern is a sequence of tokens: literal text, `ANY` (`*`) and `ONE` (`?`). Between two `ANY` the
leftmost occurrence is always as good as any other, so each piece becomes an atomic group: the regular
expression never goes back into it, and no pattern takes more than length x pattern steps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from functools import lru_cache


class Wild(Enum):
    """The two wildcards."""

    ANY = "*"
    ONE = "?"


ANY = Wild.ANY
ONE = Wild.ONE
Token = str | Wild
Tokens = tuple[Token, ...]
TextMatcher = Callable[[str], object]

_SPLIT = re.compile(r"([*?])")
_WILD = {"*": ANY, "?": ONE}


def tokenize(pattern: str) -> Tokens:
    """Read `*` and `?` in `pattern`; everything else is literal."""
    return merge(_WILD.get(part, part) for part in _SPLIT.split(pattern) if part)


def merge(tokens: Iterable[Token]) -> Tokens:
    """Join neighbouring literals and collapse runs of `*`."""
    out: list[Token] = []
    for token in tokens:
        last = out[-1] if out else None
        if isinstance(token, str):
            if not token:
                continue
            if isinstance(last, str):
                out[-1] = last + token
                continue
        elif token is ANY and last is ANY:
            continue
        out.append(token)
    return tuple(out)


def split_colons(tokens: Tokens, limit: int) -> list[Tokens]:
    """Split at the first `limit - 1` colons of the literals."""
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if not isinstance(token, str):
            parts[-1].append(token)
            continue
        first, *rest = token.split(":", limit - len(parts))
        parts[-1].append(first)
        parts.extend([piece] for piece in rest)
    return [merge(part) for part in parts]


def expression(tokens: Tokens, char: str = ".") -> str:
    """Return an unanchored regular expression in which a wildcard stands for `char`."""
    pieces: list[str] = [""]
    for token in tokens:
        if token is ANY:
            pieces.append("")
        else:
            pieces[-1] += char if token is ONE else re.escape(str(token))
    first, *rest = pieces
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(f"(?>{char}*?{piece})" for piece in middle) + f"{char}*{last}"


def arn_expression(parts: Sequence[Tokens]) -> str:
    """Regular expression of an ARN pattern: in the inner parts wildcards stop at a colon."""
    inner = "".join(f"(?>{expression(part, '[^:]')}:)" for part in parts[:-1])
    return inner + expression(parts[-1])


@lru_cache(maxsize=8192)
def compiled(source: str) -> re.Pattern[str]:
    """Compile an expression that must match the whole text."""
    return re.compile(rf"(?s:{source})\Z")


def match_tokens(tokens: Tokens, text: str) -> bool:
    """Match a pattern that is known only now (its variables were just filled in)."""
    if not tokens:
        return not text
    head = tokens[0]
    if len(tokens) == 1:
        return len(text) == 1 if head is ONE else head is ANY or text == head
    if len(tokens) == 2 and isinstance(head, str) and tokens[1] is ANY:
        return text.startswith(head)
    return compiled(expression(tokens)).match(text) is not None


def match_arn_tokens(tokens: Tokens, text: str) -> bool:
    """Match six components, each by itself; fewer never match (the operators `Arn...`)."""
    parts = split_colons(tokens, 6)
    if len(parts) < 6:
        return False
    if len(tokens) == 1:
        return text == tokens[0]
    return compiled(arn_expression(parts)).match(text) is not None


def any_of(exact: Iterable[str], prefixes: Iterable[str], expressions: Iterable[str]) -> TextMatcher | None:
    """One function that is true if any pattern matches; None if there is no pattern."""
    tests: list[TextMatcher] = []
    literals = frozenset(exact)
    if literals:
        tests.append(literals.__contains__)
    starts = tuple(dict.fromkeys(prefixes))
    if starts:
        tests.append(_starts_with(starts))
    alternatives = list(dict.fromkeys(expressions))
    if alternatives:
        tests.append(compiled("|".join(f"(?>{one}\\Z)" for one in alternatives)).match)
    if not tests:
        return None
    return tests[0] if len(tests) == 1 else _either(tuple(tests))


def matcher(patterns: Iterable[Tokens]) -> TextMatcher | None:
    """Matcher of plain patterns (not split at colons); None if there are none."""
    exact, prefixes, expressions = [], [], []
    for tokens in patterns:
        literal = literal_of(tokens)
        prefix = prefix_of(tokens)
        if literal is not None:
            exact.append(literal)
        elif prefix is not None:
            prefixes.append(prefix)
        else:
            expressions.append(expression(tokens))
    return any_of(exact, prefixes, expressions)


def literal_of(tokens: Tokens) -> str | None:
    """The text of a pattern without wildcards."""
    if not tokens:
        return ""
    return tokens[0] if len(tokens) == 1 and isinstance(tokens[0], str) else None


def prefix_of(tokens: Tokens) -> str | None:
    """The text before the only wildcard, a `*` at the end."""
    if tokens == (ANY,):
        return ""
    if len(tokens) == 2 and isinstance(tokens[0], str) and tokens[1] is ANY:
        return tokens[0]
    return None


def _starts_with(prefixes: tuple[str, ...]) -> TextMatcher:
    if len(prefixes) == 1:
        only = prefixes[0]
        return lambda text: text.startswith(only)
    return lambda text: text.startswith(prefixes)


def _either(tests: tuple[TextMatcher, ...]) -> TextMatcher:
    def match(text: str) -> object:
        return any(test(text) for test in tests)

    return match
