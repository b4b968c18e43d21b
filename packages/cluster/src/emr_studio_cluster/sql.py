"""A cell of SQL, cut into statements."""

from __future__ import annotations

import re
from collections.abc import Iterator

# What a `;` inside does not end a statement: strings, quoted names, comments.
_PIECES = re.compile(r"'(?:[^'\\]|\\.|'')*'?|\"(?:[^\"\\]|\\.)*\"?|`[^`]*`?|--[^\n]*|/\*.*?(?:\*/|\Z)|;|.", re.DOTALL)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)


def statements(text: str) -> Iterator[str]:
    """The statements of a cell, without those that are only comments."""
    statement = ""
    for piece in [*_PIECES.findall(text), ";"]:
        if piece != ";":
            statement += piece
            continue
        if _COMMENT.sub("", statement).strip():
            yield statement.strip()
        statement = ""
