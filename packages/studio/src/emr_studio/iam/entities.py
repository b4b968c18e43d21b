"""Look-ups of entities, with AWS's messages for those that are not there."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from emr_studio.iam import managed
from emr_studio.iam.errors import NoSuchEntity, RoleNotFound
from emr_studio.iam.model import (
    Account,
    Attachment,
    Group,
    GroupMember,
    InlinePolicy,
    InstanceProfile,
    Policy,
    PolicyVersion,
    Role,
    ServerCertificate,
    User,
)

EntityType = TypeVar("EntityType", User, Group, Role, InstanceProfile, Policy, ServerCertificate)


def get_account(session: Session, account_id: str) -> Account:
    """The account; every caller has one.

    Raises:
        NoSuchEntity: if it was never made.
    """
    account = session.get(Account, account_id)
    if account is None:
        raise NoSuchEntity(f"The account {account_id} cannot be found.")
    return account


def find_by_name(session: Session, table: type[EntityType], account_id: str, name: str) -> EntityType | None:
    """An entity by its name, case-sensitively."""
    row = session.scalars(select(table).where(table.account_id == account_id, table.name_key == name.lower())).first()
    return row if row is not None and row.name == name else None


def find_by_arn(session: Session, table: type[EntityType], arn: str) -> EntityType | None:
    """An entity of any account by its exact ARN."""
    return session.scalars(select(table).where(table.arn == arn)).first()


def name_is_taken(
    session: Session,
    table: type[User | Group | Role | InstanceProfile | Policy | ServerCertificate],
    account_id: str,
    name: str,
) -> bool:
    """True if an entity has this name, ignoring case."""
    query = select(table.id).where(table.account_id == account_id, table.name_key == name.lower())
    return session.scalars(query).first() is not None


def get_user(session: Session, account_id: str, name: str) -> User:
    """Raises NoSuchEntity."""
    user = find_by_name(session, User, account_id, name)
    if user is None:
        raise NoSuchEntity(f"The user with name {name} cannot be found.")
    return user


def get_group(session: Session, account_id: str, name: str) -> Group:
    """Raises NoSuchEntity."""
    group = find_by_name(session, Group, account_id, name)
    if group is None:
        raise NoSuchEntity(f"The group with name {name} cannot be found.")
    return group


def get_role(session: Session, account_id: str, name: str) -> Role:
    """Raises NoSuchEntity."""
    role = find_by_name(session, Role, account_id, name)
    if role is None:
        raise NoSuchEntity(f"The role with name {name} cannot be found.")
    return role


def get_instance_profile(session: Session, account_id: str, name: str) -> InstanceProfile:
    """Raises NoSuchEntity."""
    profile = find_by_name(session, InstanceProfile, account_id, name)
    if profile is None:
        raise NoSuchEntity(f"Instance Profile {name} cannot be found.")
    return profile


def find_role_by_arn(session: Session, arn: str) -> Role | None:
    """A role of any account by its exact ARN."""
    return session.scalars(select(Role).where(Role.arn == arn)).first()


def resolve_role(session: Session, account_id: str, name_or_arn: str) -> Role:
    """A role of this account by name or ARN, as EMR's parameters take it.

    Raises:
        RoleNotFound: also for an ARN of another account.
    """
    if name_or_arn.startswith("arn:"):
        role = find_role_by_arn(session, name_or_arn)
        if role is None or role.account_id != account_id:
            raise RoleNotFound(name_or_arn)
        return role
    role = find_by_name(session, Role, account_id, name_or_arn.rsplit("/", 1)[-1])
    if role is None:
        raise RoleNotFound(name_or_arn)
    return role


def role_arn(account: Account, name_or_arn: str) -> str:
    """The ARN that a name would have at the path `/`; an ARN stays."""
    if name_or_arn.startswith("arn:"):
        return name_or_arn
    return f"arn:{account.partition}:iam::{account.account_id}:role/{name_or_arn}"


def find_policy(session: Session, account_id: str, arn: str) -> Policy | None:
    """A customer managed policy of this account by ARN."""
    return session.scalars(select(Policy).where(Policy.arn == arn, Policy.account_id == account_id)).first()


def policy_text(session: Session, account_id: str, arn: str) -> str | None:
    """The default version's text of a managed policy, ours or AWS's; None if there is none."""
    if aws_policy := managed.find(arn):
        return aws_policy.document
    policy = find_policy(session, account_id, arn)
    if policy is None:
        return None
    version = session.get(PolicyVersion, (policy.id, policy.default_version))
    return version.document if version else None


def attachments(session: Session, entity_id: str) -> list[Attachment]:
    """Managed policies attached to an entity."""
    query = select(Attachment).where(Attachment.entity_id == entity_id).order_by(Attachment.policy_arn)
    return list(session.scalars(query))


def inline_policies(session: Session, entity_id: str) -> list[InlinePolicy]:
    """Policies that are part of an entity."""
    query = select(InlinePolicy).where(InlinePolicy.entity_id == entity_id).order_by(InlinePolicy.name)
    return list(session.scalars(query))


def groups_of(session: Session, user_id: str) -> list[Group]:
    """Groups of a user."""
    query = select(Group).join(GroupMember, GroupMember.group_id == Group.id).where(GroupMember.user_id == user_id)
    return list(session.scalars(query.order_by(Group.name_key)))
