"""`emr-studio iam …`: decisions without a running studio."""

from __future__ import annotations

import os
import sys

import typer

app = typer.Typer(no_args_is_help=True, help="Policy decisions, explained.")


@app.callback()
def iam() -> None:
    """Policy decisions, explained."""


@app.command()
def evaluate() -> None:
    """Read cases as JSON lines from standard input, write one decision a line."""
    from emr_studio.iam.policy.cases import decide_lines

    out = sys.stdout.buffer
    try:
        for answer in decide_lines(sys.stdin.buffer):
            out.write(answer)
            out.flush()  # who asks in a dialogue waits for this line
    except BrokenPipeError:
        # Nobody reads any more (`| head`): no fault. The interpreter must not try to flush again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
