"""Reads that were allowed before: allowed again without asking, but never longer than what allowed them stands."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from sqlalchemy import select
from starlette.datastructures import Headers

from emr_studio.aws.context import Check, Context
from emr_studio.clock import FakeClock
from emr_studio.db import Base, Database
from emr_studio.edge.decisions import EdgeAnswer, EdgeRequest
from emr_studio.iam import entities, trust, uses, writing
from emr_studio.iam.bootstrap import ensure_account
from emr_studio.iam.identity import IamAuthorizer, IamCredentialStore
from emr_studio.iam.model import AccessKey, Role
from emr_studio.iam.sealing import Sealer
from emr_studio.iam.sessions import SessionOptions, issue_role_session
from emr_studio.iam.settled import IamSettled
from emr_studio.iam.subjects import policies_mention
from emr_studio.keys.master import Masters
from emr_studio.keys.model import SealedBucket
from emr_studio.keys.objects import KmsObjectKeys
from emr_studio.keys.ring import KeyRing
from emr_studio.settings import Settings
from emr_studio.storage.model import Bucket
from emr_studio.storage.s3_authorization import S3Authorization
from emr_studio.storage.s3_ports import S3Ports
from emr_studio.storage.s3_recording import S3Call

HOST = "localhost:8080"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
        ],
    }
)
READ = {"Effect": "Allow", "Action": "s3:GetObject*", "Resource": "arn:aws:s3:::lake/*"}


class Counting(IamAuthorizer):
    """IAM, and how often it was asked."""

    asked = 0

    def authorize(self, context: Context, check: Check) -> None:
        self.asked += 1
        super().authorize(context, check)


class Kept:
    """A recorder."""

    def __init__(self) -> None:
        self.calls: list[S3Call] = []

    def record_s3(self, call: S3Call) -> None:
        self.calls.append(call)


class World:
    """A bucket, and a user whose policies tests write."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(data_dir=folder)
        settings.store_dir.mkdir(parents=True)
        (settings.store_dir / "ports.json").write_text('{"s3": 8333}')
        clock = FakeClock(dt.datetime.now(dt.UTC))  # requests are signed by the machine's
        self.database = Database(settings.sqlalchemy_url)
        settings.keys_dir.mkdir(parents=True, exist_ok=True)
        sealer = Sealer.load(settings.keys_dir)
        Base.metadata.create_all(self.database.engine)
        with self.database.write() as session:
            ensure_account(session, settings, clock)
            self.account = settings.account_id
            account = entities.get_account(session, self.account)
            self.user_id = writing.new_user(session, account, "ann", clock.now(), tags={}).id
            key, secret = writing.new_access_key(session, sealer, self.account, self.user_id, clock.now())
            self.key = Credentials(key.id, secret)
            session.add(Bucket(name="lake", account_id=self.account, region=settings.region, created=clock.now()))
        self.authorizer, self.recorder = Counting(), Kept()
        credentials = IamCredentialStore(sealer)
        ports = S3Ports(
            *(settings, self.database, clock, credentials, self.authorizer, trust, policies_mention),
            recorder=self.recorder,
            keys=KmsObjectKeys(settings, self.database, clock, KeyRing(Masters.of(settings, sealer))),
            settled=IamSettled(),
        )
        self.objects = S3Authorization(ports)
        self.sealer, self.clock = sealer, clock

    def policy(self, *statements: Mapping[str, Any]) -> None:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        with self.database.write() as session:
            writing.put_inline(session, self.account, self.user_id, "own", document)

    def become_role(self, *statements: Mapping[str, Any], policies: tuple[str, ...] = (), age: int = 0) -> None:
        """From now on requests are signed with keys of a role's session of 900 s, begun `age` seconds ago."""
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        with self.database.write() as session:
            account, now = entities.get_account(session, self.account), self.clock.now()
            role = session.scalars(select(Role).where(Role.name == "reader")).first() or writing.new_role(
                session, account, "reader", TRUST, now, tags={}
            )
            writing.put_inline(session, self.account, role.id, "own", document)
            options = SessionOptions(policies=policies)
            begun = now - dt.timedelta(seconds=age)
            made = issue_role_session(self.sealer, role, "s", now=begun, seconds=900, options=options)
        self.key = Credentials(made.access_key_id, made.secret_access_key, made.session_token)

    def change(self, what: Callable[[Any], None]) -> None:
        with self.database.write() as session:
            what(session)

    def read(self, path: str = "/lake/a", *, method: str = "GET", **headers: str) -> tuple[int | None, int]:
        """The status (None: it would take time), and how often IAM was asked."""
        return self.ask(self.request(path, method, headers))

    def request(self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> EdgeRequest:
        sent = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        signed = AWSRequest(method, f"http://{HOST}{path}", headers=sent)
        S3SigV4Auth(self.key, "s3", "us-east-1").add_auth(signed)
        return EdgeRequest(method, path, HOST, Headers({"host": HOST, **dict(signed.headers.items())}), "127.0.0.1")

    def ask(self, request: EdgeRequest) -> tuple[int | None, int]:
        before = self.authorizer.asked
        answer: EdgeAnswer | None = self.objects.quickly(request)
        if answer is not None and answer.status == 200:
            assert answer.upstream == "127.0.0.1:8333"
        return None if answer is None else answer.status, self.authorizer.asked - before


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.objects.close()
    made.database.dispose()


def test_a_read_that_was_allowed_is_allowed_again_without_asking(world: World) -> None:
    world.policy(READ)
    assert world.read() == (200, 1)
    assert world.read() == (200, 0)
    assert world.read(range="bytes=0-9", user_agent="another", amz_sdk_invocation_id="1") == (200, 0)
    assert world.read("/lake/b") == (200, 1)
    assert world.read(method="HEAD") == (200, 1)
    assert world.read(x_amz_expected_bucket_owner="210987654321") == (403, 0)


def test_it_is_recorded_as_any_other_and_its_key_was_used(world: World) -> None:
    world.policy(READ)
    world.read()
    uses._pending.clear()
    world.read()
    first, second = world.recorder.calls
    assert (first.caller, first.request, first.owner) == (second.caller, second.request, second.owner)
    assert second.caller is not None
    assert second.owner == world.account
    assert second.signature is not None
    assert uses._pending[world.key.access_key].service == "s3"


def test_a_change_acts_on_the_next_request(world: World) -> None:
    world.policy(READ)
    assert [world.read(), world.read()] == [(200, 1), (200, 0)]
    world.policy(READ | {"Effect": "Deny"})
    assert world.read() == (403, 1)
    world.policy(READ)
    assert [world.read(), world.read()] == [(200, 1), (200, 0)]
    world.change(lambda session: setattr(session.get_one(AccessKey, world.key.access_key), "status", "Inactive"))
    assert world.read() == (403, 0)


def test_a_bucket_policy_is_asked_each_time(world: World) -> None:
    world.policy(READ)
    assert [world.read(), world.read()] == [(200, 1), (200, 0)]
    elsewhere = {"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}
    lake = {"Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::lake/*"}
    deny = {"Effect": "Deny", **lake, "Condition": elsewhere}
    text = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    world.change(lambda session: setattr(session.get_one(Bucket, "lake"), "policy", text))
    assert [world.read(), world.read()] == [(200, 1), (200, 1)]
    assert world.ask(replace(world.request("/lake/a"), source_ip="10.0.0.1")) == (403, 1)


def test_a_bucket_with_sealed_objects_takes_time_each_time(world: World) -> None:
    world.policy(READ)
    assert [world.read(), world.read()] == [(200, 1), (200, 0)]
    world.change(lambda session: session.add(SealedBucket(name="lake")))
    assert [world.read(), world.read()] == [(None, 1), (None, 1)]


def test_what_depends_on_the_request_is_asked_each_time(world: World) -> None:
    world.policy(READ | {"Condition": {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}})
    assert [world.read(), world.read()] == [(200, 1), (200, 1)]
    assert world.ask(replace(world.request("/lake/a"), source_ip="10.0.0.1")) == (403, 1)


def test_so_it_is_with_a_roles_session(world: World) -> None:
    world.become_role(READ)
    assert [world.read(), world.read()] == [(200, 1), (200, 0)]
    another = world.key
    world.become_role(READ)
    assert [world.read(), world.read()] == [(200, 1), (200, 0)]
    world.become_role(READ | {"Effect": "Deny"})
    world.key = another
    assert world.read() == (403, 1)


def test_a_session_policy_is_asked_each_time(world: World) -> None:
    narrower = json.dumps({"Version": "2012-10-17", "Statement": [READ | {"Resource": "arn:aws:s3:::lake/a"}]})
    world.become_role(READ, policies=(narrower,))
    assert [world.read(), world.read()] == [(200, 1), (200, 1)]
    assert world.read("/lake/b") == (403, 1)


def test_a_session_that_has_expired_reads_nothing_more(world: World) -> None:
    world.become_role(READ, age=890)
    assert [world.read(), world.read()] == [(200, 1), (200, 0)]
    world.clock.advance(9)
    assert world.read() == (200, 0)
    world.clock.advance(2)
    assert world.read() == (400, 0)


def test_the_signature_is_verified_each_time(world: World) -> None:
    world.policy(READ)
    assert [world.read(), world.read()] == [(200, 1), (200, 0)]
    world.key = Credentials(world.key.access_key, "another")
    assert world.read() == (403, 0)
