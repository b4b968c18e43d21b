"""Records of sign-ins at the console.

Source: "AWS Management Console sign-in events" (CloudTrail user guide).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from emr_studio.aws.context import Caller
from emr_studio.trail import identity
from emr_studio.trail.api_record import VERSION
from emr_studio.trail.elements import HIDDEN
from emr_studio.trail.lines import Line, clean, event_time, milliseconds, new_event_id, write_event

FAILED = "Failed authentication"


@dataclass(frozen=True)
class ConsoleSignIn:
    """One attempt. `caller` is who proved to be herself; without one it failed.

    `known_name` is the name that was typed if a user is called so: other names are never written
    down, because people type passwords there.
    """

    time: dt.datetime
    account_id: str
    url: str
    source_ip: str
    user_agent: str
    caller: Caller | None = None
    known_name: str | None = None
    error: str = FAILED
    event_name: str = "ConsoleLogin"


def sign_in_line(sign_in: ConsoleSignIn, region: str) -> Line:
    """The record of an attempt."""
    caller, event_id = sign_in.caller, new_event_id()
    name = sign_in.known_name or HIDDEN
    failed = {"type": "IAMUser", "accountId": sign_in.account_id, "accessKeyId": "", "userName": name}
    shown = failed if caller is None else _plain(caller)
    event: dict[str, object] = {
        "eventVersion": VERSION,
        "userIdentity": shown,
        "eventTime": event_time(sign_in.time),
        "eventSource": "signin.amazonaws.com",
        "eventName": sign_in.event_name,
        "awsRegion": region,
        "sourceIPAddress": sign_in.source_ip,
        "userAgent": clean(sign_in.user_agent),
    }
    if caller is None:
        event["errorMessage"] = clean(sign_in.error)
    event |= {
        "requestParameters": None,
        "responseElements": {sign_in.event_name: "Success" if caller else "Failure"},
        "additionalEventData": {
            "LoginTo": clean(sign_in.url),
            "MobileVersion": "No",
            "MFAUsed": "Yes" if caller is not None and caller.mfa_at is not None else "No",
        },
        "eventID": event_id,
        "readOnly": False,
        "eventType": "AwsConsoleSignIn",
        "managementEvent": True,
        "recipientAccountId": sign_in.account_id,
        "eventCategory": "Management",
    }
    username = identity.username(caller) if caller else name
    return Line(
        event_id=event_id,
        account_id=sign_in.account_id,
        moment=milliseconds(sign_in.time),
        event_name=sign_in.event_name,
        event_source="signin.amazonaws.com",
        request_id=event_id,
        event=write_event(event),
        username=clean(username, 256),
        resources=[("AWS::IAM::User", username)] if caller and caller.kind == "user" else [],
    )


def _plain(caller: Caller) -> dict[str, object]:
    """Who signs in, before there is a session to speak of."""
    shown = identity.user_identity(caller)
    if caller.kind in {"user", "root"}:
        shown.pop("sessionContext", None)
    return shown
