"""`emr-studio iam …`: decisions without a running studio."""

from __future__ import annotations

import sys

import typer

app = typer.Typer(no_args_is_help=True, help="Policy decisions, explained.")


@app.callback()
def iam() -> None:
    """Policy decisions, explained."""


@app.command()
def evaluate() -> None:
    """Read cases as JSON lines from standard input, write one decision a line."""
    from emr_studio.iam.policy.cases import decide_line

    for line in sys.stdin.buffer:
        if line.strip():
            sys.stdout.buffer.write(decide_line(line) + b"\n")
            sys.stdout.buffer.flush()
