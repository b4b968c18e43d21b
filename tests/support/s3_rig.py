"""S3 behind the door without the rest of a studio: the real store, control plane and edge, four processes.

with s3_rig(folder) as rig:
    rig.client().create_bucket(Bucket="lake")
    ann = rig.user("ann", {"Version": "2012-10-17", "Statement": [...]})
    rig.client(ann).list_objects_v2(Bucket="lake")
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlsplit

import httpx
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from emr_studio.cli import bootstrap, parts
from emr_studio.loopback import free_port
from emr_studio.runtime.supervisor import Supervisor
from emr_studio.settings import Settings
from emr_studio.storage import store
from tests.support.aws_clients import client

_PARTS = {"store", "api", "edge", "lane"}
_SECONDS = 120.0
REGION = "us-east-1"


@dataclass(frozen=True)
class Keys:
    """Keys of somebody; `token` for temporary ones."""

    access_key_id: str
    secret_access_key: str
    token: str | None = None

    @property
    def credentials(self) -> Credentials:
        return Credentials(self.access_key_id, self.secret_access_key, self.token)

    def environment(self) -> dict[str, str]:
        """As every AWS client reads them."""
        found = {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret_access_key}
        return found | ({"AWS_SESSION_TOKEN": self.token} if self.token else {})


@dataclass(frozen=True)
class RawReply:
    """All that came back on a connection."""

    status: int
    head: str
    body: bytes

    @property
    def code(self) -> str:
        """S3's error code, or ''."""
        return self.body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode("latin-1")


@dataclass(frozen=True)
class Rig:
    """The four processes, and who may use them."""

    settings: Settings
    supervisor: Supervisor
    admin: Keys

    @property
    def url(self) -> str:
        return self.settings.endpoint_url

    @property
    def host(self) -> str:
        return self.settings.host_port

    def client(self, keys: Keys | None = None, service: str = "s3", **config: Any) -> Any:
        """A stock boto3 client through the door."""
        who = keys or self.admin
        chosen = Config(**({"s3": {"addressing_style": "path"}} | config))
        return client(service, self.url, who.access_key_id, who.secret_access_key, who.token, config=chosen)

    def bare(self) -> httpx.Client:
        """The store itself, past the door: to see what is really there."""
        return store.store_client(self.settings)

    def user(self, name: str, *documents: Mapping[str, Any]) -> Keys:
        """A new IAM user with these inline policies."""
        iam = self.client(service="iam")
        iam.create_user(UserName=name)
        for number, document in enumerate(documents):
            iam.put_user_policy(UserName=name, PolicyName=f"p{number}", PolicyDocument=json.dumps(document))
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return Keys(made["AccessKeyId"], made["SecretAccessKey"])

    def session(self, keys: Keys, policy: Mapping[str, Any] | None = None) -> Keys:
        """Temporary keys of a user; with `policy`, a federation token's session policy."""
        sts = self.client(keys, "sts")
        if policy is None:
            made = sts.get_session_token()["Credentials"]
        else:
            made = sts.get_federation_token(Name="guest", Policy=json.dumps(policy))["Credentials"]
        return Keys(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])

    def signed(
        self, method: str, target: str, keys: Keys, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> list[tuple[str, str]]:
        """The headers of a request signed by botocore's own signer; `target` is path and query as sent."""
        request = AWSRequest(method, f"{self.url}{target}", headers=dict(headers or {}), data=body)
        _Signer(keys.credentials, "s3", REGION).add_auth(request)
        return [("Host", self.host), *request.headers.items()]

    def send(
        self,
        method: str,
        target: str,
        keys: Keys,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        sent_as: tuple[str, str] | None = None,
        extra: list[tuple[str, str]] | None = None,
    ) -> RawReply:
        """Sign a request and send exactly it; `sent_as`: another method and target than those signed;
        `extra`: more headers, after signing."""
        lines = [*self.signed(method, target, keys, headers, body), ("Connection", "close"), *(extra or [])]
        if body:
            lines.append(("Content-Length", str(len(body))))
        first = sent_as or (method, target)
        return self.raw(request_bytes(first[0], first[1], lines) + body)

    def raw(self, data: bytes, seconds: float = 90.0) -> RawReply:
        """Send these bytes; read until the server closes (or its answer's Content-Length is there)."""
        with closing(socket.create_connection(("127.0.0.1", self.settings.port), timeout=seconds)) as connection:
            connection.sendall(data)
            return read_reply(connection)


class _Signer(S3SigV4Auth):  # type: ignore[misc]
    """botocore takes a query as encoded already; what is sent here is not always."""

    def canonical_query_string(self, request: AWSRequest) -> str:
        pairs = [part.partition("=") for part in urlsplit(request.url).query.split("&") if part]
        encoded = [(_encoded(name), _encoded(value)) for name, _, value in pairs]
        return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text.replace("+", " ")), safe="~")


def request_bytes(method: str, target: str, headers: list[tuple[str, str]], version: str = "HTTP/1.1") -> bytes:
    """The head of a request, as it goes on the wire."""
    lines = [f"{method} {target} {version}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def read_reply(connection: socket.socket) -> RawReply:
    """The first (final) response on a connection."""
    with connection.makefile("rb") as file:
        while True:
            first = file.readline()
            head = [first]
            while (line := file.readline()) not in {b"\r\n", b""}:
                head.append(line)
            if not first.startswith(b"HTTP/1.1 100"):
                break
        text = b"".join(head).decode("latin-1")
        status = int(first.split()[1]) if first else 0
        lengths = [line.split(":")[1] for line in text.splitlines() if line.lower().startswith("content-length:")]
        return RawReply(status, text, file.read(int(lengths[0])) if lengths else file.read())


@contextmanager
def s3_rig(folder: Path, **more: Any) -> Iterator[Rig]:
    """Start store, control plane and edge on a new data folder; stop them at the end."""
    settings = Settings(data_dir=folder, **({"port": free_port()} | more))
    for needed in (settings.run_dir, settings.logs_dir, settings.keys_dir):
        needed.mkdir(mode=0o700, parents=True, exist_ok=True)
    person = bootstrap.identities(settings).people.admin
    environment = parts.environment(settings) | {"EMR_STUDIO_PORT": str(settings.port)}
    # With `tests.support.postgres` only this process knows which database a data folder has.
    environment["EMR_STUDIO_DATABASE_URL"] = settings.sqlalchemy_url
    environment |= {f"EMR_STUDIO_{name.upper()}": str(value) for name, value in more.items()}
    chosen = [part for part in parts.parts(settings) if part.name in _PARTS]
    supervisor = Supervisor(chosen, settings.run_dir, settings.logs_dir, environment)
    try:
        supervisor.start(_PARTS, _SECONDS)
        yield Rig(settings, supervisor, Keys(person.access_key_id, person.secret_access_key))
    finally:
        supervisor.stop()


def clean_environment() -> dict[str, str]:
    """Ours without anybody's AWS profile."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "EMR_STUDIO_"))}
