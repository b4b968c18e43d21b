"""Wildcards in linear time.

A pattern is a sequence of tokens: literal text, `ANY` (`*`) and `ONE` (`?`). Between two `ANY` the
leftmost occurrence is always as good as any other, so nothing is ever tried again. Two ways lead there:

* usual patterns become regular expressions in which each piece is an atomic group;
* a pattern with a long piece to search for, or one whose variables are known only now, is matched
  piece by piece: literal text by `str.find`, a piece with `?` by shift-and (one step a character).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from functools import lru_cache, partial


class Wild(Enum):
    """The two wildcards."""

    ANY = "*"
    ONE = "?"


ANY = Wild.ANY
ONE = Wild.ONE
Token = str | Wild
Tokens = tuple[Token, ...]
Parts = tuple[Tokens, ...]
TextMatcher = Callable[[str], object]

_SPLIT = re.compile(r"([*?])")
_WILD = {"*": ANY, "?": ONE}
_LONGEST_PIECE, _MOST_PIECES = 48, 64
_LONGEST_REMEMBERED = 512


def tokenize(pattern: str) -> Tokens:
    """Read `*` and `?` in `pattern`; everything else is literal."""
    return _tokenize(pattern) if len(pattern) > _LONGEST_REMEMBERED else _remembered(pattern)


def _tokenize(pattern: str) -> Tokens:
    return merge(_WILD.get(part, part) for part in _SPLIT.split(pattern) if part)


_remembered = lru_cache(maxsize=4096)(_tokenize)


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


@lru_cache(maxsize=2048)
def compiled(source: str) -> re.Pattern[str]:
    """Compile an expression that must match the whole text."""
    return re.compile(rf"(?s:{source})\Z")


def match_tokens(tokens: Tokens, text: str) -> bool:
    """Match a whole text without a regular expression."""
    if not tokens:
        return not text
    head = tokens[0]
    if len(tokens) == 1:
        return len(text) == 1 if head is ONE else head is ANY or text == head
    if len(tokens) == 2 and isinstance(head, str) and tokens[1] is ANY:
        return text.startswith(head)
    return _match_pieces(pieces_of(tokens), text)


def match_arn_tokens(tokens: Tokens, text: str) -> bool:
    """Match six components, each by itself; fewer never match (the operators `Arn...`)."""
    parts = split_colons(tokens, 6)
    return len(parts) == 6 and match_parts(tuple(parts), text)


def match_parts(parts: Parts, text: str) -> bool:
    """Match a pattern that was cut at its first colons: each part by itself, the last to the end."""
    given = text.split(":", len(parts) - 1)
    return len(given) == len(parts) and all(map(match_tokens, parts, given))


def pieces_of(tokens: Tokens) -> list[Tokens]:
    """What stands between the `ANY`."""
    pieces: list[list[Token]] = [[]]
    for token in tokens:
        if token is ANY:
            pieces.append([])
        else:
            pieces[-1].append(token)
    return [tuple(piece) for piece in pieces]


def _match_pieces(pieces: Sequence[Tokens], text: str) -> bool:
    first, *rest = pieces
    if not _stands_at(first, text, 0):
        return False
    at = _width(first)
    if not rest:
        return at == len(text)
    *middle, last = rest
    for piece in middle:
        at = _end_of(piece, text, at)
        if at < 0:
            return False
    start = len(text) - _width(last)
    return start >= at and _stands_at(last, text, start)


def _width(piece: Tokens) -> int:
    return sum(len(token) if isinstance(token, str) else 1 for token in piece)


def _stands_at(piece: Tokens, text: str, at: int) -> bool:
    for token in piece:
        if isinstance(token, str):
            if not text.startswith(token, at):
                return False
            at += len(token)
        else:
            at += 1
    return at <= len(text)


def _end_of(piece: Tokens, text: str, start: int) -> int:
    """Where the leftmost occurrence of `piece` at or after `start` ends; -1 if there is none."""
    if len(piece) == 1 and isinstance(piece[0], str):
        found = text.find(piece[0], start)
        return found if found < 0 else found + len(piece[0])
    letters, anything, width = _masks(piece)
    state, goal = 0, 1 << (width - 1)
    for at in range(start, len(text)):
        # Bit n is set while the last n + 1 characters fit the beginning of the piece.
        state = ((state << 1) | 1) & letters.get(text[at], anything)
        if state & goal:
            return at + 1
    return -1


def _masks(piece: Tokens) -> tuple[dict[str, int], int, int]:
    """For each letter the places of the piece where it fits; the same for all others; the width."""
    spelled: list[str | None] = []
    for token in piece:
        spelled.extend(token if isinstance(token, str) else (None,))
    letters = {letter for letter in spelled if letter is not None}
    bits = {letter: bytearray(len(spelled) // 8 + 1) for letter in (*letters, None)}
    for place, letter in enumerate(spelled):
        for fits in bits.values() if letter is None else (bits[letter],):
            fits[place // 8] |= 1 << (place % 8)
    masks = {letter: int.from_bytes(fits, "little") for letter, fits in bits.items()}
    return {letter: masks[letter] for letter in letters}, masks[None], len(spelled)


def any_of(exact: Iterable[str], prefixes: Iterable[str], patterns: Iterable[Parts]) -> TextMatcher | None:
    """One function that is true if any pattern matches; None if there is no pattern.

    Args:
        patterns: patterns cut at their first colons (see `match_parts`); one part is not cut at all.
    """
    tests: list[TextMatcher] = []
    literals = frozenset(exact)
    if literals:
        tests.append(literals.__contains__)
    starts = tuple(dict.fromkeys(prefixes))
    if starts:
        tests.append(_starts_with(starts))
    different = list(dict.fromkeys(patterns))
    long = [parts for parts in different if not _is_usual(parts)]
    usual = [parts for parts in different if parts not in long] if long else different
    if usual:
        tests.append(compiled("|".join(f"(?>{arn_expression(parts)}\\Z)" for parts in usual)).match)
    tests += [partial(match_parts, parts) for parts in long]
    if not tests:
        return None
    return tests[0] if len(tests) == 1 else _either(tuple(tests))


def _is_usual(parts: Parts) -> bool:
    """True if a regular expression is quick for it: it compares a piece anew at every place."""
    if sum(map(_width, parts)) <= _LONGEST_PIECE:
        return True
    searched = [piece for part in parts for piece in pieces_of(part)[1:]]
    return len(searched) <= _MOST_PIECES and all(_width(piece) <= _LONGEST_PIECE for piece in searched)


def matcher(patterns: Iterable[Tokens]) -> TextMatcher | None:
    """Matcher of plain patterns (not split at colons); None if there are none."""
    exact, prefixes, others = [], [], []
    for tokens in patterns:
        literal = literal_of(tokens)
        prefix = prefix_of(tokens)
        if literal is not None:
            exact.append(literal)
        elif prefix is not None:
            prefixes.append(prefix)
        else:
            others.append((tokens,))
    return any_of(exact, prefixes, others)


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
