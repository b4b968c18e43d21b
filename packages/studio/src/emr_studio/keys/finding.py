"""Keys by all that AWS takes for a KeyId: id, key ARN, alias name, alias ARN."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from emr_studio.keys.errors import Disabled, InvalidState, NotFound
from emr_studio.keys.model import KeyState, KmsAlias, KmsKey, kms_arn

_ARN = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):(?P<kind>key|alias)/(?P<name>.+)")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ALIAS = "alias/"


@dataclass(frozen=True)
class FoundKey:
    """A key, and the alias by which it was asked for (empty if by none)."""

    key: KmsKey
    alias: str = ""


def find_key(session: Session, account_id: str, region: str, key_id: str, *, aliases: bool = True) -> FoundKey:
    """Find a key; by ARN also one of another account. `aliases`: whether it may be named by an alias.

    Raises:
        NotFound: in AWS's words for each form.
    """
    if arn := _ARN.fullmatch(key_id):
        account_id, name = arn["account"], arn["name"]
        if arn["kind"] == "alias":
            name = ALIAS + name
        if arn["region"] != region:
            raise NotFound(f"Invalid arn {arn['region']}")
    else:
        name = key_id
    if name.startswith(ALIAS):
        if not aliases:
            raise NotFound(f"Invalid keyId '{key_id}'")
        return _by_alias(session, account_id, region, name)
    if not _UUID.fullmatch(name):
        raise NotFound(f"Invalid keyId '{key_id}'")
    key = session.get(KmsKey, name)
    if key is None or (key.account_id, key.region) != (account_id, region):
        raise NotFound(f"Key '{kms_arn(region, account_id, f'key/{name}')}' does not exist")
    return FoundKey(key)


def _by_alias(session: Session, account_id: str, region: str, name: str) -> FoundKey:
    alias = session.get(KmsAlias, (account_id, region, name))
    key = session.get(KmsKey, alias.key_id) if alias else None
    if key is None:
        raise NotFound(f"Alias {kms_arn(region, account_id, name)} is not found.")
    return FoundKey(key, name)


def usable(key: KmsKey) -> KmsKey:
    """Return the key if data may be sealed and opened with it now.

    Raises:
        Disabled, InvalidState
    """
    not_pending(key)
    if key.state is KeyState.DISABLED:
        raise Disabled(key.arn)
    return key


def not_pending(key: KmsKey) -> KmsKey:
    """Return the key unless it waits for its deletion.

    Raises:
        InvalidState
    """
    if key.state is KeyState.PENDING_DELETION:
        raise InvalidState(f"{key.arn} is pending deletion.")
    return key


def alias_names(session: Session, key: KmsKey) -> list[str]:
    """The names of a key's aliases."""
    return list(session.scalars(select(KmsAlias.name).where(KmsAlias.key_id == key.id)))
