"""IAM and STS served by themselves, for API tests: real HTTP, real boto3, a clock that tests may move."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from emr_studio.aws.auth import NoSessions
from emr_studio.aws.pipeline import AwsApplication
from emr_studio.aws.registry import registry
from emr_studio.clock import Clock, SystemClock
from emr_studio.db import Base, Database
from emr_studio.iam import operations
from emr_studio.iam.bootstrap import SampleWorld, create_account, ensure_account
from emr_studio.iam.federation.issuers import IssuerKeys
from emr_studio.iam.identity import IamAuthorizer, IamCredentialStore
from emr_studio.iam.sealing import Sealer
from emr_studio.settings import Settings
from tests.support.api_server import serve

ACCOUNT = "123456789012"
OTHER = "210987654321"
REGISTERED = operations
"""Importing it registered the operations."""


class OffsetClock:
    """The system's clock, moved by hand: signatures need a time near the client's."""

    def __init__(self) -> None:
        self._system = SystemClock()
        self.seconds = 0.0

    def now(self) -> dt.datetime:
        return self._system.now() + dt.timedelta(seconds=self.seconds)


class StandingClock(OffsetClock):
    """Moved by hand alone, for what changes with the half minute: a code of now is one of now until it is used."""

    def __init__(self) -> None:
        super().__init__()
        self._stands = self._system.now()

    def now(self) -> dt.datetime:
        return self._stands + dt.timedelta(seconds=self.seconds)


@dataclass
class IamWorld:
    """A served IAM with two accounts; clients are the administrator's unless keys are given."""

    endpoint: str
    sample: SampleWorld
    other_root: tuple[str, str]
    database: Database
    sealer: Sealer
    clock: Clock

    def client(
        self, service: str, key: str = "", secret: str = "", token: str | None = None, *, checked: bool = True
    ) -> Any:
        """A client; with `checked=False` it sends what its model forbids."""
        admin = self.sample.admin
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=key or admin.access_key_id,
            aws_secret_access_key=secret or admin.secret_access_key,
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=checked),
        )

    def new_user(self, name: str, policy: dict[str, Any] | None = None) -> tuple[str, str]:
        """Make a user with an inline policy; returns her key."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        if policy:
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def session(self, credentials: dict[str, Any], service: str) -> Any:
        """A client with temporary credentials."""
        return self.client(
            service, credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"]
        )


def error_of(call: Callable[..., Any], **arguments: Any) -> tuple[str, int, str]:
    """(code, status, message) of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    """A policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: str | list[str], resource: str = "*", **more: Any) -> dict[str, Any]:
    """One Allow statement."""
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def trust(principal: Any, **more: Any) -> str:
    """A trust policy of one statement."""
    return json.dumps(policy({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more}))


@contextmanager
def served_iam(folder: Path, clock: Clock) -> Iterator[IamWorld]:
    """Serve IAM and STS from a new database."""
    settings = Settings(data_dir=folder)
    database = Database(settings.sqlalchemy_url)
    Base.metadata.create_all(database.engine)
    sealer = Sealer.load(settings.keys_dir)
    with database.write() as session:
        sample = ensure_account(session, settings, clock)
        _, key, secret = create_account(session, sealer, OTHER, "aws", clock.now())
    application = AwsApplication(
        database,
        clock,
        registry,
        credentials=IamCredentialStore(sealer),
        sessions=NoSessions(),
        authorizer=IamAuthorizer(sealer),
        ports={Sealer: sealer, Settings: settings, IssuerKeys: IssuerKeys(clock)},
    )
    with serve(application) as endpoint:
        yield IamWorld(endpoint, sample, (key.id, secret), database, sealer, clock)
    database.dispose()
