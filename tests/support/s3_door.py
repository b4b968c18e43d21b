"""The real lane and edge in front of the real IAM and the real store, the control plane's part in this process.

with s3_door(store_settings) as door:          # settings of a store that runs
    door.client(door.admin).create_bucket(Bucket="lake")
"""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.routing import Route

import emr_studio.storage.model  # noqa: F401
from emr_studio import ids
from emr_studio.clock import SystemClock
from emr_studio.db import Base, Database
from emr_studio.edge import caddy
from emr_studio.edge.decisions import Decisions
from emr_studio.iam import trust, writing
from emr_studio.iam.bootstrap import create_account, ensure_account
from emr_studio.iam.container_credentials import container_credentials
from emr_studio.iam.identity import IamAuthorizer, IamCredentialStore
from emr_studio.iam.model import InlinePolicy, User
from emr_studio.iam.sealing import Sealer
from emr_studio.iam.subjects import policies_mention
from emr_studio.loopback import certificates, free_port
from emr_studio.settings import Settings
from emr_studio.storage.inside import Insides
from emr_studio.storage.s3_authorization import S3Authorization
from emr_studio.storage.s3_ports import S3Ports
from tests.support.aws_clients import client
from tests.support.lane_rig import WatchedStraight, lane

REGION = "us-east-1"
BUCKET = "lake"
STRANGER_ACCOUNT = "999999999999"


@dataclass
class Door:
    """The running edge and the keys of those who use it."""

    settings: Settings
    database: Database
    admin: tuple[str, str]
    alice: tuple[str, str]
    stranger: tuple[str, str]
    straight: WatchedStraight

    @property
    def url(self) -> str:
        return self.settings.endpoint_url

    def client(self, keys: tuple[str, str], **config: Any) -> Any:
        return client("s3", self.url, *keys, config=Config(s3={"addressing_style": "path"}, **config))

    def send(
        self, method: str, target: str, keys: tuple[str, str], headers: dict[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, bytes]:
        """A request with a body, signed as the body is."""
        request = AWSRequest(method, f"{self.url}{target}", headers=headers or {}, data=body)
        S3SigV4Auth(Credentials(*keys), "s3", REGION).add_auth(request)
        sent = dict(request.headers.items())
        url, known = f"{self.url}{target}", certificates()
        answer = httpx.request(method, url, headers=sent, content=body, timeout=60, verify=known)
        return answer.status_code, answer.content

    def raw(
        self, method: str, path: str, keys: tuple[str, str], headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Send a signed request whose target nobody normalises."""
        request = AWSRequest(method, f"{self.url}{path}", headers=headers or {})
        auth = S3SigV4Auth(Credentials(*keys), "s3", REGION)
        auth.add_auth(request)
        host = self.settings.host_port
        with socket.create_connection(("127.0.0.1", self.settings.port), 90) as connection:
            lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in request.headers.items()]
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body


def user(session: Session, sealer: Sealer, account_id: str, name: str, document: dict[str, Any]) -> tuple[str, str]:
    now = SystemClock().now()
    user = User(
        id=ids.iam_id("AIDA"), account_id=account_id, name=name, name_key=name, created_at=now,
        arn=f"arn:aws:iam::{account_id}:user/{name}",
    )  # fmt: skip
    session.add(user)
    session.flush()
    session.add(InlinePolicy(account_id=account_id, entity_id=user.id, name="s3", document=json.dumps(document)))
    key, secret = writing.new_access_key(session, sealer, account_id, user.id, now)
    return key.id, secret


ALICE = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
            "Resource": "arn:aws:s3:::lake/alice/*",
        },
        {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::lake/alice/kept/*"},
        {
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": "arn:aws:s3:::lake",
            "Condition": {"StringLike": {"s3:prefix": ["alice/*"]}},
        },
    ],
}


@contextmanager
def s3_door(store_settings: Settings) -> Iterator[Door]:
    settings = Settings(data_dir=store_settings.data_dir, port=free_port())
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    settings.keys_dir.mkdir(parents=True, exist_ok=True)
    database, clock, sealer = Database(settings.sqlalchemy_url), SystemClock(), Sealer.load(settings.keys_dir)
    Base.metadata.create_all(database.engine)
    with database.write() as session:
        person = ensure_account(session, settings, clock).admin
        alice = user(session, sealer, settings.account_id, "alice", ALICE)
        _, root_key, root_secret = create_account(session, sealer, STRANGER_ACCOUNT, "aws", clock.now())
    decisions = Decisions()
    resolver = S3Authorization(
        S3Ports(
            settings, database, clock, IamCredentialStore(sealer), IamAuthorizer(), trust, mentions=policies_mention
        )
    )
    resolver.register(decisions)
    credentials = Route("/_credentials", container_credentials(database, clock, sealer))
    app = decisions.serving(resolver.serving(Starlette(routes=[credentials])))
    config = uvicorn.Config(
        app, uds=str(settings.api_socket), log_level="warning", lifespan="off", timeout_keep_alive=600
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    path = caddy.write_config(settings)
    with (settings.data_dir / "caddy.log").open("wb") as log:
        edge = subprocess.Popen(caddy.command(settings), env=caddy.environment(settings), stdout=log, stderr=log)
    assert path.exists()
    keys = (person.access_key_id, person.secret_access_key)
    with lane(settings, resolver, Insides(settings)) as straight:
        made = Door(settings, database, keys, alice, (root_key.id, root_secret), straight)
        _make_bucket(made)
        yield made
    edge.kill()
    edge.wait()
    server.should_exit = True
    thread.join()
    resolver.close()
    database.dispose()


def _make_bucket(door: Door) -> None:
    until = time.monotonic() + 90
    while True:
        try:
            door.client(door.admin).create_bucket(Bucket=BUCKET)
            return
        except Exception:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
