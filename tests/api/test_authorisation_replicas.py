"""A change of policy acts on the next request, on every replica; two processes, one database.

Also on PostgreSQL: pytest -p tests.support.postgres tests/api/test_authorisation_replicas.py
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.aws_clients import client
from tests.support.iam_api import allow, policy, trust
from tests.support.replica import replica
from tests.support.trail_api import ACCOUNT, TrailApi, served_trail

ARN = f"arn:aws:iam::{ACCOUNT}:"
LIST = "elasticmapreduce:ListStudios"
LISTING = json.dumps(policy(allow(LIST)))
Credentials = tuple[str, str] | tuple[str, str, str]


@dataclass
class Both:
    """Two replicas; changes are made at one, what they do is seen at both."""

    api: TrailApi
    other: str

    def iam(self, at_other: bool) -> Any:
        admin = self.api.admin
        return self.client("iam", (admin.access_key_id, admin.secret_access_key), self.endpoints[int(at_other)])

    @property
    def endpoints(self) -> tuple[str, str]:
        return self.api.endpoint, self.other

    def client(self, service: str, key: Credentials, endpoint: str) -> Any:
        return client(service, endpoint, *key)

    def answers(self, key: Credentials) -> list[str]:
        """What ListStudios answers at each replica: `ok` or the error's code."""
        return [self._answer(self.client("emr", key, endpoint)) for endpoint in self.endpoints]

    def _answer(self, emr: Any) -> str:
        try:
            emr.list_studios()
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "ok"


ALLOWED, DENIED = ["ok", "ok"], ["AccessDeniedException"] * 2


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with served_trail(tmp_path_factory.mktemp("replicas")) as api, replica(api.settings) as other:
        yield Both(api, other)


def _attached(iam: Any, name: str) -> Iterator[bool]:
    arn = iam.create_policy(PolicyName=f"{name}-p", PolicyDocument=LISTING)["Policy"]["Arn"]
    iam.attach_user_policy(UserName=name, PolicyArn=arn)
    yield True
    deny = json.dumps(policy(allow("s3:*")))
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=deny, SetAsDefault=True)
    yield False
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    yield True
    iam.detach_user_policy(UserName=name, PolicyArn=arn)
    yield False


def _inline(iam: Any, name: str) -> Iterator[bool]:
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=LISTING)
    yield True
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=LISTING.replace("Allow", "Deny"))
    yield False
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=LISTING)
    yield True
    iam.delete_user_policy(UserName=name, PolicyName="p")
    yield False


def _groups(iam: Any, name: str) -> Iterator[bool]:
    group = f"{name}-team"
    iam.create_group(GroupName=group)
    iam.put_group_policy(GroupName=group, PolicyName="p", PolicyDocument=LISTING)
    iam.add_user_to_group(GroupName=group, UserName=name)
    yield True
    iam.remove_user_from_group(GroupName=group, UserName=name)
    yield False
    iam.add_user_to_group(GroupName=group, UserName=name)
    yield True
    iam.delete_group_policy(GroupName=group, PolicyName="p")
    yield False


def _boundary(iam: Any, name: str) -> Iterator[bool]:
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=LISTING)
    narrow = json.dumps(policy(allow("s3:*")))
    arn = iam.create_policy(PolicyName=f"{name}-b", PolicyDocument=narrow)["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=arn)
    yield False
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=LISTING, SetAsDefault=True)
    yield True
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    yield False
    iam.delete_user_permissions_boundary(UserName=name)
    yield True


def _tags(iam: Any, name: str) -> Iterator[bool]:
    red = {"StringEquals": {"aws:PrincipalTag/team": "red"}}
    document = json.dumps(policy(allow(LIST, Condition=red)))
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
    yield False
    iam.tag_user(UserName=name, Tags=[{"Key": "team", "Value": "red"}])
    yield True
    iam.tag_user(UserName=name, Tags=[{"Key": "team", "Value": "blue"}])
    yield False
    iam.tag_user(UserName=name, Tags=[{"Key": "team", "Value": "red"}])
    yield True
    iam.untag_user(UserName=name, TagKeys=["team"])
    yield False


@pytest.mark.parametrize("at_other", [False, True], ids=["from-the-first", "from-the-second"])
@pytest.mark.parametrize("changes", [_attached, _inline, _groups, _boundary, _tags])
def test_users(both: Both, changes: Callable[[Any, str], Iterator[bool]], at_other: bool) -> None:
    name = f"{changes.__name__.strip('_')}{int(at_other)}"
    key = both.api.user(name)
    assert both.answers(key) == DENIED
    for allowed in changes(both.iam(at_other), name):
        assert both.answers(key) == (ALLOWED if allowed else DENIED)


@pytest.mark.parametrize("at_other", [False, True], ids=["from-the-first", "from-the-second"])
def test_keys_and_users_end(both: Both, at_other: bool) -> None:
    iam, name = both.iam(at_other), f"keys{int(at_other)}"
    key = both.api.user(name, allow(LIST))
    assert both.answers(key) == ALLOWED
    iam.update_access_key(UserName=name, AccessKeyId=key[0], Status="Inactive")
    assert both.answers(key) == ["UnrecognizedClientException"] * 2
    iam.update_access_key(UserName=name, AccessKeyId=key[0], Status="Active")
    assert both.answers(key) == ALLOWED
    iam.delete_access_key(UserName=name, AccessKeyId=key[0])
    assert both.answers(key) == ["UnrecognizedClientException"] * 2


@pytest.mark.parametrize("at_other", [False, True], ids=["from-the-first", "from-the-second"])
def test_sessions_of_roles(both: Both, at_other: bool) -> None:
    iam, name = both.iam(at_other), f"role{int(at_other)}"
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust({"AWS": f"{ARN}root"}))["Role"]["Arn"]
    made = both.api.client("sts").assume_role(RoleArn=arn, RoleSessionName="s1")["Credentials"]
    key = (made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])
    assert both.answers(key) == DENIED
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=LISTING)
    assert both.answers(key) == ALLOWED
    old = {"DateLessThan": {"aws:TokenIssueTime": "2999-01-01T00:00:00Z"}}
    revoked = json.dumps(policy({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": old}))
    iam.put_role_policy(RoleName=name, PolicyName="AWSRevokeOlderSessions", PolicyDocument=revoked)
    assert both.answers(key) == DENIED
    iam.delete_role_policy(RoleName=name, PolicyName="AWSRevokeOlderSessions")
    assert both.answers(key) == ALLOWED
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    iam.delete_role(RoleName=name)
    assert both.answers(key) == ["UnrecognizedClientException"] * 2
    # A role made anew under the old name does not wake the old sessions.
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust({"AWS": f"{ARN}root"}))
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=LISTING)
    assert both.answers(key) == ["UnrecognizedClientException"] * 2
