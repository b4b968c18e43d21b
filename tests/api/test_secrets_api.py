"""Secrets Manager as boto3 sees it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sqlalchemy import select

from emr_studio.secrets.model import Secret, SecretVersion
from emr_studio.secrets.upkeep import keep
from tests.api.test_keys_api import refused
from tests.support.iam_api import ACCOUNT, OTHER, allow, policy
from tests.support.keys_api import KeysWorld, served_keys

ARN = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeysWorld]:
    with served_keys(tmp_path_factory.mktemp("secrets")) as served:
        yield served


@pytest.fixture
def sm(world: KeysWorld) -> Any:
    return world.client("secretsmanager")


def user(world: KeysWorld, name: str, *statements: dict[str, Any]) -> Any:
    return world.client("secretsmanager", *world.new_user(name, policy(*statements)))


def test_a_secret_by_all_its_names(sm: Any) -> None:
    made = sm.create_secret(Name="emr-studio-git/a", SecretString='{"gitUsername": "u"}', Description="d")
    assert made["ARN"].startswith(ARN + "emr-studio-git/a-")
    assert len(made["ARN"].removeprefix(ARN + "emr-studio-git/a-")) == 6
    for name in ("emr-studio-git/a", made["ARN"], made["ARN"][:-7]):
        value = sm.get_secret_value(SecretId=name)
        assert (value["SecretString"], value["VersionStages"]) == ('{"gitUsername": "u"}', ["AWSCURRENT"])
        assert value["VersionId"] == made["VersionId"]
    described = sm.describe_secret(SecretId=made["ARN"])
    assert described["VersionIdsToStages"] == {made["VersionId"]: ["AWSCURRENT"]}
    assert "KmsKeyId" not in described
    missing = refused(sm.get_secret_value, "ResourceNotFoundException", SecretId="none")
    assert missing == "Secrets Manager can't find the specified secret."


def test_values_lie_sealed(world: KeysWorld, sm: Any) -> None:
    sm.create_secret(Name="sealed", SecretString="very-plain-text")
    with world.database.read() as session:
        secret = session.scalars(select(Secret).where(Secret.name == "sealed")).one()
        version = session.scalars(select(SecretVersion).where(SecretVersion.secret_id == secret.id)).one()
    assert b"very-plain-text" not in (version.sealed or b"")
    for path in (world.settings.data_dir / "db").glob("*"):
        assert b"very-plain-text" not in path.read_bytes()


def test_stages_move(sm: Any) -> None:
    first = sm.create_secret(Name="staged", SecretString="1")["VersionId"]
    second = sm.put_secret_value(SecretId="staged", SecretString="2")["VersionId"]
    third = sm.put_secret_value(SecretId="staged", SecretString="3", VersionStages=["AWSPENDING"])["VersionId"]
    assert sm.describe_secret(SecretId="staged")["VersionIdsToStages"] == {
        first: ["AWSPREVIOUS"], second: ["AWSCURRENT"], third: ["AWSPENDING"],
    }  # fmt: skip
    assert sm.get_secret_value(SecretId="staged", VersionStage="AWSPREVIOUS")["SecretString"] == "1"
    assert sm.get_secret_value(SecretId="staged", VersionId=third)["SecretString"] == "3"
    code = "InvalidParameterException"
    move = {"SecretId": "staged", "VersionStage": "AWSCURRENT"}
    message = refused(sm.update_secret_version_stage, code, **move, MoveToVersionId=third)
    assert message.startswith("The parameter RemoveFromVersionId can't be empty.")
    refused(sm.update_secret_version_stage, code, **move, RemoveFromVersionId=second)
    sm.update_secret_version_stage(**move, MoveToVersionId=third, RemoveFromVersionId=second)
    sm.update_secret_version_stage(SecretId="staged", VersionStage="AWSPENDING", RemoveFromVersionId=third)
    stages = sm.describe_secret(SecretId="staged")["VersionIdsToStages"]
    assert stages == {third: ["AWSCURRENT"], second: ["AWSPREVIOUS"]}
    assert len(sm.list_secret_version_ids(SecretId="staged")["Versions"]) == 2
    assert len(sm.list_secret_version_ids(SecretId="staged", IncludeDeprecated=True)["Versions"]) == 3
    refused(sm.get_secret_value, "ResourceNotFoundException", SecretId="staged", VersionStage="NONE")
    refused(
        sm.get_secret_value, "InvalidRequestException", SecretId="staged", VersionId=third, VersionStage="AWSPREVIOUS"
    )


def test_a_token_makes_a_call_repeatable(sm: Any) -> None:
    token = "t" * 32
    once = sm.create_secret(Name="again", SecretString="1", ClientRequestToken=token)
    assert sm.create_secret(Name="again", SecretString="1", ClientRequestToken=token)["ARN"] == once["ARN"]
    message = refused(
        sm.create_secret, "ResourceExistsException", Name="again", SecretString="2", ClientRequestToken=token
    )
    assert message.startswith("You can't use ClientRequestToken")
    message = refused(sm.create_secret, "ResourceExistsException", Name="again", SecretString="1")
    assert message == "The operation failed because the secret again already exists."
    put = {"SecretId": "again", "ClientRequestToken": "p" * 32}
    sm.put_secret_value(**put, SecretBinary=b"\x00\xff")
    sm.put_secret_value(**put, SecretBinary=b"\x00\xff")
    refused(sm.put_secret_value, "ResourceExistsException", **put, SecretBinary=b"\x00")
    assert sm.get_secret_value(SecretId="again")["SecretBinary"] == b"\x00\xff"


def test_deletion_and_recovery(world: KeysWorld, sm: Any) -> None:
    sm.create_secret(Name="gone", SecretString="1")
    marked = sm.delete_secret(SecretId="gone", RecoveryWindowInDays=7)
    assert 6.9 < (marked["DeletionDate"] - world.clock.now()).total_seconds() / 86_400 < 7.1
    message = refused(sm.get_secret_value, "InvalidRequestException", SecretId="gone")
    assert message.endswith("because it was marked for deletion.")
    refused(sm.create_secret, "InvalidRequestException", Name="gone", SecretString="1")
    assert "gone" not in [found["Name"] for found in sm.list_secrets()["SecretList"]]
    assert "gone" in [found["Name"] for found in sm.list_secrets(IncludePlannedDeletion=True)["SecretList"]]
    sm.restore_secret(SecretId="gone")
    assert sm.get_secret_value(SecretId="gone")["SecretString"] == "1"
    sm.delete_secret(SecretId="gone", RecoveryWindowInDays=7)
    with world.database.write() as session:
        keep(session, world.clock.now() + dt.timedelta(days=8))
    refused(sm.describe_secret, "ResourceNotFoundException", SecretId="gone")
    sm.create_secret(Name="gone", SecretString="2")
    sm.delete_secret(SecretId="gone", ForceDeleteWithoutRecovery=True)
    refused(sm.describe_secret, "ResourceNotFoundException", SecretId="gone")
    refused(sm.delete_secret, "ResourceNotFoundException", SecretId="gone", ForceDeleteWithoutRecovery=True)
    refused(sm.delete_secret, "InvalidParameterException", SecretId="again", RecoveryWindowInDays=6)


def test_lists_are_filtered_sorted_and_paged(sm: Any) -> None:
    for name, team in (("list/b", "red"), ("list/a", "blue"), ("list/c", "red")):
        sm.create_secret(Name=name, Description=f"Of {team} people", Tags=[{"Key": "team", "Value": team}])

    def names(*filters: tuple[str, list[str]], **more: Any) -> list[str]:
        given = [{"Key": key, "Values": values} for key, values in filters]
        found = sm.list_secrets(Filters=given, SortBy="name", SortOrder="asc", **more)["SecretList"]
        return [secret["Name"] for secret in found]

    assert names(("name", ["list/"])) == ["list/a", "list/b", "list/c"]
    assert names(("name", ["LIST/"])) == []
    assert names(("name", ["list/"]), ("tag-value", ["!red"])) == ["list/a"]
    assert names(("description", ["BLUE"])) == ["list/a"]
    assert names(("all", ["red"]), ("tag-key", ["te"])) == ["list/b", "list/c"]
    pages = sm.get_paginator("list_secrets").paginate(PaginationConfig={"PageSize": 2})
    assert len([secret for page in pages for secret in page["SecretList"]]) >= 3
    refused(sm.list_secrets, "InvalidNextTokenException", NextToken="forged")


def test_a_key_of_ones_own(world: KeysWorld, sm: Any) -> None:
    kms = world.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    sm.create_secret(Name="keyed", SecretString="1", KmsKeyId=key)
    assert sm.describe_secret(SecretId="keyed")["KmsKeyId"] == key
    kms.disable_key(KeyId=key)
    refused(sm.get_secret_value, "DecryptionFailure", SecretId="keyed")
    refused(sm.put_secret_value, "EncryptionFailure", SecretId="keyed", SecretString="2")
    kms.enable_key(KeyId=key)
    reader = user(world, "keyless", allow("secretsmanager:GetSecretValue"))
    assert refused(reader.get_secret_value, "AccessDeniedException", SecretId="keyed") == "Access to KMS is not allowed"
    sm.update_secret(SecretId="keyed", KmsKeyId="alias/aws/secretsmanager")
    kms.schedule_key_deletion(KeyId=key)
    assert reader.get_secret_value(SecretId="keyed")["SecretString"] == "1"
    managed = kms.describe_key(KeyId="alias/aws/secretsmanager")["KeyMetadata"]
    assert managed["KeyManager"] == "AWS"
    refused(kms.schedule_key_deletion, "AccessDeniedException", KeyId=managed["KeyId"])
    refused(kms.encrypt, "AccessDeniedException", KeyId=managed["KeyId"], Plaintext=b"x")


def test_conditions(world: KeysWorld, sm: Any) -> None:
    tag = "for-use-with-amazon-emr-managed-policies"
    tagged = {"StringEquals": {f"aws:ResourceTag/{tag}": "true"}}
    ann = user(world, "s-ann", allow("secretsmanager:GetSecretValue", f"{ARN}*", Condition=tagged))
    sm.create_secret(Name="for-git", SecretString="1")
    message = refused(ann.get_secret_value, "AccessDeniedException", SecretId="for-git")
    assert "secretsmanager:GetSecretValue on resource: " + ARN + "for-git-" in message
    sm.tag_resource(SecretId="for-git", Tags=[{"Key": tag, "Value": "true"}])
    assert ann.get_secret_value(SecretId="for-git")["SecretString"] == "1"
    maker = user(
        world, "s-bob",
        allow("secretsmanager:CreateSecret", ARN + "emr-studio-*", Condition={
            "StringEquals": {f"aws:RequestTag/{tag}": "true"}}),
        allow("secretsmanager:TagResource", ARN + "emr-studio-*"),
    )  # fmt: skip
    refused(maker.create_secret, "AccessDeniedException", Name="emr-studio-x", SecretString="1")
    refused(
        maker.create_secret, "AccessDeniedException", Name="x", SecretString="1", Tags=[{"Key": tag, "Value": "true"}]
    )
    assert maker.create_secret(Name="emr-studio-x", SecretString="1", Tags=[{"Key": tag, "Value": "true"}])
    current = {"ForAnyValue:StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}}
    carl = user(world, "s-carl", allow("secretsmanager:GetSecretValue", Condition=current))
    assert carl.get_secret_value(SecretId="for-git")
    refused(carl.get_secret_value, "AccessDeniedException", SecretId="for-git", VersionStage="AWSPREVIOUS")


def test_resource_policies(world: KeysWorld, sm: Any) -> None:
    arn = sm.create_secret(Name="shared", SecretString="1")["ARN"]
    assert "ResourcePolicy" not in sm.get_resource_policy(SecretId="shared")
    user_key = world.new_user("s-dora")
    dora = world.client("secretsmanager", *user_key)
    refused(dora.get_secret_value, "AccessDeniedException", SecretId=arn)
    text = json.dumps(policy(allow("secretsmanager:GetSecretValue", Principal={
        "AWS": [f"arn:aws:iam::{ACCOUNT}:user/s-dora", OTHER]})))  # fmt: skip
    sm.put_resource_policy(SecretId="shared", ResourcePolicy=text, BlockPublicPolicy=True)
    assert json.loads(sm.get_resource_policy(SecretId="shared")["ResourcePolicy"]) == json.loads(text)
    assert dora.get_secret_value(SecretId=arn)["SecretString"] == "1"
    # The account's own key for secrets is for no other account.
    stranger = world.client("secretsmanager", *world.other_root)
    assert refused(stranger.get_secret_value, "AccessDeniedException", SecretId=arn) == "Access to KMS is not allowed"
    public = json.dumps(policy(allow("secretsmanager:*", Principal="*")))
    refused(
        sm.put_resource_policy,
        "PublicPolicyException",
        SecretId="shared",
        ResourcePolicy=public,
        BlockPublicPolicy=True,
    )
    refused(sm.put_resource_policy, "MalformedPolicyDocumentException", SecretId="shared", ResourcePolicy="{")
    assert sm.validate_resource_policy(ResourcePolicy=public)["PolicyValidationPassed"] is False
    assert sm.validate_resource_policy(ResourcePolicy=text)["PolicyValidationPassed"] is True
    sm.delete_resource_policy(SecretId="shared")
    refused(dora.get_secret_value, "AccessDeniedException", SecretId=arn)


def test_several_at_once(world: KeysWorld, sm: Any) -> None:
    arns = [sm.create_secret(Name=f"batch/{n}", SecretString=str(n))["ARN"] for n in range(3)]
    answer = sm.batch_get_secret_value(SecretIdList=[*arns, "none"])
    assert [value["SecretString"] for value in answer["SecretValues"]] == ["0", "1", "2"]
    assert [error["ErrorCode"] for error in answer["Errors"]] == ["ResourceNotFoundException"]
    few = user(
        world, "s-emil", allow("secretsmanager:BatchGetSecretValue"), allow("secretsmanager:GetSecretValue", arns[0])
    )
    answer = few.batch_get_secret_value(SecretIdList=arns)
    assert [value["Name"] for value in answer["SecretValues"]] == ["batch/0"]
    assert [error["ErrorCode"] for error in answer["Errors"]] == ["AccessDeniedException"] * 2
    by_name = sm.batch_get_secret_value(Filters=[{"Key": "name", "Values": ["batch/"]}])
    assert len(by_name["SecretValues"]) == 3


def test_passwords(sm: Any) -> None:
    password = sm.get_random_password(PasswordLength=20, ExcludePunctuation=True, ExcludeCharacters="abc")
    text = password["RandomPassword"]
    assert len(text) == 20
    assert text.isalnum()
    assert not set(text) & set("abc")
    digits = sm.get_random_password(ExcludeLowercase=True, ExcludeUppercase=True, ExcludePunctuation=True)
    assert digits["RandomPassword"].isdecimal()
    refused(sm.get_random_password, "InvalidParameterException", PasswordLength=3)


def test_what_a_value_must_be(sm: Any) -> None:
    code = "InvalidParameterException"
    refused(sm.create_secret, code, Name="both", SecretString="1", SecretBinary=b"1")
    refused(sm.create_secret, "ValidationException", Name="white space", SecretString="1")
    sm.create_secret(Name="empty")
    refused(sm.put_secret_value, "InvalidRequestException", SecretId="empty")
    message = refused(sm.get_secret_value, "ResourceNotFoundException", SecretId="empty")
    assert message == "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"
    refused(sm.create_secret, code, Name="tags", Tags=[{"Key": "aws:x", "Value": "1"}])


def test_rotation_without_lambda(sm: Any) -> None:
    sm.create_secret(Name="rotates", SecretString="1")
    message = refused(sm.rotate_secret, "InvalidRequestException", SecretId="rotates")
    assert message == "No Lambda rotation function ARN is associated with this secret."
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"
    refused(sm.rotate_secret, "AccessDeniedException", SecretId="rotates", RotationLambdaARN=arn)


def test_reads_are_dated(world: KeysWorld, sm: Any) -> None:
    sm.create_secret(Name="dated", SecretString="1")
    assert "LastAccessedDate" not in sm.describe_secret(SecretId="dated")
    days = [world.clock.now().date()]
    sm.get_secret_value(SecretId="dated")
    with world.database.write() as session:
        keep(session, world.clock.now())
    days.append(world.clock.now().date())  # another one after midnight
    date = sm.describe_secret(SecretId="dated")["LastAccessedDate"].astimezone(dt.UTC)
    assert (date.hour, date.minute) == (0, 0)
    assert date.date() in days


def test_another_account_has_secrets_of_its_own(world: KeysWorld, sm: Any) -> None:
    arn = sm.create_secret(Name="mine", SecretString="1")["ARN"]
    stranger = world.client("secretsmanager", *world.other_root)
    assert stranger.create_secret(Name="mine", SecretString="theirs")["ARN"] != arn
    assert stranger.get_secret_value(SecretId="mine")["SecretString"] == "theirs"
    with pytest.raises(ClientError) as caught:
        stranger.get_secret_value(SecretId=arn)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
