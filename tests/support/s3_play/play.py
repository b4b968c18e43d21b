"""Runs the acts of a script, one after the other, and prints one JSON line for each.

    {"act": "ranged_read", "seconds": 0.01, "error": ""}     error: a trace, "" if all went well

Only the standard library: every client's own interpreter imports this.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import traceback
import urllib.request
from collections.abc import Callable, Mapping
from urllib.error import HTTPError

URL = os.environ.get("S3_URL", "")
HOST = URL.partition("//")[2]
REGION = os.environ.get("AWS_REGION", "us-east-1")
BUCKET = os.environ.get("S3_BUCKET", "")
"""The script's own, empty at first."""
MANY_BUCKET, MANY = os.environ.get("S3_MANY_BUCKET", ""), 10_000
"""Ten thousand objects `many/00000` to `many/09999`, each holding its number."""
MEGABYTES = int(os.environ.get("S3_LARGE_MB", "64"))
BOB = (os.environ.get("S3_BOB_KEY", ""), os.environ.get("S3_BOB_SECRET", ""))
"""Keys of one whom no policy of his own lets do anything."""
BOB_ARN = os.environ.get("S3_BOB_ARN", "")
ORIGIN = "https://app.example.com"


def policy_for_bob(prefix: str) -> str:
    """A bucket policy that lets Bob read below `prefix`."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": BOB_ARN},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/{prefix}*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def http(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes, Mapping[str, str]]:
    """A plain HTTP request, as the holder of a link makes it: status, body, headers (lower case)."""
    request = urllib.request.Request(url, data=body, method=method, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.headers.items()}
    except HTTPError as error:
        with error:
            return error.code, error.read(), {name.lower(): value for name, value in error.headers.items()}


def preflight(path: str, method: str = "PUT") -> tuple[int, Mapping[str, str]]:
    """What a browser on `ORIGIN` asks before it sends `method`."""
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": method}
    status, _, headers = http("OPTIONS", f"{URL}{path}", headers=asked)
    return status, headers


def large_file(folder: str, megabytes: int = MEGABYTES) -> tuple[str, str]:
    """A file of so many MB, no two of them alike; its path and SHA-256."""
    path, digest, block = os.path.join(folder, "large"), hashlib.sha256(), os.urandom(1 << 20)
    with open(path, "wb") as file:
        for number in range(megabytes):
            piece = number.to_bytes(8, "big") + block[8:]
            digest.update(piece)
            file.write(piece)
    return path, digest.hexdigest()


def sha256(path: str) -> str:
    """Hex SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def run(*acts: Callable[[], None]) -> None:
    """Do all acts, or those named on the command line, and print how each went."""
    for act in acts:
        if len(sys.argv) > 1 and act.__name__ not in sys.argv[1:]:
            continue
        begun, error = time.monotonic(), ""
        try:
            act()
        except Exception:  # every act is tried, whatever became of those before
            error = traceback.format_exc()[-3000:]
        line = {"act": act.__name__, "seconds": round(time.monotonic() - begun, 3), "error": error}
        print(json.dumps(line), flush=True)
