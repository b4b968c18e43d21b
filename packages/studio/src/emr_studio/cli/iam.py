"""`emr-studio iam …`: decisions without a running studio."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

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


@app.command()
def explain(
    what: Annotated[
        str | None, typer.Argument(help="Id of a request or of a record of the trail, or an encoded message.")
    ] = None,
    *,
    principal: Annotated[str | None, typer.Option(help="ARN of a user, group, role or session.")] = None,
    action: Annotated[str | None, typer.Option(help="What it wants to do: service:Action.")] = None,
    resource: Annotated[str, typer.Option(help="On what: an ARN, or *.")] = "*",
    context: Annotated[
        list[str] | None, typer.Option(help="A condition key as key=value; again for more keys or values.")
    ] = None,
    denied: Annotated[bool, typer.Option("--denied", help="The last denials: 10, or as many as you say.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    profile: Annotated[str | None, typer.Option(help="AWS profile to ask with.", show_default="as for aws")] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="The studio to ask.")] = None,
) -> None:
    """Why something is, was or would be denied: the deciding policy and statement, and what it would take.

    Asks the running studio with your own AWS credentials; you see here what you may see there.
    """
    from emr_studio.cli.explain import NotExplained
    from emr_studio.cli.explain.command import Question, answer

    question = Question(what, principal, action, resource, tuple(context or ()), denied)
    try:
        print(answer(question, profile, data_dir, as_json=as_json))
    except NotExplained as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
