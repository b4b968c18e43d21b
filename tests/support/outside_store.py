"""An S3 of somebody else's, for studios that keep their objects there: a SeaweedFS that knows its own keys only."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from emr_studio.loopback import free_port
from tests.support.s3_rig import REGION
from tests.support.studio import until

ACCESS_KEY, SECRET = "AKIAEXTERNALEXTERNAL", "a-secret-of-the-external-store"
_PORTS = ("s3.port", "s3.port.grpc", "filer.port", "filer.port.grpc", "master.port", "master.port.grpc")


def client_of(url: str, secret: str = SECRET) -> Any:
    """A stock client with that store's own keys."""
    config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    return boto3.session.Session(ACCESS_KEY, secret, region_name=REGION).client("s3", endpoint_url=url, config=config)


@contextmanager
def outside_store(folder: Path) -> Iterator[str]:
    """Its URL, once it takes objects; `folder` is empty."""
    (folder / "data").mkdir()
    credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identities = [{"name": "studio", "credentials": credentials, "actions": actions}]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    names, chosen = (*_PORTS, "volume.port", "volume.port.grpc"), set[int]()
    while len(chosen) < len(names):
        chosen.add(free_port())
    ports = dict(zip(names, chosen, strict=True))
    argv = [
        str(Path(sys.executable).with_name("weed")), "-logtostderr=true", "server", f"-dir={folder / 'data'}",
        "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", f"-s3.config={folder / 's3.json'}",
        "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false", "-master.volumeSizeLimitMB=64", "-volume.max=200",
        "-volume.minFreeSpace=128MiB", "-master.telemetry=false", "-master.electionTimeout=400ms",
        "-master.heartbeatInterval=100ms", *(f"-{name}={port}" for name, port in ports.items()),
    ]  # fmt: skip
    url = f"http://127.0.0.1:{ports['s3.port']}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        until("the store outside takes objects", lambda: _takes_objects(url), 120)
        yield url
    finally:
        process.kill()
        process.wait()


def _takes_objects(url: str) -> bool:
    client = client_of(url)
    with suppress(BotoCoreError, ClientError):  # not yet, or made by the last question
        client.create_bucket(Bucket="is-ready")
    try:
        client.put_object(Bucket="is-ready", Key="k", Body=b"")
    except (BotoCoreError, ClientError):
        return False
    return True
