"""Virtual MFA devices: made, enabled, used; codes are good once, guessing is slowed down."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emr_studio.iam.federation import totp
from tests.support.iam_api import ACCOUNT, IamWorld, OffsetClock, StandingClock, allow, error_of, policy, served_iam

WRONG = "MultiFactorAuthentication failed with invalid MFA one time pass code. "
WITH_MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}


@dataclass
class Phone:
    """An authenticator app."""

    serial: str
    seed: bytes
    clock: OffsetClock

    def code(self, steps: int = 0) -> str:
        return totp.code(self.seed, totp.step_of(self.clock.now()) + steps)

    def next_code(self) -> str:
        """Wait for the next code and read it."""
        self.clock.seconds += totp.SECONDS
        return self.code()


@dataclass
class Play:
    world: IamWorld
    clock: OffsetClock

    def phone(self, name: str) -> Phone:
        made = self.world.client("iam").create_virtual_mfa_device(VirtualMFADeviceName=name)["VirtualMFADevice"]
        text = made["Base32StringSeed"].decode()
        return Phone(made["SerialNumber"], base64.b32decode(text + "=" * (-len(text) % 8)), self.clock)

    def user(self, name: str, *statements: dict[str, Any]) -> tuple[Any, Phone]:
        """A user with an enabled device, and her STS client."""
        key = self.world.new_user(name, policy(*statements) if statements else None)
        phone = self.phone(name)
        codes = {"AuthenticationCode1": phone.code(-1), "AuthenticationCode2": phone.code()}
        self.world.client("iam").enable_mfa_device(UserName=name, SerialNumber=phone.serial, **codes)
        return self.world.client("sts", *key), phone


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    # A test moves the clock by a few half minutes; signatures may be five minutes off.
    clock = StandingClock()
    with served_iam(tmp_path, clock) as world:
        yield Play(world, clock)


def test_life_of_a_device(play: Play) -> None:
    iam = play.world.client("iam")
    tags = [{"Key": "team", "Value": "data"}]
    made = iam.create_virtual_mfa_device(VirtualMFADeviceName="phone", Path="/team/", Tags=tags)["VirtualMFADevice"]
    serial = f"arn:aws:iam::{ACCOUNT}:mfa/team/phone"
    assert made["SerialNumber"] == serial
    assert len(made["Base32StringSeed"]) == 64
    assert made["QRCodePNG"].startswith(b"\x89PNG")
    twice = error_of(iam.create_virtual_mfa_device, VirtualMFADeviceName="phone", Path="/team/")
    assert twice[:2] == ("EntityAlreadyExists", 409)
    phone = Phone(serial, base64.b32decode(made["Base32StringSeed"]), play.clock)
    play.world.new_user("owner")
    enable = {"UserName": "owner", "SerialNumber": serial}
    wrong = {"AuthenticationCode1": "000000", "AuthenticationCode2": phone.code()}
    assert error_of(iam.enable_mfa_device, **enable, **wrong) == (
        "InvalidAuthenticationCode",
        403,
        "Authentication code for device is not valid.",
    )
    assert iam.list_virtual_mfa_devices(AssignmentStatus="Unassigned")["VirtualMFADevices"][0]["Tags"] == tags
    right = {"AuthenticationCode1": phone.code(-1), "AuthenticationCode2": phone.code()}
    iam.enable_mfa_device(**enable, **right)
    assert error_of(iam.enable_mfa_device, **enable, **right)[0] == "EntityAlreadyExists"
    assert iam.list_mfa_devices(UserName="owner")["MFADevices"][0]["SerialNumber"] == serial
    assert iam.get_mfa_device(SerialNumber=serial)["UserName"] == "owner"
    listed = iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"]
    assert [device["User"]["UserName"] for device in listed] == ["owner"]
    iam.tag_mfa_device(SerialNumber=serial, Tags=[{"Key": "Team", "Value": "ops"}])
    assert iam.list_mfa_device_tags(SerialNumber=serial)["Tags"] == [{"Key": "Team", "Value": "ops"}]
    iam.untag_mfa_device(SerialNumber=serial, TagKeys=["team"])
    assert error_of(iam.delete_virtual_mfa_device, SerialNumber=serial)[:2] == ("DeleteConflict", 409)
    assert "must delete MFA device first" in error_of(iam.delete_user, UserName="owner")[2]
    assert error_of(iam.deactivate_mfa_device, UserName="admin", SerialNumber=serial)[0] == "NoSuchEntity"
    iam.deactivate_mfa_device(**enable)
    iam.delete_virtual_mfa_device(SerialNumber=serial)
    assert error_of(iam.get_mfa_device, SerialNumber=serial)[0] == "NoSuchEntity"


def test_session_token_with_a_code_calls_iam(play: Play) -> None:
    sts, phone = play.user("ann", allow("iam:*", Condition=WITH_MFA))
    code = phone.next_code()
    shown = {"SerialNumber": phone.serial, "TokenCode": code}
    made = sts.get_session_token(**shown)["Credentials"]
    session = play.world.session(made, "iam")
    assert session.list_users()["Users"]
    assert error_of(sts.get_session_token, **shown) == ("AccessDenied", 403, WRONG)
    plain = sts.get_session_token()["Credentials"]
    assert error_of(play.world.session(plain, "iam").list_users)[0] == "InvalidClientTokenId"
    document = policy(
        allow("iam:*", Condition={**WITH_MFA, "NumericLessThan": {"aws:MultiFactorAuthAge": "60"}}),
    )
    play.world.client("iam").put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=json.dumps(document))
    assert session.list_users()["Users"]
    play.clock.seconds += 90
    assert error_of(session.list_users)[0] == "AccessDenied"


def test_a_role_that_wants_a_code(play: Play) -> None:
    sts, phone = play.user("ann", allow("sts:AssumeRole"))
    iam = play.world.client("iam")
    statement = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole", "Condition": WITH_MFA}
    iam.create_role(RoleName="careful", AssumeRolePolicyDocument=json.dumps(policy(statement)))
    start = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/careful", "RoleSessionName": "s1"}
    assert error_of(sts.assume_role, **start)[0] == "AccessDenied"
    assert error_of(sts.assume_role, **start, SerialNumber=phone.serial, TokenCode="000000")[2] == WRONG
    assert sts.assume_role(**start, SerialNumber=phone.serial, TokenCode=phone.next_code())["Credentials"]
    shown = {"SerialNumber": phone.serial, "TokenCode": phone.next_code()}
    chained = play.world.session(sts.get_session_token(**shown)["Credentials"], "sts")
    assert chained.assume_role(**start)["Credentials"]
    admin = play.world.client("sts")
    other = error_of(admin.assume_role, **start, SerialNumber=phone.serial, TokenCode=phone.next_code())
    assert other[2].startswith("MultiFactorAuthentication failed, unable to validate MFA code.")


def test_codes_of_a_clock_that_is_off(play: Play) -> None:
    sts, phone = play.user("ann")
    iam = play.world.client("iam")
    early = {"SerialNumber": phone.serial, "TokenCode": phone.code(2)}
    assert error_of(sts.get_session_token, **early)[2] == WRONG
    assert sts.get_session_token(SerialNumber=phone.serial, TokenCode=phone.code(1))["Credentials"]
    codes = {"AuthenticationCode1": phone.code(40), "AuthenticationCode2": phone.code(41)}
    iam.resync_mfa_device(UserName="ann", SerialNumber=phone.serial, **codes)
    play.clock.seconds += totp.SECONDS
    assert sts.get_session_token(SerialNumber=phone.serial, TokenCode=phone.code(41))["Credentials"]


def test_a_code_is_good_once_however_many_try(play: Play) -> None:
    sts, phone = play.user("ann")
    shown = {"SerialNumber": phone.serial, "TokenCode": phone.next_code()}

    def attempt(_number: int) -> bool:
        try:
            return bool(sts.get_session_token(**shown)["Credentials"])
        except ClientError:
            return False

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(attempt, range(6))) == 1


def test_guessing_is_slowed_down(play: Play) -> None:
    sts, phone = play.user("ann")
    for _ in range(5):
        assert error_of(sts.get_session_token, SerialNumber=phone.serial, TokenCode="000000")[2] == WRONG
    right = {"SerialNumber": phone.serial, "TokenCode": phone.code(1)}
    assert error_of(sts.get_session_token, **right)[2] == WRONG
    play.clock.seconds += 3
    assert sts.get_session_token(**right)["Credentials"]
