"""The two ports that the pipeline uses: credentials and authorisation.

The hot path of every request. Long-term keys and compiled policies are kept in memory and checked
against the account's generation, one look-up by primary key a transaction.
"""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from sqlalchemy.orm import Session

from emr_studio.aws.auth import Credential, ExpiredToken, InvalidToken, UnknownKey
from emr_studio.aws.context import Caller, Check, Context
from emr_studio.aws.errors import AccessDenied
from emr_studio.bounded import Bounded
from emr_studio.db.known import remembered
from emr_studio.iam import authorization_message, denial, generation, uses
from emr_studio.iam.callers import root_caller, secret_purpose, user_caller
from emr_studio.iam.condition_keys import Circumstances
from emr_studio.iam.decisions import decide
from emr_studio.iam.explaining import explain
from emr_studio.iam.model import AccessKey, Account, RoleGrant, User
from emr_studio.iam.policy import EXPLICITLY_DENIED, Decision
from emr_studio.iam.sealing import BadSeal, Sealer
from emr_studio.iam.sessions import Claims, caller_of, read_token
from emr_studio.iam.settled import is_settled, settle, subject_alone
from emr_studio.iam.subjects import find_subject, session_policy_texts

_REMEMBERED = 10_000
_USER_SESSION_STS = ("sts:assumerole", "sts:tagsession", "sts:setsourceidentity", "sts:getcalleridentity")


class _Known(NamedTuple):
    account_id: str
    generation: int
    credential: Credential


class IamCredentialStore:
    """Finds who an access key belongs to (`aws.auth.CredentialStore`)."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._known: Bounded[str, _Known] = Bounded(_REMEMBERED)

    def find(self, session: Session, access_key_id: str, session_token: str | None, now: dt.datetime) -> Credential:
        """Return caller and secret.

        Raises:
            UnknownKey: no such key, or it is inactive.
            InvalidToken: the session token is missing, not ours, of another key, or its role is gone.
            ExpiredToken: the session has ended.
        """
        if access_key_id.startswith("ASIA"):
            return self._temporary(session, access_key_id, session_token, now)
        if session_token:
            raise InvalidToken
        known = self._known.get(access_key_id)
        if known is not None and generation.current(session, known.account_id) == known.generation:
            return known.credential
        return self._long_term(session, access_key_id)

    def _temporary(self, session: Session, access_key_id: str, token: str | None, now: dt.datetime) -> Credential:
        try:
            claims = read_token(self._sealer, token or "")
        except BadSeal:
            raise InvalidToken from None
        if claims.key != access_key_id:
            raise InvalidToken(claims.account)
        if now.timestamp() >= claims.expires or not _is_granted(session, claims):
            raise ExpiredToken(claims.account)
        return remembered(session, ("session", token), lambda: _credential_of(session, claims))

    def _long_term(self, session: Session, access_key_id: str) -> Credential:
        key = session.get(AccessKey, access_key_id)
        if key is None or key.status != "Active":
            self._known.pop(access_key_id, None)
            raise UnknownKey(key.account_id if key else "")
        secret = self._sealer.open(key.sealed_secret, secret_purpose(key.id)).decode()
        credential = Credential(key.id, secret, _caller_of_key(session, key))
        self._known[access_key_id] = _Known(key.account_id, generation.current(session, key.account_id), credential)
        return credential


def _credential_of(session: Session, claims: Claims) -> Credential:
    subject = find_subject(session, claims.account, claims.entity_id)
    if subject is None:
        raise InvalidToken(claims.account)
    policies = session_policy_texts(session, claims.account, claims.policies)
    expires = dt.datetime.fromtimestamp(claims.expires, dt.UTC)
    return Credential(claims.key, claims.secret, caller_of(claims, subject.tags, policies), expires)


def _is_granted(session: Session, claims: Claims) -> bool:
    """Credentials of a cluster or Workspace end with it, whatever time they had left."""
    if (grant := claims.grant) is None:
        return True
    return remembered(session, ("grant", grant), lambda: session.get(RoleGrant, grant) is not None)


class IamAuthorizer:
    """Decides by IAM's policies (`aws.context.Authorizer`).

    With a sealer a denial carries its explanation, sealed.
    """

    def __init__(self, sealer: Sealer | None = None) -> None:
        self._sealer = sealer

    def authorize(self, context: Context, check: Check) -> None:
        """Return if allowed.

        Raises:
            AccessDenied: with AWS's message.
            InvalidToken: IAM takes no such temporary credentials.
        """
        caller = context.caller
        if caller.access_key_id is not None:
            service = check.action.partition(":")[0]
            uses.note(caller, uses.Use(context.now(), service, context.region))
        limited = _is_limited(caller, check)
        if limited and check.action[:4].lower() == "iam:":
            raise InvalidToken(caller.account_id)  # IAM's own words for temporary credentials of users
        alone = None if limited else subject_alone(context.session, caller, check)
        if alone is not None and is_settled(alone, check):
            return
        decision = _decide(context, check, _circumstances(context))
        if not decision.allowed:
            raise AccessDenied(denial.message(caller, check, decision), self._details(context, check, decision))
        if alone is not None:
            settle(alone, check)

    def decide(self, context: Context, check: Check, *, trace: bool = False) -> Decision:
        """The decision itself, for those who explain it."""
        return _decide(context, check, _circumstances(context), trace=trace)

    def _details(self, context: Context, check: Check, decision: Decision) -> str | None:
        if self._sealer is None:
            return None
        if decision.by:  # an explicit deny: now all statements that denied, not the first alone
            decision = self.decide(context, check, trace=True)
        explanation = explain(context.session, context.caller, check, decision, _circumstances(context))
        return authorization_message.encode(self._sealer, context.account_id, explanation)


def _decide(context: Context, check: Check, circumstances: Circumstances, *, trace: bool = False) -> Decision:
    if _is_limited(context.caller, check):
        return Decision(EXPLICITLY_DENIED, "session")
    return decide(context.session, context.caller, check, circumstances, trace=trace)


def _circumstances(context: Context) -> Circumstances:
    return Circumstances(context.now(), context.region, context.request)


def _is_limited(caller: Caller, check: Check) -> bool:
    """What temporary credentials of users and root are good for, whatever their policies say.

    Those of `GetSessionToken` call of STS two operations, and no IAM unless they came with an MFA code;
    those of `GetFederationToken` no IAM at all, and of STS `GetCallerIdentity`.
    """
    if caller.token_issued_at is None or caller.kind not in ("user", "root", "federated-user"):
        return False
    service, _, _ = (action := check.action.lower()).partition(":")
    federated = caller.kind == "federated-user"
    if service == "iam":  # of its API: to hand over a role (`iam:PassRole`) is a permission of other services' calls
        return action != "iam:passrole" and (federated or caller.mfa_at is None)
    return service == "sts" and (federated or action not in _USER_SESSION_STS)


def _caller_of_key(session: Session, key: AccessKey) -> Caller:
    if key.user_id is None:
        account = session.get_one(Account, key.account_id)
        return root_caller(account, access_key_id=key.id)
    return user_caller(session.get_one(User, key.user_id), access_key_id=key.id)
