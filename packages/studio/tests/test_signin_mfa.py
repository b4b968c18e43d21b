"""Sign-in of users with an MFA device: the code after the password, each good once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from emr_studio.aws.context import Caller
from emr_studio.iam import mfa
from emr_studio.iam.condition_keys import Circumstances
from emr_studio.iam.decisions import global_context
from emr_studio.iam.federation import totp
from emr_studio.iam.model import MfaDevice
from emr_studio.iam.sealing import Sealer
from tests.support.emr_world import ACCOUNT, statement
from tests.support.signin_rig import SignInRig, signin_rig

SEED = b"0123456789" * 4


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[SignInRig]:
    with signin_rig(tmp_path) as made:
        yield made


def with_device(rig: SignInRig, caller: Caller, name: str = "phone") -> None:
    serial = f"arn:aws:iam::{ACCOUNT}:mfa/{name}"
    sealed = Sealer.load(rig.world.settings.keys_dir).seal(SEED, mfa.seed_purpose(serial))
    now = rig.world.clock.now()
    device = MfaDevice(
        serial=serial, account_id=ACCOUNT, sealed_seed=sealed, created_at=now, user_id=caller.user_id, enabled_at=now
    )
    with rig.world.database.write() as session:
        session.add(device)


def code(rig: SignInRig, steps: int = 0) -> str:
    return totp.code(SEED, totp.step_of(rig.world.clock.now()) + steps)


def test_the_code_is_asked_for_once_the_password_is_right(rig: SignInRig) -> None:
    with_device(rig, rig.person("ann"))
    browser = rig.browser(rig.console_host)
    assert browser.sign_in("ann", "wrong").status_code == 401
    asked = browser.sign_in("ann")
    assert (asked.status_code, asked.json()["code"]) == (403, "MfaCodeRequired")
    assert browser.cookies == {}
    wrong = browser.sign_in("ann", mfaCode="000000")
    assert (wrong.status_code, wrong.json()["code"]) == (403, "MfaCodeWrong")
    right = code(rig)
    signed_in = browser.sign_in("ann", mfaCode=right)
    assert signed_in.status_code == 200
    assert rig.browser(rig.console_host).sign_in("ann", mfaCode=right).json()["code"] == "MfaCodeWrong"
    rig.world.clock.advance(30)
    assert rig.browser(rig.studio_host).sign_in("ann", mfaCode=f" {code(rig)} ").status_code == 200


def test_policies_see_the_code(rig: SignInRig) -> None:
    ann, bob = rig.person("ann"), rig.person("bob")
    with_device(rig, ann)
    signed_in = rig.browser(rig.console_host)
    csrf = signed_in.sign_in("ann", mfaCode=code(rig)).json()["csrfToken"]
    rig.world.clock.advance(20)
    caller = signed_in.api(**{"X-Csrf-Token": csrf})
    assert caller is not None
    keys = global_context(caller, Circumstances(rig.world.clock.now()))
    assert (keys["aws:MultiFactorAuthPresent"], keys["aws:MultiFactorAuthAge"]) == ("true", "20")
    other = rig.browser(rig.console_host)
    csrf = other.sign_in("bob").json()["csrfToken"]
    plain = other.api(**{"X-Csrf-Token": csrf})
    assert plain is not None
    assert global_context(plain, Circumstances(rig.world.clock.now()))["aws:MultiFactorAuthPresent"] == "false"
    long_term = dataclasses.replace(plain, console=False)
    assert "aws:MultiFactorAuthPresent" not in global_context(long_term, Circumstances(rig.world.clock.now()))
    assert bob.user_id == plain.user_id


def test_guessing_codes_is_slowed_down(rig: SignInRig) -> None:
    with_device(rig, rig.person("ann"))
    browser = rig.browser(rig.console_host)
    for _ in range(5):
        assert browser.sign_in("ann", mfaCode="000000").json()["code"] == "MfaCodeWrong"
    assert "Too many" in browser.sign_in("ann", mfaCode=code(rig)).json()["message"]
    rig.world.clock.advance(3)
    assert browser.sign_in("ann", mfaCode=code(rig)).status_code == 200


def test_either_device_will_do(rig: SignInRig) -> None:
    ann = rig.person("ann")
    with_device(rig, ann)
    with_device(rig, ann, "other")
    assert rig.browser(rig.console_host).sign_in("ann", mfaCode=code(rig)).status_code == 200


def test_who_may_not_enter_the_studio_is_told_so_without_a_code(rig: SignInRig) -> None:
    with_device(rig, rig.person("eve", statement("s3:ListBucket")))
    assert rig.browser(rig.studio_host).sign_in("eve").status_code == 403


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_codes_are_those_of_rfc_6238(seconds: int, shown: str) -> None:
    """Appendix B, its eight digits cut to six."""
    assert totp.code(b"12345678901234567890", seconds // 30) == shown
