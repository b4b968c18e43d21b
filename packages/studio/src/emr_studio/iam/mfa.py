"""Virtual MFA devices: codes verified, each good once, guessing slowed down.

What is kept of a device changes with each use; it is no `Governed` table, so a code does not empty the
replicas' memory of policies.
"""

from __future__ import annotations

import datetime as dt
import enum

from sqlalchemy import select
from sqlalchemy.orm import Session

from emr_studio.iam.federation import totp
from emr_studio.iam.model import MfaDevice
from emr_studio.iam.sealing import Sealer

_WITHIN = 1
"""Steps that a phone's clock may be off."""
_RESYNC_WITHIN = 120
"""Steps looked at when a device is enabled or synchronised: an hour either way."""
_FREE_FAILURES = 5
_LONGEST_WAIT = 300


class Outcome(enum.Enum):
    """What became of a code."""

    RIGHT = "right"
    WRONG = "wrong, or used before"
    NO_DEVICE = "no such device of this user"
    TOO_MANY = "too many wrong codes; wait"


def seed_purpose(serial: str) -> str:
    """What a device's seed is sealed for."""
    return f"iam:mfa-seed:{serial}"


def seed_of(sealer: Sealer, device: MfaDevice) -> bytes:
    """The seed of a device."""
    return sealer.open(device.sealed_seed, seed_purpose(device.serial))


def devices_of(session: Session, user_id: str) -> list[MfaDevice]:
    """Enabled devices of a user."""
    query = select(MfaDevice).where(MfaDevice.user_id == user_id).order_by(MfaDevice.serial)
    return list(session.scalars(query))


def use_code(
    session: Session, sealer: Sealer, user_id: str | None, serial: str, code: str, *, now: dt.datetime
) -> Outcome:
    """Verify a code in a writing session that commits whatever the outcome."""
    device = session.get(MfaDevice, serial, with_for_update=True)
    if device is None or device.user_id is None or device.user_id != user_id:
        return Outcome.NO_DEVICE
    return _try([device], sealer, code, now)


def use_any_code(session: Session, sealer: Sealer, user_id: str, code: str, *, now: dt.datetime) -> Outcome:
    """Verify a code of whichever device of the user, in a writing session that commits whatever the outcome."""
    query = select(MfaDevice).where(MfaDevice.user_id == user_id).with_for_update()
    return _try(list(session.scalars(query)), sealer, code, now)


def _try(devices: list[MfaDevice], sealer: Sealer, code: str, now: dt.datetime) -> Outcome:
    if any(wait_seconds(device, now) for device in devices):
        return Outcome.TOO_MANY
    for device in devices:
        around = totp.step_of(now) + device.drift
        step = totp.matching_step(seed_of(sealer, device), code, around, _WITHIN)
        if step is not None and step > device.last_step:
            _used(device, step, now)
            return Outcome.RIGHT
    for device in devices:
        device.failures, device.failed_at = device.failures + 1, now
    return Outcome.WRONG


def wait_seconds(device: MfaDevice, now: dt.datetime) -> int:
    """Seconds until the next code of this device is looked at."""
    if device.failures < _FREE_FAILURES or device.failed_at is None:
        return 0
    wait = min(2 ** min(device.failures - _FREE_FAILURES + 1, 20), _LONGEST_WAIT)
    left = (device.failed_at + dt.timedelta(seconds=wait) - now).total_seconds()
    return max(0, -int(-left // 1))


def synchronise(sealer: Sealer, device: MfaDevice, first: str, second: str, now: dt.datetime) -> bool:
    """Learn how far a device's clock is off from two codes in a row; False if they are not."""
    seed, around = seed_of(sealer, device), totp.step_of(now)
    for step in range(around - _RESYNC_WITHIN, around + _RESYNC_WITHIN):
        if totp.code(seed, step) == first and totp.code(seed, step + 1) == second:
            device.drift = 0 if abs(step + 1 - around) <= _WITHIN else step + 1 - around
            _used(device, step + 1, now)
            return True
    return False


def _used(device: MfaDevice, step: int, now: dt.datetime) -> None:
    device.last_step, device.failures, device.failed_at = step, 0, None
    device.last_used = now
