"""`%generate_s3_download_url s3://bucket/key [--expires-in SECONDS]`: a link to a file in S3, signed as this kernel."""

from __future__ import annotations

import argparse
import html
import shlex
from typing import Any, NoReturn

from IPython.core.error import UsageError
from IPython.display import display

NAME = "generate_s3_download_url"
_LONGEST = 7 * 24 * 3600


class Options(argparse.ArgumentParser):
    """Options of a magic: a wrong one is a UsageError."""

    def error(self, message: str) -> NoReturn:
        """Say it as IPython's own magics do."""
        raise UsageError(f"{message}\n{self.format_usage()}")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """`--help` ends the cell, not the kernel."""
        raise UsageError(message or "")

    def parse_line(self, line: str) -> argparse.Namespace:
        """Options of a line.

        Raises:
            UsageError: they are wrong.
        """
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise UsageError(str(error)) from error
        return self.parse_args(words)


_OPTIONS = Options(prog=f"%{NAME}", add_help=False)
_OPTIONS.add_argument("url")
_OPTIONS.add_argument("--expires-in", "--expiry-seconds", dest="seconds", type=int, default=3600)


def install(shell: Any) -> None:
    """Give it to a shell."""
    shell.register_magic_function(_show, "line", NAME)


def _show(line: str) -> None:
    """A link to a file in S3, for whoever has it: %generate_s3_download_url s3://bucket/key [--expires-in 3600]."""
    options = _OPTIONS.parse_line(line)
    link = download_url(options.url, options.seconds)
    name = options.url.rpartition("/")[2]
    text = f'<a href="{html.escape(link)}" target="_blank" rel="noopener">{html.escape(name)}</a>'
    display({"text/plain": link, "text/html": text}, raw=True)


def download_url(url: str, seconds: int) -> str:
    """A presigned URL of an object that is there.

    Raises:
        UsageError: the URL is none of S3, the time is out of bounds, there is no such object, or it may not be read.
    """
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if not url.startswith("s3://") or not bucket or not key:
        raise UsageError(f"{url} is no S3 URL of a file: s3://bucket/key")
    if not 1 <= seconds <= _LONGEST:
        raise UsageError(f"--expires-in is 1 to {_LONGEST} seconds (seven days).")
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    # Of endpoints that are not AWS's, boto3 would sign with version 2.
    s3 = boto3.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NoSuchBucket"):
            raise UsageError(f"{url} does not exist.") from error
        raise UsageError(f"{url} cannot be read: {error}") from error
    except BotoCoreError as error:
        raise UsageError(f"{url} cannot be read: {error}") from error
    # The name under which a browser keeps it.
    wanted = f'attachment; filename="{_plain(key.rpartition("/")[2])}"'
    parameters = {"Bucket": bucket, "Key": key, "ResponseContentDisposition": wanted}
    return str(s3.generate_presigned_url("get_object", Params=parameters, ExpiresIn=seconds))


def _plain(name: str) -> str:
    return "".join(sign if sign.isascii() and sign.isprintable() and sign not in '"\\' else "_" for sign in name)
