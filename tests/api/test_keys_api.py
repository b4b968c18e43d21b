"""KMS as boto3 sees it: life of a key, data, policies, aliases, rotation, other accounts."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sqlalchemy import select

from emr_studio.keys.making import keep
from emr_studio.keys.model import KeyMaterial
from emr_studio.keys.ring import _purpose
from tests.support.iam_api import ACCOUNT, OTHER, allow, policy
from tests.support.keys_api import KeysWorld, served_keys


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeysWorld]:
    with served_keys(tmp_path_factory.mktemp("keys")) as served:
        yield served


@pytest.fixture
def kms(world: KeysWorld) -> Any:
    return world.client("kms")


def refused(call: Callable[..., Any], code: str, **arguments: Any) -> str:
    """The message of a call that must fail with `code`."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == code, caught.value
    message: str = caught.value.response["Error"].get("Message", "")
    return message


def new_key(kms: Any, **arguments: Any) -> str:
    key_id: str = kms.create_key(**arguments)["KeyMetadata"]["KeyId"]
    return key_id


def test_a_key_and_its_data(kms: Any) -> None:
    made = kms.create_key(Description="d", Tags=[{"TagKey": "team", "TagValue": "a"}])["KeyMetadata"]
    assert made["Arn"] == f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{made['KeyId']}"
    assert (made["KeyState"], made["KeyManager"], made["KeySpec"]) == ("Enabled", "CUSTOMER", "SYMMETRIC_DEFAULT")
    assert kms.list_resource_tags(KeyId=made["KeyId"])["Tags"] == [{"TagKey": "team", "TagValue": "a"}]
    sealed = kms.encrypt(KeyId=made["Arn"], Plaintext=b"text", EncryptionContext={"a": "b"})
    assert sealed["KeyId"] == made["Arn"]
    assert b"text" not in sealed["CiphertextBlob"]
    opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext={"a": "b"})
    assert (opened["Plaintext"], opened["KeyId"]) == (b"text", made["Arn"])


def test_a_ciphertext_is_bound_to_key_and_context(kms: Any) -> None:
    one, two = new_key(kms), new_key(kms)
    sealed = kms.encrypt(KeyId=one, Plaintext=b"x", EncryptionContext={"a": "b"})["CiphertextBlob"]
    code = "InvalidCiphertextException"
    refused(kms.decrypt, code, CiphertextBlob=sealed)
    refused(kms.decrypt, code, CiphertextBlob=sealed, EncryptionContext={"a": "c"})
    refused(kms.decrypt, code, CiphertextBlob=sealed[:-1] + bytes([sealed[-1] ^ 1]), EncryptionContext={"a": "b"})
    refused(kms.decrypt, code, CiphertextBlob=b"nonsense")
    refused(
        kms.decrypt, "IncorrectKeyException", CiphertextBlob=sealed, KeyId=two, EncryptionContext={"a": "b"}
    )  # fmt: skip


def test_data_keys(kms: Any) -> None:
    key = new_key(kms)
    made = kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    assert len(made["Plaintext"]) == 32
    assert kms.decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"] == made["Plaintext"]
    sealed = kms.generate_data_key_without_plaintext(KeyId=key, NumberOfBytes=64)
    assert "Plaintext" not in sealed
    assert len(kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"])["Plaintext"]) == 64
    assert len(kms.generate_random(NumberOfBytes=9)["Plaintext"]) == 9
    refused(kms.generate_data_key, "ValidationException", KeyId=key)
    refused(kms.generate_data_key, "DryRunOperationException", KeyId=key, KeySpec="AES_256", DryRun=True)


def test_reencryption(kms: Any) -> None:
    one, two = new_key(kms), new_key(kms)
    sealed = kms.encrypt(KeyId=one, Plaintext=b"x", EncryptionContext={"a": "b"})["CiphertextBlob"]
    again = kms.re_encrypt(
        CiphertextBlob=sealed, SourceEncryptionContext={"a": "b"}, DestinationKeyId=two,
        DestinationEncryptionContext={"c": "d"},
    )  # fmt: skip
    assert (again["SourceKeyId"][-36:], again["KeyId"][-36:]) == (one, two)
    opened = kms.decrypt(CiphertextBlob=again["CiphertextBlob"], EncryptionContext={"c": "d"})
    assert opened["Plaintext"] == b"x"


def test_disabled_and_deleted_keys_open_nothing(kms: Any) -> None:
    key = new_key(kms)
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms.disable_key(KeyId=key)
    assert refused(kms.decrypt, "DisabledException", CiphertextBlob=sealed).endswith("is disabled.")
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"
    planned = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert planned["KeyState"] == "PendingDeletion"
    message = refused(kms.decrypt, "KMSInvalidStateException", CiphertextBlob=sealed)
    assert message.endswith("is pending deletion.")
    refused(kms.enable_key, "KMSInvalidStateException", KeyId=key)
    kms.cancel_key_deletion(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    refused(kms.schedule_key_deletion, "ValidationException", KeyId=key, PendingWindowInDays=6)


def test_after_its_window_a_key_is_destroyed(world: KeysWorld, kms: Any) -> None:
    key = new_key(kms)
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    with world.database.write() as session:
        keep(session, world.ring, world.clock.now() + dt.timedelta(days=6.9))
        assert session.get(KeyMaterial, (key, 1))
        keep(session, world.ring, world.clock.now() + dt.timedelta(days=7.1))
    refused(kms.describe_key, "NotFoundException", KeyId=key)
    assert "does not exist" in refused(kms.decrypt, "AccessDeniedException", CiphertextBlob=sealed)
    with world.database.read() as session:
        assert not session.scalars(select(KeyMaterial).where(KeyMaterial.key_id == key)).all()


def test_aliases(kms: Any) -> None:
    one, two = new_key(kms), new_key(kms)
    kms.create_alias(AliasName="alias/app/main", TargetKeyId=one)
    sealed = kms.encrypt(KeyId="alias/app/main", Plaintext=b"x")
    assert sealed["KeyId"].endswith(one)
    arn = f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/app/main"
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyId"] == one
    message = refused(kms.create_alias, "AlreadyExistsException", AliasName="alias/app/main", TargetKeyId=two)
    assert message == f"An alias with the name {arn} already exists"
    kms.update_alias(AliasName="alias/app/main", TargetKeyId=two)
    assert [a["AliasName"] for a in kms.list_aliases(KeyId=two)["Aliases"]] == ["alias/app/main"]
    assert kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"])["Plaintext"] == b"x"
    refused(kms.create_alias, "ValidationException", AliasName="app", TargetKeyId=one)
    refused(kms.create_alias, "NotAuthorizedException", AliasName="alias/aws/mine", TargetKeyId=one)
    kms.delete_alias(AliasName="alias/app/main")
    assert refused(kms.describe_key, "NotFoundException", KeyId=arn) == f"Alias {arn} is not found."
    refused(kms.delete_alias, "NotFoundException", AliasName="alias/app/main")
    refused(kms.disable_key, "NotFoundException", KeyId="alias/app/main")


def test_lists_have_pages(kms: Any) -> None:
    made = {new_key(kms) for _ in range(3)}
    pages = list(kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2}))
    assert all(len(page["Keys"]) <= 2 for page in pages)
    assert made <= {key["KeyId"] for page in pages for key in page["Keys"]}
    refused(kms.list_keys, "InvalidMarkerException", Marker="forged")


def test_old_material_opens_old_data(world: KeysWorld, kms: Any) -> None:
    key = new_key(kms)
    old = kms.encrypt(KeyId=key, Plaintext=b"old")["CiphertextBlob"]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    status = kms.get_key_rotation_status(KeyId=key)
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 90)
    with world.database.write() as session:
        keep(session, world.ring, status["NextRotationDate"] + dt.timedelta(seconds=1))
    kms.rotate_key_on_demand(KeyId=key)
    kinds = [rotation["RotationType"] for rotation in kms.list_key_rotations(KeyId=key)["Rotations"]]
    assert kinds == ["AUTOMATIC", "ON_DEMAND"]
    new = kms.encrypt(KeyId=key, Plaintext=b"new")["CiphertextBlob"]
    assert [kms.decrypt(CiphertextBlob=sealed)["Plaintext"] for sealed in (old, new)] == [b"old", b"new"]
    kms.disable_key_rotation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False


def user(world: KeysWorld, name: str, *statements: dict[str, Any]) -> Any:
    return world.client("kms", *world.new_user(name, policy(*statements)))


def test_by_default_identity_policies_decide(world: KeysWorld, kms: Any) -> None:
    key = kms.create_key()["KeyMetadata"]["Arn"]
    ann = user(world, "ann", allow("kms:Encrypt", key))
    sealed = ann.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    message = refused(ann.decrypt, "AccessDeniedException", CiphertextBlob=sealed)
    assert "because no identity-based policy allows the kms:Decrypt action" in message


def key_policy(*statements: dict[str, Any]) -> str:
    return json.dumps(policy(*statements))


def test_without_the_key_policy_identity_policies_count_for_nothing(world: KeysWorld, kms: Any) -> None:
    admin = {"AWS": f"arn:aws:iam::{ACCOUNT}:user/admin"}
    key = kms.create_key(Policy=key_policy(allow("kms:*", Principal=admin)))["KeyMetadata"]["Arn"]
    bob = user(world, "bob", allow("kms:*"))
    message = refused(bob.encrypt, "AccessDeniedException", KeyId=key, Plaintext=b"x")
    assert "because no resource-based policy allows the kms:Encrypt action" in message
    named = allow("kms:Encrypt", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/carl"})
    carl_key = world.new_user("carl")
    kms.put_key_policy(KeyId=key, Policy=key_policy(allow("kms:*", Principal=admin), named))
    carl = world.client("kms", *carl_key)
    assert carl.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    deny = {"Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*"}
    kms.put_key_policy(KeyId=key, Policy=key_policy(allow("kms:*", Principal=admin), named, deny))
    refused(carl.encrypt, "AccessDeniedException", KeyId=key, Plaintext=b"x")
    refused(kms.encrypt, "AccessDeniedException", KeyId=key, Plaintext=b"x")


def test_nobody_locks_herself_out(world: KeysWorld, kms: Any) -> None:
    locked = key_policy(allow("kms:*", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/EMRStudio_ServiceRole"}))
    code = "MalformedPolicyDocumentException"
    assert "will not allow you to update" in refused(kms.create_key, code, Policy=locked)
    refused(kms.create_key, code, Policy='{"Version": "2012-10-17"}')
    key = new_key(kms)
    refused(kms.put_key_policy, code, KeyId=key, Policy=locked)
    assert json.loads(kms.get_key_policy(KeyId=key)["Policy"])["Id"] == "key-default-1"
    kms.put_key_policy(KeyId=key, Policy=locked, BypassPolicyLockoutSafetyCheck=True)
    refused(kms.describe_key, "AccessDeniedException", KeyId=key)


def test_conditions_see_the_encryption_context_and_the_service(world: KeysWorld, kms: Any) -> None:
    key = kms.create_key()["KeyMetadata"]["Arn"]
    team = allow("kms:*", key, Condition={"StringEquals": {"kms:EncryptionContext:team": "a"}})
    dora = user(world, "dora", team)
    assert dora.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"team": "a"})
    refused(dora.encrypt, "AccessDeniedException", KeyId=key, Plaintext=b"x", EncryptionContext={"team": "b"})
    only_s3 = allow("kms:*", key, Condition={"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}})
    emil = user(world, "emil", only_s3)
    refused(emil.encrypt, "AccessDeniedException", KeyId=key, Plaintext=b"x")


def test_another_account_needs_both_policies(world: KeysWorld, kms: Any) -> None:
    key = kms.create_key()["KeyMetadata"]["Arn"]
    stranger = world.client("kms", *world.other_root)
    refused(stranger.encrypt, "AccessDeniedException", KeyId=key, Plaintext=b"x")
    own = allow("kms:*", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
    theirs = allow(["kms:Encrypt", "kms:DescribeKey"], Principal={"AWS": OTHER})
    kms.put_key_policy(KeyId=key, Policy=key_policy(own, theirs))
    assert stranger.encrypt(KeyId=key, Plaintext=b"x")["KeyId"] == key
    refused(stranger.decrypt, "AccessDeniedException", CiphertextBlob=kms.encrypt(KeyId=key, Plaintext=b"x")[
        "CiphertextBlob"
    ])  # fmt: skip
    assert not [found for found in stranger.list_keys()["Keys"] if found["KeyArn"] == key]


def test_what_is_not_made_is_refused(kms: Any) -> None:
    code = "UnsupportedOperationException"
    refused(kms.create_key, code, KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
    refused(kms.create_key, code, MultiRegion=True)
    assert refused(kms.describe_key, "NotFoundException", KeyId="nonsense") == "Invalid keyId 'nonsense'"


def test_tags_are_seen_by_policies(world: KeysWorld, kms: Any) -> None:
    key = kms.create_key(Tags=[{"TagKey": "team", "TagValue": "a"}])["KeyMetadata"]["Arn"]
    fay = user(world, "fay", allow("kms:*", Condition={"StringEquals": {"aws:ResourceTag/team": "a"}}))
    assert fay.describe_key(KeyId=key)
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "team", "TagValue": "b"}])
    refused(fay.describe_key, "AccessDeniedException", KeyId=key)
    kms.untag_resource(KeyId=key, TagKeys=["team"])
    assert kms.list_resource_tags(KeyId=key)["Tags"] == []
    refused(kms.tag_resource, "TagException", KeyId=key, Tags=[{"TagKey": "aws:x", "TagValue": "b"}])


def test_nothing_in_the_database_is_in_the_clear(world: KeysWorld, kms: Any) -> None:
    key = new_key(kms)
    kms.encrypt(KeyId=key, Plaintext=b"x")
    with world.database.read() as session:
        wrapped = session.get_one(KeyMaterial, (key, 1)).wrapped
    assert len(wrapped) == 1 + 12 + 32 + 16
    material = world.ring._masters.unwrap(wrapped, _purpose(key, 1))
    files = [path for path in Path(world.settings.data_dir, "db").glob("*") if path.is_file()]
    assert bool(files) == (world.database.engine.dialect.name == "sqlite")
    assert not [path for path in files if material in path.read_bytes()]
