"""What other domains ask of IAM: sample world, service roles, grants, sign-in, and replicas that agree."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.routing import Route

from emr_studio.aws.auth import ANONYMOUS, ExpiredToken, InvalidToken, UnknownKey
from emr_studio.aws.context import Caller, Check
from emr_studio.clock import FakeClock
from emr_studio.db import Base, Database
from emr_studio.iam import entities, generation, services, uses, writing
from emr_studio.iam.bootstrap import SampleWorld, bucket_name, create_account, ensure_account
from emr_studio.iam.condition_keys import Circumstances
from emr_studio.iam.container_credentials import container_credentials
from emr_studio.iam.decisions import decide
from emr_studio.iam.errors import AssumeRoleDenied, RoleNotFound
from emr_studio.iam.identity import IamCredentialStore
from emr_studio.iam.model import AccessKey, Attachment, EntityUse, User
from emr_studio.iam.sealing import BadSeal, Sealer
from emr_studio.iam.sessions import issue_role_session
from emr_studio.iam.subjects import Subjects
from emr_studio.settings import Settings
from tests.support.api_server import serve

ACCOUNT = "123456789012"
EMR = "elasticmapreduce.amazonaws.com"
STUDIO = f"arn:aws:elasticmapreduce:us-east-1:{ACCOUNT}:studio/es-1"


class World:
    """A database with the sample world."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(data_dir=folder)
        self.clock = FakeClock()
        self.database = Database(self.settings.sqlalchemy_url)
        Base.metadata.create_all(self.database.engine)
        with self.database.write() as session:
            self.sample: SampleWorld = ensure_account(session, self.settings, self.clock)
        self.sealer = Sealer.load(self.settings.keys_dir)

    def allowed(self, caller: Caller, check: Check) -> bool:
        with self.database.read() as session:
            return decide(session, caller, check, Circumstances(self.clock.now())).allowed


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.database.dispose()


def test_the_sample_world_is_made_once(world: World) -> None:
    with world.database.write() as session:
        assert ensure_account(session, world.settings, world.clock) == world.sample
    key = world.settings.keys_dir / "master.key"
    assert os.stat(key).st_mode & 0o777 == 0o600
    with world.database.read() as session:
        row = session.get_one(AccessKey, world.sample.admin.access_key_id)
        assert world.sample.admin.secret_access_key.encode() not in row.sealed_secret


BUCKET = "arn:aws:s3:::team"


def _bucket_check(*statements: Mapping[str, object]) -> Check:
    policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    return Check("s3:GetObject", f"{BUCKET}/a", {"aws:ResourceAccount": ACCOUNT}, policy)


def test_the_policy_on_a_resource_takes_part(world: World) -> None:
    with world.database.read() as session:
        admin = services.caller_for_user(session, ACCOUNT, world.sample.admin.user_name)
    grant: dict[str, object] = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"{BUCKET}/*",
    }
    refusal = grant | {"Effect": "Deny", "Principal": {"AWS": admin.arn}}
    assert world.allowed(ANONYMOUS, _bucket_check(grant))
    assert not world.allowed(ANONYMOUS, Check("s3:GetObject", f"{BUCKET}/a", {"aws:ResourceAccount": ACCOUNT}))
    assert world.allowed(admin, _bucket_check(grant))
    assert not world.allowed(admin, _bucket_check(grant, refusal))
    by_type = grant | {"Condition": {"StringEquals": {"aws:PrincipalType": "Anonymous"}}}
    assert world.allowed(ANONYMOUS, _bucket_check(by_type))
    assert not world.allowed(ANONYMOUS, Check("s3:GetObject", f"{BUCKET}/a", {}, "no policy"))


def test_seals_are_bound_to_their_purpose(tmp_path: Path) -> None:
    sealer = Sealer.load(tmp_path)
    sealed = sealer.seal(b"secret", "one")
    assert Sealer.load(tmp_path).open(sealed, "one") == b"secret"
    for wrong, purpose in ((sealed, "two"), (sealed[:-1], "one"), (b"", "one")):
        with pytest.raises(BadSeal):
            sealer.open(wrong, purpose)


def test_passwords(world: World) -> None:
    with world.database.read() as session:
        admin = services.verify_password(session, ACCOUNT, "admin", world.sample.admin.password)
        assert admin is not None
        assert (admin.kind, admin.user_name, admin.console) == ("user", "admin", True)
        root = services.verify_password(session, ACCOUNT, "root", world.sample.root_password)
        assert root is not None
        assert root.kind == "root"
        for name, password in (("admin", "wrong"), ("nobody", "wrong"), ("", ""), ("analyst", "")):
            assert services.verify_password(session, ACCOUNT, name, password) is None
        assert services.verify_password(session, "999999999999", "admin", world.sample.admin.password) is None


def test_the_analyst_can_do_the_main_job_and_no_more(world: World) -> None:
    with world.database.read() as session:
        analyst = services.caller_for_user(session, ACCOUNT, "analyst")
    bucket = f"arn:aws:s3:::{bucket_name(world.settings)}"
    cluster = f"arn:aws:elasticmapreduce:us-east-1:{ACCOUNT}:cluster/j-1"
    for check in (
        Check("elasticmapreduce:CreateStudioPresignedUrl", STUDIO),
        Check("elasticmapreduce:CreateEditor"),
        Check("elasticmapreduce:RunJobFlow"),
        Check("elasticmapreduce:TerminateJobFlows", cluster),
        Check("s3:GetObject", f"{bucket}/data/x"),
        services.pass_role_check(world.sample.service_role_arn, EMR),
    ):
        assert world.allowed(analyst, check), check
    for check in (
        Check("elasticmapreduce:CreateStudio"),
        Check("elasticmapreduce:DeleteStudio", STUDIO),
        Check("s3:PutObject", f"{bucket}/data/x"),
        Check("s3:GetObject", "arn:aws:s3:::other/x"),
        Check("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/x"),
        services.pass_role_check(world.sample.user_role_arn, EMR),
    ):
        assert not world.allowed(analyst, check), check


def test_a_service_assumes_only_what_trusts_it(world: World) -> None:
    role = world.sample.service_role_arn
    with world.database.read() as session:
        caller = services.assume_for_service(session, role, EMR, STUDIO, "ElasticMapReduceEditorsSession")
        assert caller.arn == (
            f"arn:aws:sts::{ACCOUNT}:assumed-role/EMRStudio_ServiceRole/ElasticMapReduceEditorsSession"
        )
        elsewhere = STUDIO.replace(ACCOUNT, "999999999999")
        for arguments in ((role, "ec2.amazonaws.com", STUDIO), (role, EMR, elsewhere), (role + "x", EMR, STUDIO)):
            with pytest.raises(AssumeRoleDenied, match="entity does not have permissions to assume role"):
                services.assume_for_service(session, *arguments, "s1")


def test_what_a_role_would_be_allowed(world: World) -> None:
    good = Check("s3:PutObject", f"arn:aws:s3:::{bucket_name(world.settings)}/x")
    bad = Check("s3:PutObject", "arn:aws:s3:::elsewhere/x")
    role = world.sample.service_role_arn
    with world.database.read() as session:
        assert services.denied_checks(session, role, [good, bad]) == [bad]
        assert services.role_allows(session, world.clock, role, [good])
        assert not services.role_allows(session, world.clock, role + "x", [good])


def test_roles_by_name_or_arn(world: World) -> None:
    with world.database.read() as session:
        arn = world.sample.service_role_arn
        assert services.resolve_role(session, ACCOUNT, "EMRStudio_ServiceRole").arn == arn
        assert services.resolve_role(session, ACCOUNT, arn).name == "EMRStudio_ServiceRole"
        for account, name in ((ACCOUNT, "nobody"), ("999999999999", arn), (ACCOUNT, arn + "x")):
            with pytest.raises(RoleNotFound):
                services.resolve_role(session, account, name)


def test_container_credentials(world: World) -> None:
    session_policy = json.dumps(
        {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}}
    )
    with world.database.write() as session:
        token = services.grant_role(
            session,
            account_id=ACCOUNT,
            role_arn="EMR_EC2_DefaultRole",
            session_name="i-1",
            owner="j-1",
            session_policy=session_policy,
        )
    endpoint = container_credentials(world.database, world.clock, world.sealer)
    application = Starlette(routes=[Route("/_credentials", endpoint)])
    with serve(application) as url, httpx.Client(base_url=url, timeout=60) as client:
        assert client.get("/_credentials").status_code == 403
        assert client.get("/_credentials", headers={"Authorization": token + "x"}).status_code == 403
        answer = client.get("/_credentials", headers={"Authorization": token})
        assert answer.headers["cache-control"] == "no-store"
        body = answer.json()
        assert set(body) == {"AccessKeyId", "SecretAccessKey", "Token", "Expiration", "RoleArn", "AccountId"}
        assert body["Expiration"] == "2026-01-01T00:15:00Z"
        store = IamCredentialStore(world.sealer)
        with world.database.read() as session:
            found = store.find(session, body["AccessKeyId"], body["Token"], world.clock.now())
        assert found.secret_access_key == body["SecretAccessKey"]
        assert found.caller.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/EMR_EC2_DefaultRole/i-1"
        own = f"arn:aws:s3:::emr-studio-{ACCOUNT}-us-east-1/k"
        assert world.allowed(found.caller, Check("s3:GetObject", own))
        assert not world.allowed(found.caller, Check("s3:PutObject", own))
        assert not world.allowed(found.caller, Check("s3:GetObject", "arn:aws:s3:::another-teams/k"))
        with world.database.write() as session:
            services.revoke_grants(session, "j-1")
        assert client.get("/_credentials", headers={"Authorization": token}).status_code == 403
        with world.database.read() as session, pytest.raises(ExpiredToken):
            store.find(session, body["AccessKeyId"], body["Token"], world.clock.now())


def test_credentials_renew_for_twelve_hours(world: World) -> None:
    with world.database.write() as session:
        token = services.grant_role(
            session, account_id=ACCOUNT, role_arn="EMR_EC2_DefaultRole", session_name="i-1", owner="j-1"
        )
    endpoint = container_credentials(world.database, world.clock, world.sealer)
    store = IamCredentialStore(world.sealer)
    with serve(Starlette(routes=[Route("/_credentials", endpoint)])) as url:
        for _ in range(12 * 4):
            body = httpx.get(f"{url}/_credentials", headers={"Authorization": token}, timeout=60).json()
            world.clock.advance(899)
            with world.database.read() as session:
                assert store.find(session, body["AccessKeyId"], body["Token"], world.clock.now())
                world.clock.advance(1)
                with pytest.raises(ExpiredToken):
                    store.find(session, body["AccessKeyId"], body["Token"], world.clock.now())


def test_sessions_end_exactly_and_belong_to_their_key(world: World) -> None:
    store = IamCredentialStore(world.sealer)
    with world.database.read() as session:
        role = services.resolve_role(session, ACCOUNT, "EMR_EC2_DefaultRole")
        made = issue_role_session(world.sealer, role, "s1", now=world.clock.now(), seconds=900)
        world.clock.advance(899)
        key, token = made.access_key_id, made.session_token
        assert store.find(session, key, token, world.clock.now()).expires == made.expiration
        for wrong_key, wrong_token in ((key, None), (key, token[:-8] + "AAAAAAA="), ("ASIA" + "A" * 16, token)):
            with pytest.raises(InvalidToken):
                store.find(session, wrong_key, wrong_token, world.clock.now())
        with pytest.raises(InvalidToken):
            store.find(session, world.sample.admin.access_key_id, token, world.clock.now())
        with pytest.raises(UnknownKey):
            store.find(session, "AKIA" + "A" * 16, None, world.clock.now())
        world.clock.advance(1)
        with pytest.raises(ExpiredToken):
            store.find(session, key, token, world.clock.now())


def test_a_deleted_role_ends_its_sessions(world: World) -> None:
    store = IamCredentialStore(world.sealer)
    with world.database.read() as session:
        role = services.resolve_role(session, ACCOUNT, "EMRStudio_UserRole")
        made = issue_role_session(world.sealer, role, "s1", now=world.clock.now(), seconds=900)
        assert store.find(session, made.access_key_id, made.session_token, world.clock.now())
    with world.database.write() as session:
        session.delete(services.resolve_role(session, ACCOUNT, "EMRStudio_UserRole"))
    with world.database.read() as session, pytest.raises(InvalidToken):
        store.find(session, made.access_key_id, made.session_token, world.clock.now())


def test_a_change_counts_at_once_on_every_replica(world: World) -> None:
    """Two memories over one database are two replicas."""
    replicas = (Subjects(), Subjects())

    def denials() -> list[int]:
        with world.database.read() as session:
            user = entities.get_user(session, ACCOUNT, "analyst")
            found = [replica.get(session, ACCOUNT, user.id) for replica in replicas]
            return [len(subject.identity.candidates("s3:getobject").allows) if subject else -1 for subject in found]

    before = denials()
    assert before == [2, 2]
    with world.database.write() as session:
        user = entities.get_user(session, ACCOUNT, "analyst")
        for row in session.scalars(select(Attachment).where(Attachment.entity_id == user.id)):
            session.delete(row)
    assert denials() == [0, 0]
    with world.database.write() as session:
        user = entities.get_user(session, ACCOUNT, "analyst")
        writing.attach(session, ACCOUNT, user.id, "arn:aws:iam::aws:policy/AdministratorAccess", world.clock.now())
    assert denials() == [1, 1]


def test_an_inactive_key_stops_on_every_replica(world: World) -> None:
    stores = (IamCredentialStore(world.sealer), IamCredentialStore(world.sealer))
    key = world.sample.analyst.access_key_id
    with world.database.read() as session:
        for store in stores:
            assert store.find(session, key, None, world.clock.now()).caller.user_name == "analyst"
            assert store.find(session, key, None, world.clock.now()).caller.user_name == "analyst"
    with world.database.write() as session:
        session.get_one(AccessKey, key).status = "Inactive"
    with world.database.read() as session:
        for store in stores:
            with pytest.raises(UnknownKey):
                store.find(session, key, None, world.clock.now())


def test_the_generation_moves_with_writes_only(world: World) -> None:
    def now() -> int:
        with world.database.read() as session:
            return generation.current(session, ACCOUNT)

    before = now()
    with world.database.write() as session:
        entities.get_user(session, ACCOUNT, "analyst")
        services.verify_password(session, ACCOUNT, "analyst", world.sample.analyst.password)
    assert now() == before
    with world.database.write() as session:
        entities.get_user(session, ACCOUNT, "analyst").tags = {"a": "b"}
    assert now() == before + 1
    with world.database.write() as session:
        create_account(session, world.sealer, "210987654321", "aws", world.clock.now())
    assert now() == before + 1


def test_a_boundary_that_is_gone_allows_nothing(world: World) -> None:
    with world.database.write() as session:
        entities.get_user(session, ACCOUNT, "admin").boundary_arn = f"arn:aws:iam::{ACCOUNT}:policy/gone"
    with world.database.read() as session:
        admin = services.caller_for_user(session, ACCOUNT, "admin")
    assert not world.allowed(admin, Check("s3:GetObject", "arn:aws:s3:::b/k"))


def test_key_uses_are_written_when_flushed(world: World) -> None:
    key = world.sample.admin.access_key_id
    with world.database.read() as session:
        admin = dataclasses.replace(services.caller_for_user(session, ACCOUNT, "admin"), access_key_id=key)
    used = uses.Use(world.clock.now(), "emr", "us-east-1")
    uses.note(admin, used)
    uses.note(dataclasses.replace(admin, access_key_id="ASIA234567"), used)
    with world.database.write() as session:
        uses.flush(session)
    with world.database.read() as session:
        assert uses.last_use(session, key) == used
        assert uses.last_use(session, "ASIA234567") is None
        assert uses.services_used(session, admin.user_id) == {"emr": used}


def test_uses_that_cannot_be_written_are_kept(world: World) -> None:
    with world.database.read() as session:
        admin = services.caller_for_user(session, ACCOUNT, "admin")
    later = world.clock.now() + dt.timedelta(hours=1)
    with world.database.write() as session:
        session.add(EntityUse(entity_id=admin.user_id, service="s3", used_at=later, region="us-east-1"))
    uses.note(admin, uses.Use(world.clock.now(), "s3", "us-east-1"))
    uses.note(admin, uses.Use(world.clock.now(), "iam", "us-east-1"))
    full = create_engine("sqlite://")
    with pytest.raises(SQLAlchemyError), Session(full) as session:
        uses.flush(session)
    full.dispose()
    with world.database.write() as session:
        uses.flush(session)
    with world.database.read() as session:
        used = uses.services_used(session, admin.user_id)
    assert {service: use.used_at for service, use in used.items()} == {"s3": later, "iam": world.clock.now()}


def test_users_are_found_by_arn(world: World) -> None:
    with world.database.read() as session:
        arn = session.scalars(select(User.arn).where(User.name == "admin")).one()
        assert services.caller_for_user(session, ACCOUNT, arn).user_name == "admin"
