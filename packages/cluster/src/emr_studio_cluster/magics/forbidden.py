"""Magics that EMR Studio blocks (emr-studio.md 7.3): a cell that uses one fails and says so.

They would change what a line means for everything that runs later (`%alias`, `%automagic`, `%macro`), or run
script in the page of whoever looks at the notebook (`%%js`). `KERNEL_USERNAME` is who the kernel works for.
"""

from __future__ import annotations

import re
from typing import Any

from IPython.core.error import UsageError

LINE = ("alias", "alias_magic", "automagic", "macro")
CELL = ("js", "javascript")
_FIXED = "KERNEL_USERNAME"


def install(shell: Any) -> None:
    """Block them."""
    for name in LINE:
        shell.register_magic_function(_blocked(f"%{name}"), "line", name)
    for name in CELL:
        shell.register_magic_function(_blocked(f"%%{name}"), "cell", name)
    for name in ("env", "set_env"):
        shell.register_magic_function(_keeping(shell.find_line_magic(name), name), "line", name)


def _blocked(name: str) -> Any:
    def magic(_line: str, _cell: str = "") -> None:
        raise UsageError(f"{name} is not supported in EMR Studio.")

    magic.__doc__ = f"{name} is not supported in EMR Studio."
    return magic


def _keeping(original: Any, name: str) -> Any:
    def magic(line: str) -> Any:
        if sets_fixed(line):
            raise UsageError(f"{_FIXED} cannot be changed.")
        return original(line)

    magic.__doc__ = original.__doc__ or f"%{name}"
    return magic


def sets_fixed(line: str) -> bool:
    """Whether `%env` or `%set_env` with this line would set the variable; `%env NAME` alone shows it."""
    return re.match(rf"{_FIXED}(?:\s*=|\s+\S)", line.strip()) is not None
