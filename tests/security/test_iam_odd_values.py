"""Odd values in every member of every IAM operation: an error of AWS's, never a fault of ours."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import Shape

from emr_studio.aws.models import service_model
from emr_studio.clock import SystemClock
from emr_studio.iam import writing
from tests.api.test_iam_permissions import DOCUMENT, OPERATIONS, TRUST, VALUES
from tests.support.iam_api import ACCOUNT, IamWorld, served_iam

TIMES = int(os.environ.get("EMR_STUDIO_FUZZ_TIMES", "6"))
"""Requests an operation; more by hand."""
STATEMENT = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":%s},"Action":"sts:AssumeRole"}}'
ODD = (
    *("", " ", "*", "a" * 5000, "\u4e2d\u6587", "\x00", "\ud7ff", "-1", "9" * 21, "1e999", "true", "{}", "[]"),
    *("/", "/a/", "../..", "%00", "subject", DOCUMENT, TRUST, '{"Statement":[]}'),
    *(STATEMENT % '["1",""]', STATEMENT % f'"AROA{"A" * 17}:x"', STATEMENT % "[" + "[" * 500),
    *(
        f"arn:aws:iam::{ACCOUNT}:user/x",
        "arn:aws:iam::aws:policy/",
        f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/x/y",
    ),
    *("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"),
    "task/aws-service-role/x",
)
NUMBERS = (0, 1, -1, 5, 1000, 2**31, 2**63)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IamWorld]:
    with served_iam(tmp_path_factory.mktemp("iam"), SystemClock()) as made:
        iam = made.client("iam")
        iam.create_group(GroupName="subject")
        iam.create_user(UserName="subject")
        iam.create_role(RoleName="subject", AssumeRolePolicyDocument=TRUST)
        iam.create_policy(PolicyName="subject", PolicyDocument=DOCUMENT)
        iam.create_instance_profile(InstanceProfileName="subject")
        yield made


@pytest.fixture(scope="module")
def root(world: IamWorld) -> Any:
    """A client that sends what it is given, with root's keys: no policy of a request stands in their way."""
    with world.database.write() as session:
        key, secret = writing.new_access_key(session, world.sealer, ACCOUNT, None, world.clock.now())
    return boto3.client(
        "iam",
        endpoint_url=world.endpoint,
        region_name="us-east-1",
        aws_access_key_id=key.id,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )


def odd(source: random.Random, name: str, shape: Shape) -> Any:
    """A value of the shape that nobody means."""
    if name in VALUES and source.random() < 0.4:
        return VALUES[name]
    if shape.type_name == "structure":
        return {
            member: odd(source, member, inner)
            for member, inner in shape.members.items()
            if source.random() < (0.9 if member in shape.required_members else 0.4)
        }
    if shape.type_name == "list":
        return [odd(source, f"{name}[]", shape.member) for _ in range(source.choice((0, 1, 1, 2, 3)))]
    if shape.type_name in ("integer", "long"):
        return source.choice(NUMBERS)
    plain = {"boolean": True, "map": {}, "timestamp": 0, "blob": b"\xff" * 10}
    if shape.type_name in plain:
        return plain[shape.type_name]
    enum = getattr(shape, "enum", None)
    return source.choice(enum) if enum and source.random() < 0.6 else source.choice(ODD)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_odd_values_are_the_callers_fault(root: Any, operation: str) -> None:
    shape = service_model("iam").operation_model(operation).input_shape
    source = random.Random(operation)
    for _ in range(TIMES if shape is not None else 1):
        arguments = odd(source, "", shape) if shape is not None else {}
        if operation in ("DeleteAccessKey", "UpdateAccessKey") and "UserName" not in arguments:
            continue
        assert status_of(root, operation, arguments) < 500, arguments


def status_of(client: Any, operation: str, arguments: dict[str, Any]) -> int:
    """The answer's HTTP status; 0 for what the client itself cannot say."""
    try:
        return int(client._make_api_call(operation, arguments)["ResponseMetadata"]["HTTPStatusCode"])
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
    except (BotoCoreError, UnicodeError, TypeError, ValueError):
        return 0
