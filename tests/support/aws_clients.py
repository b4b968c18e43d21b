"""Stock boto3 clients with our overlay of operations, from one session: each session reads all models anew.

emr = client("emr", url, key_id, secret)
"""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import Any

import boto3
from botocore.config import Config

from emr_studio.aws.models import data_path

REGION = "us-east-1"
_ONCE = Config(retries={"total_max_attempts": 1})
_lock = Lock()


def client(
    service: str,
    url: str,
    key_id: str,
    secret: str,
    token: str | None = None,
    *,
    region: str = REGION,
    config: Config | None = None,
) -> Any:
    """A client that sends each request once; `config` adds to that."""
    # boto3 may make clients of one session in one thread only.
    with _lock:
        return _session().client(
            service,
            region_name=region,
            endpoint_url=url,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=_ONCE.merge(config) if config else _ONCE,
        )


@cache
def _session() -> boto3.Session:
    session = boto3.Session()
    session._loader.search_paths.insert(0, str(data_path()))
    return session
