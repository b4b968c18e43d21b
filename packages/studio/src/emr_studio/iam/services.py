"""What the other domains ask of IAM: roles that services assume or are passed, who signs in.

resolve_role(session, account_id, name_or_arn) -> Role            RoleNotFound
pass_role_check(role_arn, service) -> Check                       for `context.authorize`
assume_for_service(session, role_arn, service, ...) -> Caller     AssumeRoleDenied
denied_checks(session, role_arn, checks, ...) -> list[Check]      would a session of the role be allowed?
grant_role(...) -> token, revoke_grants(session, owner)           container credentials
caller_for_user(session, account_id, user) -> Caller              console sign-in
verify_password(session, account_id, user_name, password)         -> Caller | None
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from emr_studio.aws.context import Caller, Check
from emr_studio.clock import Clock, SystemClock
from emr_studio.iam import entities, passwords
from emr_studio.iam.callers import root_caller, user_caller
from emr_studio.iam.condition_keys import Circumstances
from emr_studio.iam.decisions import decide, decide_for_service
from emr_studio.iam.entities import resolve_role
from emr_studio.iam.errors import AssumeRoleDenied, NoSuchEntity, RoleNotFound
from emr_studio.iam.model import Account, LoginProfile, Role, RoleGrant, User
from emr_studio.iam.sessions import role_caller

__all__ = [
    "assume_for_service",
    "caller_for_root",
    "caller_for_user",
    "denied_checks",
    "find_grant",
    "grant_role",
    "pass_role_check",
    "resolve_role",
    "revoke_grants",
    "role_allows",
    "role_exists",
    "verify_password",
]

ROOT_NAME = "root"
_SYSTEM = SystemClock()


def pass_role_check(role_arn: str, service: str) -> Check:
    """The question whether the caller may hand `role_arn` to `service` (`elasticmapreduce.amazonaws.com`)."""
    return Check("iam:PassRole", role_arn, {"iam:PassedToService": service})


def assume_for_service(
    session: Session,
    role_arn: str,
    service: str,
    source_arn: str,
    session_name: str,
    *,
    clock: Clock = _SYSTEM,
    session_policies: Sequence[str] = (),
) -> Caller:
    """Let a service act as a role; its trust policy must allow the service for this source.

    `source_arn` is the resource on whose behalf (`arn:aws:elasticmapreduce:REGION:ACCT:studio/ID`):
    it becomes `aws:SourceArn`, its account `aws:SourceAccount`.

    Raises:
        AssumeRoleDenied: its message has "entity does not have permissions to assume role".
    """
    parts = source_arn.split(":", 5)
    context = {"aws:SourceArn": source_arn, "aws:SourceAccount": parts[4], "sts:RoleSessionName": session_name}
    role = entities.find_role_by_arn(session, role_arn)
    if role is None:
        raise AssumeRoleDenied(role_arn)
    circumstances = Circumstances(clock.now(), parts[3] or "us-east-1")
    if not decide_for_service(session, service, role_arn, context, circumstances).allowed:
        raise AssumeRoleDenied(role_arn)
    return role_caller(role, session_name, session_policies)


def denied_checks(
    session: Session,
    role_arn: str,
    checks: Sequence[Check],
    *,
    clock: Clock = _SYSTEM,
    region: str = "us-east-1",
    session_name: str = "ElasticMapReduceEditorsSession",
) -> list[Check]:
    """Those of `checks` that a session of the role would be denied; all for a role that is not there."""
    role = entities.find_role_by_arn(session, role_arn)
    if role is None:
        return list(checks)
    caller = role_caller(role, session_name)
    circumstances = Circumstances(clock.now(), region)
    return [check for check in checks if not decide(session, caller, check, circumstances).allowed]


def role_allows(session: Session, clock: Clock, role_arn: str, checks: Sequence[Check]) -> bool:
    """True if a session of the role would be allowed all of `checks`."""
    return not denied_checks(session, role_arn, checks, clock=clock)


def grant_role(
    session: Session,
    *,
    account_id: str,
    role_arn: str,
    session_name: str,
    owner: str,
    session_policy: str | None = None,
    token: str = "",
) -> str:
    """Return a token with which `owner` (a cluster's or editor's id) fetches sessions of the role.

    `token` is one that it has already and that is good for nothing yet; empty: a new one.

    Raises:
        RoleNotFound: if there is no such role in the account.
    """
    role = resolve_role(session, account_id, role_arn)
    token = token or secrets.token_urlsafe(32)
    grant = RoleGrant(
        token_hash=_digest(token),
        account_id=account_id,
        role_arn=role.arn,
        session_name=session_name,
        owner=owner,
        session_policy=session_policy,
    )
    session.add(grant)
    session.flush()
    return token


def revoke_grants(session: Session, owner: str) -> None:
    """End all grants of `owner`, and with them the sessions already fetched."""
    for grant in session.scalars(select(RoleGrant).where(RoleGrant.owner == owner)):
        session.delete(grant)
    session.flush()


def find_grant(session: Session, token: str) -> tuple[RoleGrant, Role] | None:
    """The grant of a token with its role; None if either is gone."""
    grant = session.get(RoleGrant, _digest(token))
    role = entities.find_role_by_arn(session, grant.role_arn) if grant else None
    return (grant, role) if grant and role else None


def caller_for_user(session: Session, account_id: str, name_or_arn: str) -> Caller:
    """A signed-in user as a caller, with the tags as they are now.

    Raises:
        NoSuchEntity: if the user is gone.
    """
    if not name_or_arn.startswith("arn:"):
        return user_caller(entities.get_user(session, account_id, name_or_arn), console=True)
    user = session.scalars(select(User).where(User.arn == name_or_arn, User.account_id == account_id)).first()
    if user is None:
        raise NoSuchEntity(f"The user {name_or_arn} cannot be found.")
    return user_caller(user, console=True)


def caller_for_root(session: Session, account_id: str) -> Caller:
    """The signed-in root user as a caller.

    Raises:
        NoSuchEntity: if there is no such account.
    """
    return root_caller(entities.get_account(session, account_id), console=True)


def verify_password(session: Session, account_id: str, user_name: str, password: str) -> Caller | None:
    """The caller if name and password are right; as slow for unknown users as for known ones."""
    account = session.get(Account, account_id)
    user = entities.find_by_name(session, User, account_id, user_name)
    # The root user signs in with the name `root`, unless a user has taken that name.
    owner_id = user.id if user else account_id if user_name == ROOT_NAME else None
    profile = session.get(LoginProfile, owner_id) if owner_id else None
    right = passwords.verify(profile.password_hash if profile else None, password)
    if not right or account is None:
        return None
    return user_caller(user, console=True) if user else root_caller(account, console=True)


def role_exists(session: Session, account_id: str, name_or_arn: str) -> bool:
    """True if `resolve_role` would find it."""
    try:
        resolve_role(session, account_id, name_or_arn)
    except RoleNotFound:
        return False
    return True


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
