"""EnableKey, DisableKey, ScheduleKeyDeletion, CancelKeyDeletion."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from emr_studio.aws.context import Context, ContextValue
from emr_studio.aws.errors import ValidationError
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.keys.authorization import on_key, requested
from emr_studio.keys.errors import InvalidState
from emr_studio.keys.finding import not_pending
from emr_studio.keys.model import KeyState

_SHORTEST, _LONGEST = 7, 30


@operation("kms", "EnableKey", checks=on_key("EnableKey"))
def enable_key(context: Context, request: Request) -> Response:
    """Let a key be used."""
    not_pending(requested(context, request["KeyId"]).key).enabled = True
    return None


@operation("kms", "DisableKey", checks=on_key("DisableKey"))
def disable_key(context: Context, request: Request) -> Response:
    """Let a key be used no more; at once, for data too."""
    not_pending(requested(context, request["KeyId"]).key).enabled = False
    return None


def _window(request: Request) -> int:
    return int(request.get("PendingWindowInDays") or _LONGEST)


def _window_key(request: Request) -> Mapping[str, ContextValue]:
    return {"kms:ScheduleKeyDeletionPendingWindowInDays": str(_window(request))}


@operation("kms", "ScheduleKeyDeletion", checks=on_key("ScheduleKeyDeletion", more=_window_key))
def schedule_key_deletion(context: Context, request: Request) -> Response:
    """Let a key wait 7 to 30 days for its end; until then the wait can be cancelled."""
    days = _window(request)
    if not _SHORTEST <= days <= _LONGEST:
        raise ValidationError(f"PendingWindowInDays must be between {_SHORTEST} and {_LONGEST}.")
    key = not_pending(requested(context, request["KeyId"]).key)
    key.deletion_date = context.now() + dt.timedelta(days=days)
    return {
        "KeyId": key.arn,
        "DeletionDate": key.deletion_date,
        "KeyState": KeyState.PENDING_DELETION.value,
        "PendingWindowInDays": days,
    }


@operation("kms", "CancelKeyDeletion", checks=on_key("CancelKeyDeletion"))
def cancel_key_deletion(context: Context, request: Request) -> Response:
    """Keep a key; it is disabled then."""
    key = requested(context, request["KeyId"]).key
    if key.state is not KeyState.PENDING_DELETION:
        raise InvalidState(f"{key.arn} is not pending deletion.")
    key.deletion_date, key.enabled = None, False
    return {"KeyId": key.arn}
