"""Denials that happened: from the audit trail, or by the message that came with them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from emr_studio.cli.explain import Deciding, Explanation, Json
from emr_studio.cli.explain.door import Door, Refused

_MOST_PAGES = 40


@dataclass
class Denial:
    """A denial in the trail. `explanation` is None where the caller may not see why; `refusal` tells."""

    event_id: str
    time: str
    principal: str
    operation: str
    message: str
    explanation: Explanation | None = None
    refusal: str = ""

    def as_json(self) -> Json:
        """For machines."""
        own = {name: value for name, value in vars(self).items() if name != "explanation"}
        return own | {"explanation": self.explanation.as_json() if self.explanation else None}


def explain_message(door: Door, text: str) -> Explanation:
    """Explain a denial by its encoded message, or by the id of its request or record.

    Raises:
        Refused: the caller may not decode it, or it is none of her account's.
    """
    decoded = door.call("sts", "decode_authorization_message", EncodedMessage=text)["DecodedMessage"]
    return read_message(json.loads(decoded))


def read_message(message: Json) -> Explanation:
    """The explanation in a decoded message."""
    asked = message["context"]
    denied = "explicitDeny" if message["explicitDeny"] else "implicitDeny"
    return Explanation(
        decision="allowed" if message["allowed"] else denied,
        principal=asked["principal"]["arn"],
        action=asked["action"],
        resource=asked["resource"],
        layer=message.get("layer", "identity"),
        reason=message.get("reason", ""),
        statements=[_deciding(item) for item in message["matchedStatements"]["items"]],
        almost=[_deciding(item) for item in message["failures"]["items"]],
        conditions={item["key"]: _values(item) for item in asked["conditions"]["items"]},
    )


def _values(item: Json) -> list[str]:
    return [str(value["value"]) for value in item["values"]["items"]]


def _deciding(item: Json) -> Deciding:
    return Deciding(
        policy=item["sourcePolicyId"],
        kind=item["sourcePolicyType"],
        statement=item["statement"] or None,
        index=item["statementIndex"],
        missed=item.get("reason", ""),
    )


def last_denials(door: Door, count: int) -> list[Denial]:
    """The last denials in the caller's account, the newest first, each with its reasons if she may see them.

    Raises:
        Refused: she may not read the trail.
    """
    found = []
    for event in _denied_events(door):
        found.append(_denial(door, event))
        if len(found) >= count:
            break
    return found


def _denied_events(door: Door) -> Iterable[Json]:
    token: dict[str, Any] = {}
    for _ in range(_MOST_PAGES):
        page = door.call("cloudtrail", "lookup_events", MaxResults=50, **token)
        for event in page["Events"]:
            record: Json = json.loads(event["CloudTrailEvent"])
            if "AccessDenied" in record.get("errorCode", "") or "Unauthorized" in record.get("errorCode", ""):
                yield record
        if "NextToken" not in page:
            return
        token = {"NextToken": page["NextToken"]}


def _denial(door: Door, record: Json) -> Denial:
    denial = Denial(
        event_id=record["eventID"],
        time=record["eventTime"],
        principal=record.get("userIdentity", {}).get("arn", "unknown"),
        operation=f"{record['eventSource'].partition('.')[0]}:{record['eventName']}",
        message=record.get("errorMessage", ""),
    )
    try:
        denial.explanation = explain_message(door, denial.event_id)
    except Refused as refused:
        # Not every refusal is a policy's: a wrong password is denied too, and says all in its message.
        denial.refusal = str(refused) if refused.denied else ""
    return denial
