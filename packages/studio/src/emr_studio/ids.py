"""Identifiers in AWS's forms (lengths and alphabets as AWS's own ids show them)."""

from __future__ import annotations

import base64
import binascii
import secrets
import string

_UPPER = string.ascii_uppercase + string.digits
_HEX = "0123456789abcdef"
# IAM unique ids use base 32 (RFC 4648): no 0, 1, 8, 9.
_BASE32 = string.ascii_uppercase + "234567"


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def studio_id() -> str:
    """`es-` and 25 of [A-Z0-9]."""
    return "es-" + _random(_UPPER, 25)


def editor_id() -> str:
    """`e-` and 25 of [A-Z0-9]: a Workspace."""
    return "e-" + _random(_UPPER, 25)


def repository_id() -> str:
    """`gr-` and 25 of [A-Z0-9]: our own number of a registered Git repository."""
    return "gr-" + _random(_UPPER, 25)


def repository_link_id() -> str:
    """`gl-` and 25 of [A-Z0-9]: our own number of a repository's link with a Workspace."""
    return "gl-" + _random(_UPPER, 25)


def cluster_id() -> str:
    """`j-` and 13 of [A-Z0-9]."""
    return "j-" + _random(_UPPER, 13)


def step_id() -> str:
    """`s-` and 13 of [A-Z0-9]."""
    return "s-" + _random(_UPPER, 13)


def session_id() -> str:
    """`ss-` and 25 of [A-Z0-9]: a Spark Connect session of a cluster (AWS shows no form of its own)."""
    return "ss-" + _random(_UPPER, 25)


def persistent_ui_id() -> str:
    """`p-` and 13 of [A-Z0-9]: a persistent application UI."""
    return "p-" + _random(_UPPER, 13)


def glue_id() -> str:
    """32 hexadecimal digits: our own number of an object of the Data Catalog."""
    return secrets.token_hex(16)


def instance_group_id() -> str:
    """`ig-` and 13 of [A-Z0-9]."""
    return "ig-" + _random(_UPPER, 13)


def instance_fleet_id() -> str:
    """`if-` and 13 of [A-Z0-9]."""
    return "if-" + _random(_UPPER, 13)


def instance_id() -> str:
    """`ci-` and 13 of [A-Z0-9]: EMR's own id of an instance."""
    return "ci-" + _random(_UPPER, 13)


def ec2_id(prefix: str) -> str:
    """EC2's long form: `prefix-` and 17 hexadecimal digits (`vpc`, `subnet`, `sg`, `i`, `eni`)."""
    return f"{prefix}-" + _random(_HEX, 17)


def iam_id(prefix: str) -> str:
    """IAM unique id: a four-letter prefix (AIDA user, AROA role, ANPA policy …) and 17 characters."""
    return prefix + _random(_BASE32, 17)


def access_key_id(prefix: str = "AKIA", account_id: str | None = None) -> str:
    """Access key id: `AKIA` (long-term) or `ASIA` (temporary) and 16 characters.

    With an account it is written in the key, in AWS's own way: the first 40 of 80 bits but one, so that
    whoever finds a key learns whose it is without a table.
    """
    if account_id is None:
        return prefix + _random(_BASE32, 16)
    head = (1 << 47) | (int(account_id) << 7) | secrets.randbits(7)
    return prefix + base64.b32encode(head.to_bytes(6, "big") + secrets.token_bytes(4)).decode()


def account_in_key(key_id: str) -> str | None:
    """The account that `access_key_id` wrote into a key; None if there cannot be one."""
    try:
        head = int.from_bytes(base64.b32decode(key_id[4:])[:6], "big")
    except (binascii.Error, ValueError):
        return None
    account = f"{(head >> 7) & ((1 << 40) - 1):012d}"
    return account if len(account) == 12 else None


def secret_access_key() -> str:
    """40 characters, as AWS's secret access keys."""
    return _random(string.ascii_letters + string.digits + "+/", 40)


def password(length: int = 16) -> str:
    """A readable random password: no characters that look alike."""
    return _random("abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789", length)
