"""The sample world of a new account: root, an administrator, an analyst, the roles that EMR needs.

`ensure_account` may be called at every start: what is there stays as it is. The first passwords are
derived from the master key, so they can be told again as long as nobody changed them.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from emr_studio.clock import Clock
from emr_studio.iam import entities, writing
from emr_studio.iam.bootstrap_policies import analyst_policy, service_role_policy, trust_policy
from emr_studio.iam.callers import secret_purpose
from emr_studio.iam.model import AccessKey, Account, InstanceProfile, LoginProfile, Policy, Role, User
from emr_studio.iam.nodes_policy import nodes_policy
from emr_studio.iam.sealing import Sealer
from emr_studio.iam.tiers import TIERS, Place, tier
from emr_studio.settings import Settings

ADMIN, ANALYST = "admin", "analyst"
SERVICE_ROLE = "EMRStudio_ServiceRole"
USER_ROLE = "EMRStudio_UserRole"
EMR_ROLE = "EMR_DefaultRole_V2"
EC2_ROLE = "EMR_EC2_DefaultRole"
ANALYST_POLICY = "EMRStudio_AnalystPolicy"
TIER_POLICIES = {name: f"EMRStudio_{name.title().replace('-', '_')}_User_Policy" for name in TIERS}
_EMR, _EC2 = "elasticmapreduce.amazonaws.com", "ec2.amazonaws.com"
_MANAGED_TAG = {"for-use-with-amazon-emr-managed-policies": "true"}
_ALPHABET = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True)
class Person:
    """A user with what she signs in with. The key's fields are empty if it was deleted since."""

    user_name: str
    password: str
    access_key_id: str
    secret_access_key: str


@dataclass(frozen=True)
class SampleWorld:
    """What `ensure_account` made or found."""

    account_id: str
    root_password: str
    admin: Person
    analyst: Person
    service_role_arn: str
    user_role_arn: str
    emr_role_arn: str
    instance_profile_arn: str


def bucket_name(settings: Settings) -> str:
    """The sample bucket."""
    return f"emr-studio-{settings.account_id}-{settings.region}"


def ensure_account(session: Session, settings: Settings, clock: Clock) -> SampleWorld:
    """Make the account of the settings and its sample world, or find it. The caller commits."""
    return _Maker(session, settings, clock.now()).make()


def create_account(
    session: Session, sealer: Sealer, account_id: str, partition: str, now: dt.datetime
) -> tuple[Account, AccessKey, str]:
    """Make an empty account; returns it with root's access key and its secret."""
    account = Account(account_id=account_id, partition=partition, created_at=now)
    session.add(account)
    session.flush()
    key, secret = writing.new_access_key(session, sealer, account_id, None, now)
    return account, key, secret


class _Maker:
    """Makes what is missing."""

    def __init__(self, session: Session, settings: Settings, now: dt.datetime) -> None:
        self._session = session
        self._settings = settings
        self._now = now
        self._sealer = Sealer.load(settings.keys_dir)
        self._account = self._ensure_account()

    def make(self) -> SampleWorld:
        service_role = self._service_role()
        user_role = self._role(USER_ROLE, _EMR)
        emr_role = self._role(EMR_ROLE, _EMR, "service-role/AmazonEMRServicePolicy_v2")
        profile = self._instance_profile(self._nodes_role())
        return SampleWorld(
            account_id=self._account.account_id,
            root_password=self._root(),
            admin=self._person(ADMIN, self._managed("AdministratorAccess")),
            analyst=self._person(ANALYST, *self._tiers(), self._analyst_policy()),
            service_role_arn=service_role.arn,
            user_role_arn=user_role.arn,
            emr_role_arn=emr_role.arn,
            instance_profile_arn=profile.arn,
        )

    def _ensure_account(self) -> Account:
        account = self._session.get(Account, self._settings.account_id)
        if account is None:
            account = Account(
                account_id=self._settings.account_id, partition=self._settings.partition, created_at=self._now
            )
            self._session.add(account)
            self._session.flush()
        return account

    def _managed(self, name: str) -> str:
        return f"arn:{self._account.partition}:iam::aws:policy/{name}"

    def _password(self, name: str) -> str:
        """Readable, of three kinds of characters, the same each time."""
        data = self._sealer.derive(f"iam:first-password:{self._account.account_id}:{name}")
        letters = "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in data[:15])
        return f"{letters[:5]}-{letters[5:10]}-{letters[10:]}aA2"

    def _root(self) -> str:
        password = self._password("root")
        if self._session.get(LoginProfile, self._account.account_id) is None:
            writing.set_password(self._session, self._account.account_id, password, self._now)
        return password

    def _person(self, name: str, *policy_arns: str) -> Person:
        session, account_id = self._session, self._account.account_id
        password = self._password(name)
        user = entities.find_by_name(session, User, account_id, name)
        if user is None:
            user = writing.new_user(session, self._account, name, self._now, tags={})
            writing.set_password(session, user.id, password, self._now)
            for policy_arn in policy_arns:
                writing.attach(session, account_id, user.id, policy_arn, self._now)
            key, secret = writing.new_access_key(session, self._sealer, account_id, user.id, self._now)
            return Person(name, password, key.id, secret)
        query = select(AccessKey).where(AccessKey.user_id == user.id).order_by(AccessKey.created_at, AccessKey.id)
        found = session.scalars(query).first()
        if found is None:
            return Person(name, password, "", "")
        secret = self._sealer.open(found.sealed_secret, secret_purpose(found.id)).decode()
        return Person(name, password, found.id, secret)

    def _role(self, name: str, service: str, managed: str | None = None) -> Role:
        session, account = self._session, self._account
        role = entities.find_by_name(session, Role, account.account_id, name)
        if role is None:
            trust = json.dumps(trust_policy(service, account.account_id, account.partition))
            role = writing.new_role(session, account, name, trust, self._now, tags=_MANAGED_TAG)
            if managed:
                writing.attach(session, account.account_id, role.id, self._managed(managed), self._now)
        return role

    def _service_role(self) -> Role:
        account_id = self._account.account_id
        existed = entities.find_by_name(self._session, Role, account_id, SERVICE_ROLE) is not None
        role = self._role(SERVICE_ROLE, _EMR)
        if not existed:
            document = json.dumps(service_role_policy(bucket_name(self._settings), self._account.partition))
            writing.put_inline(self._session, account_id, role.id, "EMRStudioServiceRolePolicy", document)
        return role

    def _nodes_role(self) -> Role:
        account = self._account
        existed = entities.find_by_name(self._session, Role, account.account_id, EC2_ROLE) is not None
        role = self._role(EC2_ROLE, _EC2)
        if not existed:
            policy = nodes_policy(bucket_name(self._settings), account.account_id, account.partition)
            writing.put_inline(self._session, account.account_id, role.id, "EMRStudioNodesPolicy", json.dumps(policy))
        return role

    def _instance_profile(self, role: Role) -> InstanceProfile:
        session = self._session
        profile = entities.find_by_name(session, InstanceProfile, role.account_id, EC2_ROLE)
        if profile is None:
            profile = writing.new_instance_profile(session, self._account, EC2_ROLE, self._now, tags={})
            profile.role_id = role.id
            session.flush()
        return profile

    def _tiers(self) -> list[str]:
        """The policies of the user tiers, for administrators to give; returns that of the analyst's."""
        place = Place(
            self._account.account_id,
            self._account.partition,
            service_role=SERVICE_ROLE,
            cluster_roles=(EMR_ROLE, EC2_ROLE),
            bucket=bucket_name(self._settings),
        )
        made = {name: self._policy(TIER_POLICIES[name], tier(name, place)) for name in TIERS}
        return [made["advanced"]]

    def _analyst_policy(self) -> str:
        account = self._account
        document = analyst_policy(account.account_id, account.partition, bucket_name(self._settings))
        return self._policy(ANALYST_POLICY, document)

    def _policy(self, name: str, document: Mapping[str, Any]) -> str:
        """A managed policy of the account by its name; the ARN of the one that is there if there is."""
        session, account = self._session, self._account
        policy = entities.find_by_name(session, Policy, account.account_id, name)
        if policy is None:
            text = json.dumps(document, indent=2)
            policy = writing.new_policy(session, account, name, text, self._now, tags={})
        return policy.arn
