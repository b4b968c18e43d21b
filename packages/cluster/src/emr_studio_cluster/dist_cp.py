"""`s3-dist-cp`: copies what lies below one place in S3 to another, inside the store, several at a time."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

_AT_A_TIME = 8
_S3 = re.compile(r"s3[an]?://([^/]+)/?(.*)", re.DOTALL)


def main(arguments: Sequence[str]) -> int:
    """Copy; 1 and a sentence if that could not be done."""
    options = _parser().parse_args(list(arguments))
    source, target = _S3.fullmatch(options.src), _S3.fullmatch(options.dest)
    if source is None or target is None:
        print("s3-dist-cp: --src and --dest must be in S3: this cluster has no HDFS", file=sys.stderr)
        return 1
    try:
        count = _copy_all(boto3.client("s3"), source.groups(), target.groups(), options)
    except (ClientError, BotoCoreError) as error:
        print(f"s3-dist-cp: {error}", file=sys.stderr)
        return 1
    print(f"{count} objects copied to {options.dest}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("s3-dist-cp", allow_abbrev=False)
    parser.add_argument("--src", required=True)
    parser.add_argument("--dest", required=True)
    parser.add_argument("--srcPattern", default=".*", help="a regular expression that the whole path must match")
    parser.add_argument("--deleteOnSuccess", action="store_true", help="delete the sources after all is copied")
    return parser


def _copy_all(client: Any, source: Sequence[Any], target: Sequence[Any], options: argparse.Namespace) -> int:
    bucket, prefix = source
    pattern = re.compile(options.srcPattern)
    keys = [key for key in _keys(client, bucket, prefix) if pattern.fullmatch(f"s3://{bucket}/{key}")]

    def copy(key: str) -> None:
        client.copy({"Bucket": bucket, "Key": key}, target[0], _renamed(key, prefix, target[1]))

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        list(pool.map(copy, keys))
    if options.deleteOnSuccess:
        for key in keys:
            client.delete_object(Bucket=bucket, Key=key)
    return len(keys)


def _keys(client: Any, bucket: str, prefix: str) -> Iterator[str]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (item["Key"] for item in page.get("Contents", ()))


def _renamed(key: str, prefix: str, target: str) -> str:
    tail = key[len(prefix) :].lstrip("/") or key.rpartition("/")[2]
    return f"{target.rstrip('/')}/{tail}" if target else tail


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
