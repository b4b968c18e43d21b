"""What the other rooms ask of KMS: keys on behalf of somebody, through a service, with IAM asked first.

service_key(context, key_id, service) -> FoundKey        the named key, or the account's `alias/aws/<service>`
data_check(...) -> Check                                 "may she kms:Decrypt with it, through S3?"
seal(context, ...), open_(context, ...)                  with the question asked
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from sqlalchemy.orm import Session

from emr_studio.aws.context import Check, Context
from emr_studio.keys.authorization import encryption_context_keys, key_check
from emr_studio.keys.errors import NotFound
from emr_studio.keys.finding import ALIAS, FoundKey, find_key, usable
from emr_studio.keys.making import new_alias, new_key
from emr_studio.keys.model import KmsKey
from emr_studio.keys.policies import managed_policy
from emr_studio.keys.ring import KeyRing, read_header

_DESCRIPTIONS = {
    "s3": "Default key that protects my S3 objects when no other key is defined",
    "secretsmanager": "Default key that protects my Secrets Manager data when no other key is defined",
}
NO_CONTEXT: Mapping[str, str] = {}


def managed_alias(service: str) -> str:
    """`alias/aws/<service>`."""
    return f"{ALIAS}aws/{service}"


def ensure_managed_key(
    session: Session, ring: KeyRing, account_id: str, service: str, *, region: str, now: dt.datetime
) -> FoundKey:
    """The account's own key for a service; made at its first use, in a session that writes."""
    name = managed_alias(service)
    try:
        return find_key(session, account_id, region, name)
    except NotFound:
        policy = managed_policy(account_id, region, service)
        key = new_key(session, ring, account_id=account_id, region=region, policy=policy, now=now)
        key.description, key.manager = _DESCRIPTIONS[service], "AWS"
        # AWS's own keys rotate each year.
        key.rotation_days, key.next_rotation = 365, now + dt.timedelta(days=365)
        new_alias(session, key, name, now)
        return FoundKey(key, name)


def service_key(context: Context, key_id: str | None, service: str) -> FoundKey:
    """The key that a request names for a service's data, else the account's own for that service.

    Raises:
        NotFound
    """
    if not key_id or key_id == managed_alias(service):
        ring, now = context.port(KeyRing), context.now()
        return ensure_managed_key(context.session, ring, context.account_id, service, region=context.region, now=now)
    return find_key(context.session, context.account_id, context.region, key_id)


def data_check(
    session: Session,
    caller_account: str,
    found: FoundKey,
    action: str,
    *,
    service: str,
    pairs: Mapping[str, str] = NO_CONTEXT,
) -> Check:
    """The question whether the caller may do `kms:<action>` with a key through a service (`s3`).

    `pairs` is the encryption context with which the service uses the key.
    """
    via = {"kms:ViaService": f"{service}.{found.key.region}.amazonaws.com", "aws:ViaAWSService": "true"}
    return key_check(session, caller_account, found, action, {**encryption_context_keys(pairs), **via})


def seal(context: Context, found: FoundKey, data: bytes, *, service: str, pairs: Mapping[str, str]) -> bytes:
    """Seal a service's data for the caller, who must be allowed to GenerateDataKey and to Decrypt.

    Raises:
        AccessDenied, Disabled, InvalidState
    """
    for action in ("GenerateDataKey", "Decrypt"):
        check = data_check(context.session, context.account_id, found, action, service=service, pairs=pairs)
        context.authorize(check)
    return context.port(KeyRing).seal(context.session, usable(found.key), data, pairs)


def open_(context: Context, sealed: bytes, *, service: str, pairs: Mapping[str, str]) -> bytes:
    """Open a service's data for the caller, who must be allowed to Decrypt.

    Raises:
        AccessDenied, Disabled, InvalidState, InvalidCiphertext, NotFound
    """
    key = context.session.get(KmsKey, read_header(sealed).key_id)
    if key is None:
        raise NotFound(f"Key '{read_header(sealed).key_id}' does not exist")
    found = FoundKey(key)
    context.authorize(data_check(context.session, context.account_id, found, "Decrypt", service=service, pairs=pairs))
    usable(key)
    return context.port(KeyRing).open(context.session, sealed, pairs)
