"""`emr-studio trail …`: the stock AWS CLI's check of a trail's files.

Digests carry their signature as user metadata, which the AWS CLI looks up by its exact name. HTTP says that names
of headers have no case, and the edge (Caddy, as every Go program) writes them `X-Amz-Meta-Signature`; here they are
read as S3 itself would have sent them.
"""

from __future__ import annotations

from typing import Any

import typer

app = typer.Typer(no_args_is_help=True, help="The audit trail's files.")


@app.callback()
def trail() -> None:
    """The audit trail's files."""


@app.command("validate-logs", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def validate_logs(context: typer.Context) -> None:
    """`aws cloudtrail validate-logs` with the same options; 1 if a file was changed or is missing."""
    from awscli.clidriver import create_clidriver

    driver = create_clidriver()
    driver.session.register("after-call.s3", _lower_names)
    raise typer.Exit(driver.main(["cloudtrail", "validate-logs", *context.args]))


def _lower_names(parsed: dict[str, Any], **_others: Any) -> None:
    """A handler of botocore's: names of user metadata in lower case."""
    if metadata := parsed.get("Metadata"):
        parsed["Metadata"] = {name.lower(): value for name, value in metadata.items()}
