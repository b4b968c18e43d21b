"""The account's password policy at work: strength, reuse, age, and who may change his own.

No policy of the account's own: AWS's default, under which passwords never expire.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import Enum
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from emr_studio.aws.context import Caller, Check
from emr_studio.aws.errors import AccessDenied
from emr_studio.iam import denial, passwords, writing
from emr_studio.iam.condition_keys import Circumstances
from emr_studio.iam.decisions import decide
from emr_studio.iam.errors import PasswordPolicyViolation
from emr_studio.iam.model import AccountSettings, LoginProfile, PasswordRecord, User
from emr_studio.iam.policy import EXPLICITLY_DENIED


class PasswordState(Enum):
    """What a right password is worth."""

    GOOD = "good"
    MUST_CHANGE = "must change"
    """An administrator said so, or it is too old."""
    EXPIRED = "expired"
    """Too old, and the policy says that only an administrator sets a new one."""


def policy_of(session: Session, account_id: str) -> Mapping[str, Any] | None:
    """The account's own policy, with the members of IAM's shape."""
    settings = session.get(AccountSettings, account_id)
    return settings.password_policy if settings else None


def check(session: Session, account_id: str, owner_id: str | None, password: str) -> None:
    """Whether this may be the password of `owner_id` (None: somebody who has had none).

    Raises:
        PasswordPolicyViolation: too weak, or used before.
    """
    policy = policy_of(session, account_id)
    passwords.check_policy(password, policy)
    remembered = int((policy or {}).get("PasswordReusePrevention") or 0)
    if owner_id is None or not remembered:
        return
    query = select(PasswordRecord.password_hash).where(PasswordRecord.owner_id == owner_id)
    for used in session.scalars(query.order_by(PasswordRecord.number.desc()).limit(remembered)):
        if passwords.verify(used, password):
            raise PasswordPolicyViolation(
                f"Password was used before: the last {remembered} passwords must not be used again"
            )


def changed_at(session: Session, profile: LoginProfile) -> dt.datetime:
    """When the password was set."""
    query = select(PasswordRecord.set_at).where(PasswordRecord.owner_id == profile.owner_id)
    return session.scalars(query.order_by(PasswordRecord.number.desc())).first() or profile.created_at


def expires_at(session: Session, account_id: str, profile: LoginProfile) -> dt.datetime | None:
    """When the password will be too old; None: never. Root's never is."""
    days = (policy_of(session, account_id) or {}).get("MaxPasswordAge")
    if not days or profile.owner_id == account_id:
        return None
    return changed_at(session, profile) + dt.timedelta(days=int(days))


def state(session: Session, caller: Caller, now: dt.datetime) -> PasswordState:
    """The state of the password with which a user or root signed in just now."""
    profile = session.get(LoginProfile, caller.user_id)
    if profile is None:
        return PasswordState.GOOD
    end = expires_at(session, caller.account_id, profile)
    if end is not None and now >= end:
        hard = (policy_of(session, caller.account_id) or {}).get("HardExpiry")
        return PasswordState.EXPIRED if hard else PasswordState.MUST_CHANGE
    return PasswordState.MUST_CHANGE if profile.reset_required else PasswordState.GOOD


def refuse_change(session: Session, caller: Caller, check: Check, circumstances: Circumstances) -> None:
    """Whether a user may change his own password: by `iam:ChangePassword`, or because the policy lets all do it.

    Raises:
        AccessDenied: he may not. An explicit Deny counts whatever the policy says.
    """
    if caller.kind == "root":
        return
    decision = decide(session, caller, check, circumstances)
    everybody = (policy_of(session, caller.account_id) or {}).get("AllowUsersToChangePassword")
    if decision.allowed or (everybody and decision.outcome != EXPLICITLY_DENIED):
        return
    raise AccessDenied(denial.message(caller, check, decision))


def set_own(session: Session, caller: Caller, password: str, now: dt.datetime, *, different: bool = False) -> None:
    """Write the new password that a user or root chose; `different` from the present one where that was not enough.

    Raises:
        PasswordPolicyViolation: if it may not be.
    """
    profile = session.get(LoginProfile, caller.user_id)
    if different and profile is not None and passwords.verify(profile.password_hash, password):
        raise PasswordPolicyViolation("The new password must differ from the old one")
    check(session, caller.account_id, caller.user_id, password)
    writing.set_password(session, caller.user_id, password, now)


def note_sign_in(session: Session, caller: Caller, now: dt.datetime) -> None:
    """`PasswordLastUsed`. Written past the unit of work: a use is no change of an identity."""
    if caller.kind == "user":
        session.execute(update(User).where(User.id == caller.user_id).values(password_last_used=now))


def forget(session: Session, owner_id: str) -> None:
    """The user is deleted."""
    session.execute(delete(PasswordRecord).where(PasswordRecord.owner_id == owner_id))
