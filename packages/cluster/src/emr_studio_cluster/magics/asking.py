"""What a cell asks the Workspace's server, which runs it, as `input()` asks a user (`emr_studio_workspace.worker`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from IPython.core.error import StdinNotImplementedError, UsageError

Ask = Callable[[str], str]
"""Has the Workspace's server answer a question."""


def asking(shell: Any) -> Ask:
    """What a shell's kernel asks with."""
    return lambda question: str(shell.kernel.raw_input(question))


def answered(ask: Ask, subject: str, question: dict[str, Any], unheard: str) -> dict[str, Any]:
    """The answer to a question that begins with `subject`.

    Raises:
        UsageError: it is refused, or no Workspace's server runs the cell (`unheard`).
    """
    try:
        told = json.loads(ask(subject + json.dumps(question)))
    except (StdinNotImplementedError, ValueError) as error:
        raise UsageError(unheard) from error
    if not isinstance(told, dict) or "error" in told:
        raise UsageError(str(told["error"]) if isinstance(told, dict) else unheard)
    return told
