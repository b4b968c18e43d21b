"""The container-credentials endpoint with the SDK's own client: renewal, and an outage of the control plane."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from botocore.credentials import ContainerProvider, RefreshableCredentials
from sqlalchemy import Engine, event
from starlette.applications import Starlette
from starlette.routing import Route

from emr_studio.aws.auth import ExpiredToken
from emr_studio.iam.container_credentials import container_credentials
from emr_studio.iam.identity import IamCredentialStore
from emr_studio.iam.services import grant_role, revoke_grants
from tests.support.api_server import serve
from tests.support.iam_api import ACCOUNT
from tests.support.keys_api import KeysWorld, served_keys


@pytest.fixture
def world(tmp_path: Path) -> Iterator[KeysWorld]:
    with served_keys(tmp_path) as served:
        yield served


def test_the_sdk_renews_and_outlives_a_restart(world: KeysWorld) -> None:
    with world.database.write() as session:
        token = grant_role(
            session, account_id=ACCOUNT, role_arn="EMR_EC2_DefaultRole", session_name="i-1", owner="cluster/j-1"
        )
    endpoint = container_credentials(world.database, world.clock, world.sealer, seconds=900)
    with serve(Starlette(routes=[Route("/_credentials", endpoint)])) as url:
        environment = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/_credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
        }
        found = ContainerProvider(environment).load()
        assert isinstance(found, RefreshableCredentials)
        first = found.get_frozen_credentials()
        second = found.get_frozen_credentials()
        # Less than a quarter of an hour is left: botocore asks each time.
        assert first.access_key != second.access_key
    # Nothing answers now; for five minutes that does not matter.
    assert found.get_frozen_credentials() == second
    for keys in (first, second):
        sts = world.client("sts", keys.access_key, keys.secret_key, keys.token)
        assert sts.get_caller_identity()["Arn"].endswith(":assumed-role/EMR_EC2_DefaultRole/i-1")


def test_one_clusters_token_is_not_anothers(world: KeysWorld) -> None:
    tokens = {}
    for role, owner in (("EMR_EC2_DefaultRole", "cluster/j-1"), ("EMRStudio_ServiceRole", "editor/e-1")):
        with world.database.write() as session:
            tokens[role] = grant_role(session, account_id=ACCOUNT, role_arn=role, session_name="s", owner=owner)
    endpoint = container_credentials(world.database, world.clock, world.sealer)
    with serve(Starlette(routes=[Route("/_credentials", endpoint)])) as url:
        for role, token in tokens.items():
            environment = {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/_credentials",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
            }
            keys = ContainerProvider(environment).load()
            assert keys is not None
            frozen = keys.get_frozen_credentials()
            who = world.client("sts", frozen.access_key, frozen.secret_key, frozen.token).get_caller_identity()
            assert who["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/s"


def test_keys_that_are_asked_about_all_the_time_end_at_once_with_their_grant(world: KeysWorld) -> None:
    owner = "editor/e-1"
    with world.database.write() as session:
        token = grant_role(session, account_id=ACCOUNT, role_arn="EMRStudio_ServiceRole", session_name="s", owner=owner)
    endpoint = container_credentials(world.database, world.clock, world.sealer)
    with serve(Starlette(routes=[Route("/_credentials", endpoint)])) as url:
        keys = httpx.get(f"{url}/_credentials", headers={"Authorization": token}).json()
    store = IamCredentialStore(world.sealer)

    def ask() -> int:
        """Who has them; returns the questions to the database that it took."""
        with world.database.glance() as session, counted(world.database.engine) as statements:
            found = store.find(session, keys["AccessKeyId"], keys["Token"], world.clock.now())
        assert found.secret_access_key == keys["SecretAccessKey"]
        return len(statements)

    # A mirror's thousands of requests do not ask the database again …
    assert ask() > 0
    assert [ask(), ask()] == [0, 0]
    # … until something was written.
    with world.database.write() as session:
        revoke_grants(session, owner)
    with pytest.raises(ExpiredToken):
        ask()


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """The statements that are executed meanwhile."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)
