"""Rotation: by the calendar (90 to 2560 days) and on demand. The key keeps its id; old material opens old data."""

from __future__ import annotations

import datetime as dt
from typing import Any

from emr_studio.aws.context import Context
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.keys.authorization import on_key, requested
from emr_studio.keys.errors import TooMany
from emr_studio.keys.finding import not_pending, usable
from emr_studio.keys.making import materials_of, rotate
from emr_studio.keys.ring import KeyRing

_DEFAULT_DAYS = 365
_MOST_ON_DEMAND = 25


@operation("kms", "EnableKeyRotation", checks=on_key("EnableKeyRotation"))
def enable_key_rotation(context: Context, request: Request) -> Response:
    """Let a key's material be renewed each period, the first time a period after its last renewal."""
    key = usable(requested(context, request["KeyId"]).key)
    key.rotation_days = request.get("RotationPeriodInDays") or key.rotation_days or _DEFAULT_DAYS
    key.next_rotation = max(key.rotated + dt.timedelta(days=key.rotation_days), context.now())
    return None


@operation("kms", "DisableKeyRotation", checks=on_key("DisableKeyRotation"))
def disable_key_rotation(context: Context, request: Request) -> Response:
    """End it."""
    key = usable(requested(context, request["KeyId"]).key)
    key.rotation_days = key.next_rotation = None
    return None


@operation("kms", "GetKeyRotationStatus", checks=on_key("GetKeyRotationStatus"))
def get_key_rotation_status(context: Context, request: Request) -> Response:
    """Whether and when."""
    key = requested(context, request["KeyId"]).key
    answer: dict[str, Any] = {"KeyId": key.id, "KeyRotationEnabled": key.rotation_days is not None}
    if key.rotation_days is None:
        return answer
    return answer | {"RotationPeriodInDays": key.rotation_days, "NextRotationDate": key.next_rotation}


@operation("kms", "RotateKeyOnDemand", checks=on_key("RotateKeyOnDemand"))
def rotate_key_on_demand(context: Context, request: Request) -> Response:
    """Renew the material now."""
    key = usable(requested(context, request["KeyId"]).key)
    if sum(material.on_demand for material in materials_of(context.session, key)) >= _MOST_ON_DEMAND:
        raise TooMany(f"A key can be rotated on demand at most {_MOST_ON_DEMAND} times.")
    rotate(context.session, context.port(KeyRing), key, context.now(), on_demand=True)
    return {"KeyId": key.id}


@operation("kms", "ListKeyRotations", checks=on_key("ListKeyRotations"))
def list_key_rotations(context: Context, request: Request) -> Response:
    """The rotations that were; the first material is none, unless all material is asked for."""
    key = not_pending(requested(context, request["KeyId"]).key)
    all_of_it = request.get("IncludeKeyMaterial") == "ALL_KEY_MATERIAL"
    materials = [m for m in materials_of(context.session, key) if all_of_it or m.version > 1]
    rotations = [
        {
            "KeyId": key.id,
            "RotationDate": material.created,
            "RotationType": "ON_DEMAND" if material.on_demand else "AUTOMATIC",
        }
        for material in materials
    ]
    return {"Rotations": rotations, "Truncated": False}
