"""DeleteSecret, RestoreSecret."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from emr_studio.aws.context import Context, ContextValue
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.secrets.errors import BadParameter, NotFound
from emr_studio.secrets.finding import find_secret, look_up, on_secret
from emr_studio.secrets.upkeep import destroy
from emr_studio.secrets.values import identity

_SHORTEST, _LONGEST = 7, 30


def _how(request: Request) -> Mapping[str, ContextValue]:
    keys: dict[str, ContextValue] = {
        "secretsmanager:ForceDeleteWithoutRecovery": str(bool(request.get("ForceDeleteWithoutRecovery"))).lower()
    }
    if request.get("RecoveryWindowInDays") is not None:
        keys["secretsmanager:RecoveryWindowInDays"] = str(request["RecoveryWindowInDays"])
    return keys


@operation("secretsmanager", "DeleteSecret", checks=on_secret("DeleteSecret", _how))
def delete_secret(context: Context, request: Request) -> Response:
    """Mark a secret for deletion after its recovery window, or delete it now."""
    window, force = request.get("RecoveryWindowInDays"), bool(request.get("ForceDeleteWithoutRecovery"))
    if force and window is not None:
        raise BadParameter("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
    if window is not None and not _SHORTEST <= window <= _LONGEST:
        raise BadParameter("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
    if force:
        return _now(context, request["SecretId"])
    secret = find_secret(context, request["SecretId"])
    secret.deleted = context.now()
    secret.purge_at = context.now() + dt.timedelta(days=window or _LONGEST)
    return identity(secret) | {"DeletionDate": secret.purge_at}


def _now(context: Context, secret_id: str) -> Response:
    secret = look_up(context.session, context.account_id, context.region, secret_id)
    if secret is None:
        raise NotFound
    answer = identity(secret) | {"DeletionDate": context.now()}
    destroy(context.session, secret)
    return answer


@operation("secretsmanager", "RestoreSecret", checks=on_secret("RestoreSecret"))
def restore_secret(context: Context, request: Request) -> Response:
    """Keep a secret that was marked; one that was not stays as it is."""
    secret = find_secret(context, request["SecretId"], deleted=True)
    secret.deleted = secret.purge_at = None
    return identity(secret)
