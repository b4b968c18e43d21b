"""What an operation gets, and the ports through which this room reaches the rest.

An operation never sees HTTP. It sees a `Context` (who, where, when, a database session) and its
validated input; it returns its output shape as a mapping, or None.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from sqlalchemy.orm import Session

from emr_studio.clock import Clock
from emr_studio.db import Database

T = TypeVar("T")
ContextValue = str | list[str]


@dataclass(frozen=True)
class Caller:
    """Who calls: the outcome of authentication.

    `kind` is `root`, `user`, `role-session`, `federated-user` or `service`. `arn` is what requests
    and messages show (an `sts` ARN for a role session), `principal_arn` what `aws:PrincipalArn`
    holds, `user_id` what `aws:userid` holds (iam.md section 3).
    """

    account_id: str
    kind: str
    arn: str
    principal_arn: str
    user_id: str
    user_name: str | None = None
    role_name: str | None = None
    session_name: str | None = None
    access_key_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    token_issued_at: dt.datetime | None = None
    session_policies: tuple[str, ...] = ()
    source_identity: str | None = None
    console: bool = False
    transitive_tags: tuple[str, ...] = ()
    """Keys of the session's tags that pass down a chain of roles."""
    mfa_at: dt.datetime | None = None
    """When a one-time code was shown, if it was: `aws:MultiFactorAuthPresent` and `…Age`."""
    session_keys: Mapping[str, ContextValue] = field(default_factory=dict)
    """Condition keys that the session was made with (`aws:FederatedProvider`, `saml:…`, `ISSUER:sub`)."""
    federating_user: str | None = None
    """Unique id of the user (the account's id for root) whose `GetFederationToken` made the session."""
    federating_user_arn: str | None = None


@dataclass(frozen=True)
class Check:
    """One question to IAM: may the caller do `action` on `resource`?

    `context` holds the service's own condition keys, `aws:ResourceTag/…` and `aws:RequestTag/…`
    among them; the global keys (time, address, principal) are added by the authoriser. Whose the
    resource is: `aws:ResourceAccount` in `context`, else the account in the ARN, else the caller's.
    """

    action: str
    resource: str = "*"
    context: Mapping[str, ContextValue] = field(default_factory=dict)
    resource_policy: str | None = None
    """Text of the policy attached to the resource (a bucket's, a secret's, a key's); a role's trust
    policy is found by the authoriser itself."""


@dataclass(frozen=True)
class RequestInfo:
    """What a policy or the trail may ask about the request itself."""

    source_ip: str = "127.0.0.1"
    user_agent: str = ""
    secure: bool = False
    host: str = ""


@dataclass(frozen=True)
class Preparation:
    """What an operation's `prepare` has: it runs first, in no transaction, so it may wait for a network.

    Transactions that it needs are its own, and stay whatever becomes of the operation.
    """

    caller: Caller
    database: Database
    clock: Clock
    ports: Mapping[type[Any], Any]


class Authorizer(Protocol):
    """Decides; implemented by `emr_studio.iam`."""

    def authorize(self, context: Context, check: Check) -> None:
        """Return if allowed.

        Raises:
            AccessDenied: with AWS's message, naming action, resource and the kind of policy.
        """
        ...


@dataclass
class Context:
    """All that an operation may use besides its input."""

    caller: Caller
    region: str
    session: Session
    clock: Clock
    request_id: str
    request: RequestInfo
    authorizer: Authorizer
    ports: Mapping[type[Any], Any] = field(default_factory=dict)
    prepared: Any = None
    """What the operation's `prepare` brought."""
    _after_commit: list[Callable[[], None]] = field(default_factory=list)

    @property
    def account_id(self) -> str:
        return self.caller.account_id

    def now(self) -> dt.datetime:
        """The time of this request."""
        return self.clock.now()

    def authorize(self, check: Check) -> None:
        """Ask IAM one more question in the middle of an operation (`iam:PassRole`).

        Raises:
            AccessDenied: if the caller may not.
        """
        self.authorizer.authorize(self, check)

    def port(self, kind: type[T]) -> T:
        """Return what the composition (`app.py`) registered for the protocol `kind`.

        Raises:
            LookupError: if nothing was registered: a fault of the composition.
        """
        try:
            found: T = self.ports[kind]
        except KeyError:
            raise LookupError(f"no port {kind.__name__} was registered in app.py") from None
        return found

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run `action` once the transaction is committed (wake a controller, say); never if it fails."""
        self._after_commit.append(action)

    def run_after_commit(self) -> None:
        """Called by the pipeline after the commit."""
        for action in self._after_commit:
            action()
