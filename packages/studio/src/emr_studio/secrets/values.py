"""A secret's values: sealed and opened on the caller's behalf, and the staging labels of versions."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from emr_studio.aws.context import Context
from emr_studio.aws.errors import AccessDenied, ClientError
from emr_studio.aws.registry import Request
from emr_studio.keys.errors import Disabled, InvalidCiphertext, InvalidState, KeyUnavailable
from emr_studio.keys.errors import NotFound as KeyNotFound
from emr_studio.keys.services import managed_alias, open_, seal, service_key
from emr_studio.secrets.errors import BadParameter, DecryptionFailure, EncryptionFailure, Exists
from emr_studio.secrets.finding import SERVICE
from emr_studio.secrets.model import CURRENT, PREVIOUS, Secret, SecretVersion, staged, versions_of

_KEPT = 100
_MOST_STAGES = 20
_LARGEST = 65_536
_KEY_PROBLEMS = (Disabled, InvalidState, KeyUnavailable, KeyNotFound, InvalidCiphertext)
_NO_KMS = "Access to KMS is not allowed"


def value_of(request: Request) -> tuple[bytes, bool] | None:
    """The value that a request carries, and whether it is binary; None if it carries none.

    Raises:
        BadParameter
    """
    text, binary = request.get("SecretString"), request.get("SecretBinary")
    if text is not None and binary is not None:
        raise BadParameter("You can't specify both a binary secret value and a string secret value in the same secret.")
    if text is None and binary is None:
        return None
    data: bytes = text.encode() if text is not None else bytes(binary or b"")
    if len(data) > _LARGEST:
        raise BadParameter(f"The secret value is larger than {_LARGEST} bytes.")
    return data, text is None


def _pairs(secret: Secret, version_id: str) -> Mapping[str, str]:
    return {"SecretARN": secret.arn, "SecretVersionId": version_id}


def seal_value(context: Context, secret: Secret, version_id: str, data: bytes) -> tuple[bytes, str]:
    """Seal with the secret's key; returns it and what to show of the key.

    Raises:
        AccessDenied, EncryptionFailure
    """
    try:
        found = service_key(context, secret.kms_key_id, SERVICE)
        sealed = seal(context, found, data, service=SERVICE, pairs=_pairs(secret, version_id))
    except AccessDenied:
        raise AccessDenied(_NO_KMS) from None
    except _KEY_PROBLEMS:
        raise EncryptionFailure from None
    return sealed, found.key.arn if secret.kms_key_id else managed_alias(SERVICE)


def open_value(context: Context, secret: Secret, version: SecretVersion) -> bytes:
    """Open a version's value for the caller.

    Raises:
        AccessDenied, DecryptionFailure
    """
    try:
        return open_(context, version.sealed or b"", service=SERVICE, pairs=_pairs(secret, version.version_id))
    except AccessDenied:
        raise AccessDenied(_NO_KMS) from None
    except _KEY_PROBLEMS:
        raise DecryptionFailure from None


def add_version(
    context: Context, secret: Secret, version_id: str, value: tuple[bytes, bool], stages: Sequence[str]
) -> SecretVersion:
    """Add a value under its token, or find that the same was added before (a retry).

    Raises:
        Exists: the token stands for another value.
    """
    data, binary = value
    known = context.session.get(SecretVersion, (secret.id, version_id))
    if known is not None:
        if (open_value(context, secret, known), known.binary) != value:
            raise Exists(
                f"You can't use ClientRequestToken {version_id} because that value is already in use for a version of "
                f"secret {secret.arn}."
            )
        return known
    sealed, key = seal_value(context, secret, version_id, data)
    version = SecretVersion(
        secret_id=secret.id,
        version_id=version_id,
        sealed=sealed,
        binary=binary,
        key_id=key,
        stages=[],
        created=context.now(),
    )
    context.session.add(version)
    context.session.flush()
    secret.changed = context.now()
    first = staged(context.session, secret, CURRENT) is None
    for stage in {*stages, *([CURRENT] if first else [])}:
        move_stage(context.session, secret, stage, version)
    _drop_old(context.session, secret)
    return version


def move_stage(session: Session, secret: Secret, stage: str, target: SecretVersion | None) -> None:
    """Let a label stand at another version, or nowhere; the last AWSCURRENT becomes AWSPREVIOUS.

    Raises:
        ClientError: LimitExceededException
    """
    before = staged(session, secret, stage)
    if before is target:
        return
    if before is not None:
        before.stages = [found for found in before.stages if found != stage]
    if target is not None:
        if len(target.stages) >= _MOST_STAGES:
            raise ClientError("LimitExceededException", f"A version can have at most {_MOST_STAGES} staging labels.")
        target.stages = [*target.stages, stage]
    session.flush()
    if stage == CURRENT and before is not None:
        move_stage(session, secret, PREVIOUS, before)


def _drop_old(session: Session, secret: Secret) -> None:
    for version in [v for v in versions_of(session, secret) if not v.stages][_KEPT:]:
        session.delete(version)


def seal_anew(context: Context, secret: Secret) -> None:
    """The key was changed: values that a label names are sealed with the new one."""
    for version in versions_of(context.session, secret):
        if version.stages and version.sealed is not None:
            data = open_value(context, secret, version)
            version.sealed, version.key_id = seal_value(context, secret, version.version_id, data)


# When values were last read is remembered here and written now and then: a read writes nothing.
_accesses: dict[tuple[str, str], dt.datetime] = {}
_lock = threading.Lock()


def note_access(secret: Secret, version: SecretVersion, now: dt.datetime) -> None:
    """Remember that a value was read today; AWS tells the day only."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if version.accessed != day:
        with _lock:
            _accesses[secret.id, version.version_id] = day


def write_accesses(session: Session) -> None:
    """Write down what `note_access` remembered."""
    with _lock:
        noted = dict(_accesses)
        _accesses.clear()
    for (secret_id, version_id), day in noted.items():
        for row in (session.get(Secret, secret_id), session.get(SecretVersion, (secret_id, version_id))):
            if row is not None:
                row.accessed = day


def identity(secret: Secret) -> dict[str, Any]:
    """ARN and name, as nearly every answer has them."""
    return {"ARN": secret.arn, "Name": secret.name}
