"""Keys wrapped by a key of another KMS: a second installation, asked by AWS's own API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emr_studio.keys.errors import KeyUnavailable
from emr_studio.keys.making import keep
from emr_studio.keys.master import ExternalMaster, FileMaster, Masters
from emr_studio.keys.model import KeyMaterial
from emr_studio.keys.ring import KeyRing
from tests.support.keys_api import KeysWorld, served_keys


@pytest.fixture
def other(tmp_path: Path) -> Iterator[KeysWorld]:
    with served_keys(tmp_path / "other") as world:
        yield world


def test_the_other_kms_holds_the_master(tmp_path: Path, other: KeysWorld) -> None:
    their: Any = other.client("kms")
    master = their.create_key()["KeyMetadata"]["Arn"]
    with served_keys(tmp_path / "own", Masters(ExternalMaster(their, master))) as world:
        kms = world.client("kms")
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    with served_keys(tmp_path / "own", Masters(ExternalMaster(their, master))) as world:
        assert world.client("kms").decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"
    their.disable_key(KeyId=master)
    with served_keys(tmp_path / "own", Masters(ExternalMaster(their, master))) as world:
        with pytest.raises(ClientError) as caught:
            world.client("kms").decrypt(CiphertextBlob=sealed)
        assert caught.value.response["Error"]["Code"] == "KeyUnavailableException"


def test_a_change_of_masters_wraps_anew(tmp_path: Path, other: KeysWorld) -> None:
    their: Any = other.client("kms")
    master = their.create_key()["KeyMetadata"]["Arn"]
    with served_keys(tmp_path / "own") as world:
        key = world.client("kms").create_key()["KeyMetadata"]["KeyId"]
        sealed = world.client("kms").encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        in_file = FileMaster(world.sealer)
        both = KeyRing(Masters(ExternalMaster(their, master), in_file))
        with world.database.write() as session:
            keep(session, both, world.clock.now())
            assert session.get_one(KeyMaterial, (key, 1)).wrapped[:1] == ExternalMaster.mark
        with world.database.read() as session:
            assert both.open(session, sealed, {}) == b"x"
            with pytest.raises(KeyUnavailable):
                KeyRing(Masters(in_file)).open(session, sealed, {})
