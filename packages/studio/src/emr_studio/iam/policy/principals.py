"""Who calls, and how a `Principal` element names them (spec: IAM evaluation, sections 3 and 8)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_ACCOUNT_ID = re.compile(r"\d{12}")
_ROOT_ARN = re.compile(r"arn:[^:]+:iam::(\d{12}):root")
_SESSION_ARN = re.compile(r"arn:([^:]+):sts::(\d{12}):assumed-role/([^/]+)/(.+)")
_UNIQUE_ID = re.compile(r"A[A-Z]{3}[A-Z0-9]{12,124}")

ROOT: Final = "root"
USER: Final = "user"
ROLE_SESSION: Final = "role-session"
FEDERATED_USER: Final = "federated-user"
SERVICE: Final = "service"
SAML: Final = "saml"
WEB_IDENTITY: Final = "web-identity"
ANONYMOUS: Final = "anonymous"
KINDS: Final = frozenset({ROOT, USER, ROLE_SESSION, FEDERATED_USER, SERVICE, SAML, WEB_IDENTITY, ANONYMOUS})
ACCOUNTLESS: Final = frozenset({SERVICE, SAML, WEB_IDENTITY, ANONYMOUS})
"""For these only the resource (trust) policy speaks."""


class Naming(IntEnum):
    """How closely a statement names the caller."""

    NOT = 0
    ACCOUNT = 1
    """By the account: no grant by itself."""
    BEHIND = 2
    """By the role of a session, or the user of a federated user."""
    DIRECT = 3
    """By the caller's own ARN, or `*`."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller. `arn` is the session's ARN for sessions, the provider's or the service's name otherwise."""

    kind: str
    arn: str
    account: str = ""
    role_arn: str | None = None
    user_arn: str | None = None
    user_id: str | None = None

    @property
    def behind(self) -> str | None:
        """ARN of the role of a session, of the user of a federated user."""
        if self.kind == FEDERATED_USER:
            return self.user_arn
        if self.kind != ROLE_SESSION:
            return None
        return self.role_arn or _role_of_session(self.arn)


class PrincipalSet:
    """The principals that one statement lists."""

    __slots__ = ("_accounts", "_anyone", "_aws", "_federated", "_ids", "_services")

    def __init__(self, entries: Iterable[tuple[str, str]]) -> None:
        entries = tuple(entries)
        aws = {name for kind, name in entries if kind == "AWS"}
        self._services = frozenset(name for kind, name in entries if kind == "Service")
        self._federated = frozenset(name for kind, name in entries if kind == "Federated")
        self._anyone = "*" in aws
        self._accounts = frozenset(account for account in map(_account, aws) if account)
        self._ids = frozenset(name for name in aws if _UNIQUE_ID.fullmatch(name))
        self._aws = frozenset(aws)

    def naming(self, principal: Principal) -> Naming:
        """Return how closely the list names `principal`."""
        if self._anyone or principal.arn in self._own_names(principal.kind):
            return Naming.DIRECT
        if principal.kind in ACCOUNTLESS:
            return Naming.NOT
        return self._by_account_names(principal)

    def exempts(self, principal: Principal, *, has_boundary: bool) -> bool:
        """True if a Deny with `NotPrincipal` of this list spares `principal`.

        A principal with a boundary is never spared; listing the account spares the root user only.
        """
        if has_boundary:
            return False
        if principal.kind == ROOT and principal.account in self._accounts:
            return True
        return self.naming(principal) is Naming.DIRECT

    def _own_names(self, kind: str) -> frozenset[str]:
        if kind in ACCOUNTLESS:
            return {SERVICE: self._services, ANONYMOUS: frozenset[str]()}.get(kind, self._federated)
        return self._aws

    def _by_account_names(self, principal: Principal) -> Naming:
        behind = principal.behind
        if behind is not None and behind in self._aws:
            return Naming.BEHIND
        # A session that a trust policy names is kept as `role's id:session name`.
        if principal.user_id is not None and principal.user_id in self._aws:
            return Naming.DIRECT
        if self._ids and principal.user_id:
            unique_id, _, session = principal.user_id.partition(":")
            if unique_id in self._ids:
                return Naming.BEHIND if session else Naming.DIRECT
        return Naming.ACCOUNT if principal.account in self._accounts else Naming.NOT


def _account(name: str) -> str | None:
    """The account that `name` (account id or root ARN) stands for."""
    if _ACCOUNT_ID.fullmatch(name):
        return name
    found = _ROOT_ARN.fullmatch(name)
    return found[1] if found else None


def _role_of_session(arn: str) -> str | None:
    found = _SESSION_ARN.fullmatch(arn)
    return f"arn:{found[1]}:iam::{found[2]}:role/{found[3]}" if found else None
