"""Keys of log and digest files, as CloudTrail lays them out ("CloudTrail log file naming")."""

from __future__ import annotations

import datetime as dt
import secrets
import string

from emr_studio.trail.model import Trail

_ALPHABET = string.ascii_letters + string.digits


def log_key(trail: Trail, now: dt.datetime) -> str:
    """Key of a new log file; its last part is random, as CloudTrail's."""
    unique = "".join(secrets.choice(_ALPHABET) for _ in range(16))
    account, region = trail.account_id, trail.region
    return (
        f"{_folder(trail)}/CloudTrail/{region}/{now:%Y/%m/%d}/"
        f"{account}_CloudTrail_{region}_{now:%Y%m%dT%H%MZ}_{unique}.json.gz"
    )


def digest_key(trail: Trail, end: dt.datetime) -> str:
    """Key of the digest whose period ends then."""
    account, region = trail.account_id, trail.region
    return (
        f"{_folder(trail)}/CloudTrail-Digest/{region}/{end:%Y/%m/%d}/"
        f"{account}_CloudTrail-Digest_{region}_{trail.name}_{region}_{end:%Y%m%dT%H%M%SZ}.json.gz"
    )


def sample_key(account_id: str, prefix: str | None) -> str:
    """A key such as all of a trail's, to ask a policy about."""
    return f"{prefix}/AWSLogs/{account_id}/CloudTrail" if prefix else f"AWSLogs/{account_id}/CloudTrail"


def _folder(trail: Trail) -> str:
    return f"{trail.prefix}/AWSLogs/{trail.account_id}" if trail.prefix else f"AWSLogs/{trail.account_id}"
