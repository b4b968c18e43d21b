"""Passwords that are right but too old, or only good for one change: over real IAM, with a clock that we move."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emr_studio.aws.context import Caller
from emr_studio.iam import password_policy, writing
from emr_studio.iam.model import AccountSettings, LoginProfile, User
from tests.support.emr_world import ACCOUNT, statement
from tests.support.signin_rig import PASSWORD, SignInRig, signin_rig

NEW = "Another-horse-8"
DAY = 86_400
MAY = statement("iam:ChangePassword")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[SignInRig]:
    with signin_rig(tmp_path) as rig:
        yield rig


def given_first(rig: SignInRig, name: str, *statements: Any) -> Caller:
    """A person whose administrator wants the password changed at the first sign-in."""
    caller = rig.person(name, *statements)
    with rig.world.database.write() as session:
        session.get_one(LoginProfile, caller.user_id).reset_required = True
    return caller


def set_policy(rig: SignInRig, **policy: Any) -> None:
    with rig.world.database.write() as session:
        whole = {"MinimumPasswordLength": 6, **policy}
        session.merge(AccountSettings(account_id=ACCOUNT, password_policy=whole, global_token_version=1))


def test_a_first_password_only_opens_the_change(rig: SignInRig) -> None:
    given_first(rig, "ann", MAY)
    browser = rig.browser(rig.console_host)
    reply = browser.sign_in("ann")
    assert (reply.status_code, reply.json()["code"]) == (403, "PasswordChangeRequired")
    assert "set-cookie" not in reply.headers
    assert browser.api() is None
    reply = browser.sign_in("ann", newPassword="short")
    assert (reply.status_code, reply.json()["code"]) == (400, "PasswordPolicyViolation")
    reply = browser.sign_in("ann", newPassword=PASSWORD)
    assert reply.json()["message"] == "The new password must differ from the old one"
    assert browser.sign_in("ann", "wrong", newPassword=NEW).status_code == 401
    assert browser.sign_in("ann", newPassword=NEW).status_code == 200
    assert browser.sign_in("ann").status_code == 401
    assert browser.sign_in("ann", NEW).status_code == 200


def test_a_new_password_that_is_not_due_changes_nothing(rig: SignInRig) -> None:
    rig.person("ann", MAY)
    browser = rig.browser(rig.console_host)
    assert browser.sign_in("ann", newPassword=NEW).status_code == 200
    assert browser.sign_in("ann").status_code == 200


def test_who_may_not_change_stays_out_unless_the_policy_lets_all(rig: SignInRig) -> None:
    given_first(rig, "ann", statement("s3:*"))
    browser = rig.browser(rig.console_host)
    reply = browser.sign_in("ann", newPassword=NEW)
    assert (reply.status_code, reply.json()["code"]) == (403, "AccessDenied")
    set_policy(rig, AllowUsersToChangePassword=True)
    assert browser.sign_in("ann", newPassword=NEW).status_code == 200


def test_a_deny_counts_whatever_the_policy_says(rig: SignInRig) -> None:
    set_policy(rig, AllowUsersToChangePassword=True)
    given_first(rig, "ann", {**MAY, "Effect": "Deny"})
    assert rig.browser(rig.console_host).sign_in("ann", newPassword=NEW).json()["code"] == "AccessDenied"


def test_a_password_that_is_too_old_must_be_changed(rig: SignInRig) -> None:
    set_policy(rig, MaxPasswordAge=30, ExpirePasswords=True)
    rig.person("ann", MAY)
    browser = rig.browser(rig.console_host)
    rig.world.clock.advance(30 * DAY - 1)
    assert browser.sign_in("ann").status_code == 200
    rig.world.clock.advance(1)
    assert browser.sign_in("ann").json()["code"] == "PasswordChangeRequired"
    assert browser.sign_in("ann", newPassword=NEW).status_code == 200
    assert browser.sign_in("ann", NEW).status_code == 200


def test_a_hard_expiry_needs_the_administrator(rig: SignInRig) -> None:
    set_policy(rig, MaxPasswordAge=30, ExpirePasswords=True, HardExpiry=True)
    caller = rig.person("ann", MAY)
    rig.world.clock.advance(31 * DAY)
    browser = rig.browser(rig.console_host)
    assert browser.sign_in("ann", newPassword=NEW).json()["code"] == "PasswordExpired"
    with rig.world.database.write() as session:
        writing.set_password(session, caller.user_id, NEW, rig.world.clock.now())
    assert browser.sign_in("ann", NEW).status_code == 200


def test_used_passwords_are_not_used_again(rig: SignInRig) -> None:
    set_policy(rig, PasswordReusePrevention=2)
    caller = given_first(rig, "ann", MAY)
    browser = rig.browser(rig.console_host)
    assert browser.sign_in("ann", newPassword=NEW).status_code == 200
    with rig.world.database.write() as session:
        session.get_one(LoginProfile, caller.user_id).reset_required = True
    reply = browser.sign_in("ann", NEW, newPassword=PASSWORD)
    assert (reply.status_code, reply.json()["code"]) == (400, "PasswordPolicyViolation")
    assert browser.sign_in("ann", NEW, newPassword="Third-horse-9").status_code == 200
    with rig.world.database.read() as session:
        password_policy.check(session, ACCOUNT, caller.user_id, PASSWORD)


def test_the_last_use_of_a_password_is_told(rig: SignInRig) -> None:
    caller = rig.person("ann")
    rig.browser(rig.console_host).sign_in("ann", "wrong")
    with rig.world.database.read() as session:
        assert session.get_one(User, caller.user_id).password_last_used is None
    rig.browser(rig.console_host).sign_in("ann")
    with rig.world.database.read() as session:
        assert session.get_one(User, caller.user_id).password_last_used == rig.world.clock.now()
