"""Every IAM operation asks for its own permission: with it alone it runs, with all others it does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.model import Shape

from emr_studio.aws.models import service_model
from emr_studio.aws.registry import registry
from emr_studio.clock import SystemClock
from emr_studio.iam import operations, writing
from emr_studio.iam.model import User
from tests.support.iam_api import ACCOUNT, IamWorld, allow, policy, served_iam

ASKS_FOR_MORE = {"AddRoleToInstanceProfile": ["iam:PassRole"]}
"""Operations that need another permission beside their own."""
DOCUMENT = json.dumps(policy(allow("s3:GetObject")))
TRUST = json.dumps(policy({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}))
ARN = f"arn:aws:iam::{ACCOUNT}"
VALUES: dict[str, Any] = {
    "ActionNames": ["s3:GetObject"],
    "Arn": f"{ARN}:user/subject",
    "AssumeRolePolicyDocument": TRUST,
    "AWSServiceName": "spot.amazonaws.com",
    "OpenIDConnectProviderArn": f"{ARN}:oidc-provider/example.org",
    "PolicyArn": f"{ARN}:policy/subject",
    "PolicyDocument": DOCUMENT,
    "PolicyInputList": [DOCUMENT],
    "PermissionsBoundary": "arn:aws:iam::aws:policy/ReadOnlyAccess",
    "PolicySourceArn": f"{ARN}:user/subject",
    "SAMLProviderArn": f"{ARN}:saml-provider/subject",
    "SerialNumber": f"{ARN}:mfa/subject",
    "ServiceName": "codecommit.amazonaws.com",
    "Url": "https://127.0.0.1",
    "UserName": "subject",
    "GroupName": "subject",
    "RoleName": "subject",
    "InstanceProfileName": "subject",
    "VersionId": "v1",
}
OPERATIONS = sorted(found.name for found in registry.all() if found.service == "iam")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IamWorld]:
    assert operations
    with served_iam(tmp_path_factory.mktemp("iam"), SystemClock()) as made:
        yield made


@pytest.fixture(scope="module")
def caller(world: IamWorld) -> tuple[str, Any]:
    """The id and a client of somebody without any permission."""
    key = world.new_user("somebody")
    with world.database.read() as session:
        user_id = session.query(User.id).filter_by(name="somebody").scalar()
    return user_id, world.client("iam", *key)


def sample(name: str, shape: Shape | None) -> Any:
    """A value of the shape, good enough to be asked about."""
    if name in VALUES:
        return VALUES[name]
    assert shape is not None
    kinds: dict[str, Any] = {"boolean": True, "blob": b"x", "timestamp": 0, "map": {}}
    if shape.type_name in kinds:
        return kinds[shape.type_name]
    if shape.type_name in ("integer", "long"):
        return shape.metadata.get("min", 1)
    if shape.type_name == "structure":
        return {member: sample(member, shape.members[member]) for member in shape.required_members}
    if shape.type_name == "list":
        return [sample("", shape.member)]
    return (getattr(shape, "enum", None) or ["1" * shape.metadata.get("min", 6)])[0]


def arguments(operation: str) -> dict[str, Any]:
    shape = service_model("iam").operation_model(operation).input_shape
    members: dict[str, Any] = sample("", shape) if shape is not None else {}
    # Whose: else it would be the caller.
    if shape is not None and "UserName" in shape.members and operation != "ListServiceSpecificCredentials":
        members["UserName"] = "subject"
    return members


def code_of(client: Any, operation: str) -> str:
    """The error's code, or nothing."""
    try:
        client._make_api_call(operation, arguments(operation))
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def may(world: IamWorld, user_id: str, statement: dict[str, Any]) -> None:
    with world.database.write() as session:
        writing.put_inline(session, ACCOUNT, user_id, "own", json.dumps(policy(statement)))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_asks_for_its_own_permission(world: IamWorld, caller: tuple[str, Any], operation: str) -> None:
    user_id, client = caller
    action = f"iam:{operation}"
    others = {"Effect": "Allow", "NotAction": [action], "Resource": "*"}
    may(world, user_id, others)
    assert code_of(client, operation) in ("AccessDenied", "InvalidUserType"), "denied without it"
    may(world, user_id, allow([action, *ASKS_FOR_MORE.get(operation, [])]))
    assert code_of(client, operation) not in ("AccessDenied", "InternalFailure"), "allowed with it"
    for more in ASKS_FOR_MORE.get(operation, []):
        may(world, user_id, {"Effect": "Allow", "NotAction": [more], "Resource": "*"})
        assert code_of(client, operation) == "AccessDenied", f"denied without {more}"
