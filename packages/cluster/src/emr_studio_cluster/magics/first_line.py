"""What a cell's first line says, before IPython reads it.

`%%local` and `%%pyspark`, of notebooks made for EMR where a Spark kernel's cells run elsewhere, are taken away: in
these kernels all Python runs in one place, and so the last value is shown and errors point to their lines.
`%%info` and others that may stand alone in a cell become `%info`: IPython refuses cell magics without a body.
"""

from __future__ import annotations

import re
from typing import Any

PLAIN = ("local", "pyspark")
ALONE = ("info", "help", "display", "configure")
_PLAIN = re.compile(rf"\s*%%(?:{'|'.join(PLAIN)})\b[^\n]*\n?")
_ALONE = re.compile(rf"\s*%(%(?:{'|'.join(ALONE)})\b[^\n]*\n?)")


def install(shell: Any) -> None:
    """Let a shell read cells so."""
    for name in PLAIN:
        shell.register_magic_function(_running(shell, name), "cell", name)
    shell.input_transformers_cleanup.append(rewritten)


def rewritten(lines: list[str]) -> list[str]:
    """A cell's lines, of which the first that is not empty may be another."""
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return lines
    if _PLAIN.fullmatch(lines[first]):
        return [*lines[:first], "\n", *lines[first + 1 :]]
    alone = _ALONE.fullmatch(lines[first])
    if alone and not any(line.strip() for line in lines[first + 1 :]):
        return [*lines[:first], alone[1]]
    return lines


def _running(shell: Any, name: str) -> Any:
    def magic(_line: str, cell: str) -> None:
        shell.ex(cell)

    magic.__doc__ = f"%%{name}: the cell is Python, run here."
    return magic
