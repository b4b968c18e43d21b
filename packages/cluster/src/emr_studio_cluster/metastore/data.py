"""Folders of tables: made and deleted as Hive's metastore does, with the role of whoever runs here."""

from __future__ import annotations

import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3

_S3 = re.compile(r"s3[an]?://([^/]+)/(.+)", re.DOTALL)


@cache
def _client() -> Any:
    return boto3.client("s3")


def make_folder(location: str) -> None:
    """Make the folder of a new table: in S3 an empty object that stands for it."""
    found = _S3.fullmatch(location)
    if found:
        _client().put_object(Bucket=found[1], Key=found[2].rstrip("/") + "/", Body=b"")
    elif (path := _local(location)) is not None:
        path.mkdir(parents=True, exist_ok=True)


def delete_folder(location: str) -> None:
    """Delete what lies in a folder, and the folder; never a whole bucket."""
    found = _S3.fullmatch(location)
    if found:
        _delete_below(found[1], found[2].rstrip("/") + "/")
    elif (path := _local(location)) is not None:
        shutil.rmtree(path, ignore_errors=True)


def _delete_below(bucket: str, prefix: str) -> None:
    for page in _client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        keys = [{"Key": item["Key"]} for item in page.get("Contents", ())]
        if keys:
            _client().delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})


def _local(location: str) -> Path | None:
    parts = urlsplit(location)
    path = unquote(parts.path)
    return Path(path) if parts.scheme in ("", "file") and len(Path(path).parts) > 2 else None
