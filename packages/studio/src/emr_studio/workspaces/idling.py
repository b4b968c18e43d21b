"""When a Workspace is idle for so long that it is stopped (emr-studio.md 6.2, WS-09).

    active ──(limit - warning)──> warned: `IdleStopTime` is shown ──> stopped, unless active again

All that is known is in the row, so a controller that is killed, or away for a day, loses nothing: the
warning always stands for its whole time before the stop. A Workspace that does not say what goes on in
it is never stopped.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from emr_studio.runtime.contract import Activity
from emr_studio.workspaces.model import DETACHED, Editor, Status, Target

SHORTEST, LONGEST = 60, 604_800
"""Seconds, as of a cluster's auto-termination."""
_WARNING_SECONDS = 600
_LOOK_SECONDS = 60
STOPPED = "IDLE_TIMEOUT"


def limit_of(editor: Editor, default_seconds: int) -> int:
    """Seconds without activity after which it is stopped; 0 for never."""
    return default_seconds if editor.idle_seconds is None else editor.idle_seconds


def warning_seconds(limit: int) -> int:
    """How long before the stop the warning comes."""
    return min(_WARNING_SECONDS, limit // 4)


def next_look(now: dt.datetime, limit: int) -> dt.datetime:
    """When to ask the Workspace again: a minute later, sooner where the limit is short."""
    return now + dt.timedelta(seconds=min(_LOOK_SECONDS, max(limit // 12, 1)) if limit else _LOOK_SECONDS)


def begun(now: dt.datetime) -> dict[str, Any]:
    """Columns of a Workspace that somebody has just used: started, opened, attached."""
    return {"active_at": now, "activity_due": now + dt.timedelta(seconds=_LOOK_SECONDS), "idle_stop_at": None}


ENDED: dict[str, Any] = {"activity_due": None, "idle_stop_at": None}
"""Columns of one that does not run."""


def judge(editor: Editor, activity: Activity | None, now: dt.datetime, default_seconds: int) -> dict[str, Any]:
    """What becomes of a running Workspace's row, given what it says of itself."""
    limit = limit_of(editor, default_seconds)
    looked = {"activity_due": next_look(now, limit)}
    if not limit:
        return looked | {"idle_stop_at": None}
    if activity is None:
        return looked
    active_at = _last(editor, activity, now)
    warning = dt.timedelta(seconds=warning_seconds(limit))
    stop_at = active_at + dt.timedelta(seconds=limit)
    if now < stop_at - warning:
        return looked | {"active_at": active_at, "idle_stop_at": None}
    if editor.idle_stop_at is None:
        return looked | {"active_at": active_at, "idle_stop_at": max(stop_at, now + warning)}
    if now < editor.idle_stop_at:
        return looked | {"active_at": active_at}
    return {"active_at": active_at} | _stop(limit, now)


def _last(editor: Editor, activity: Activity, now: dt.datetime) -> dt.datetime:
    if activity.busy:
        return now
    said = now - dt.timedelta(seconds=activity.idle_seconds)
    return max(said, editor.active_at or editor.launched_at or now)


def _stop(limit: int, now: dt.datetime) -> dict[str, Any]:
    message = (
        f"The Workspace was stopped after {limit // 60} minutes without activity. Its files are saved; start it again."
    )
    return ENDED | {
        "status": Status.STOPPING,
        "target": Target.IDLE,
        "unsettled": True,
        "address": "",
        **DETACHED,
        "last_modified_time": now,
        "state_code": STOPPED,
        "state_message": message,
    }
