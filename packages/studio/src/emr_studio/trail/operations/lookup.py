"""LookupEvents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from emr_studio.aws.context import Context, Preparation
from emr_studio.aws.errors import ClientError
from emr_studio.aws.pagination import paginate
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.trail.collector import Collector
from emr_studio.trail.events import resources_of, shown_events
from emr_studio.trail.model import EventResource, EventRow

_PAGE = 50


def _bring_in(preparation: Preparation, _request: Request) -> None:
    """What happened before this call shall be found by it. If the database is busy, what is there must do."""
    preparation.ports[Collector].collect(all_processes=True)


@operation("cloudtrail", "LookupEvents", checks=action("cloudtrail:LookupEvents"), prepare=_bring_in)
def lookup_events(context: Context, request: Request) -> Response:
    """Management events of the account, the newest first, and whatever was refused by S3."""
    start, end = request.get("StartTime"), request.get("EndTime")
    if start is not None and end is not None and start > end:
        raise ClientError("InvalidTimeRangeException", "Start time must not be after end time.")
    attribute = _attribute(request)
    if request.get("EventCategory") is not None:
        return {"Events": []}  # insights are not made here
    rows, token = paginate(
        context,
        shown_events(context.account_id, attribute, start, end),
        (EventRow.moment, EventRow.event_id),
        int(request.get("MaxResults") or _PAGE),
        request.get("NextToken"),
        bound_to=_query(request),
        descending=True,
        invalid=lambda _: ClientError(
            "InvalidNextTokenException",
            "The token is not valid, or was previously used in a request with different parameters.",
        ),
    )
    named = resources_of(context.session, [row.event_id for row in rows])
    answer: dict[str, Any] = {"Events": [_shape(row, named.get(row.event_id, [])) for row in rows]}
    return answer | ({"NextToken": token} if token else {})


def _attribute(request: Request) -> tuple[str, str] | None:
    given = request.get("LookupAttributes") or []
    if len(given) > 1:
        raise ClientError("InvalidLookupAttributesException", "You can specify only one lookup attribute.")
    if not given:
        return None
    key, value = str(given[0]["AttributeKey"]), str(given[0]["AttributeValue"])
    if "\0" in value:
        raise ClientError("InvalidLookupAttributesException", "A null character cannot be looked up.")
    if key == "ReadOnly" and value.lower() not in {"true", "false"}:
        raise ClientError("InvalidLookupAttributesException", "The value of ReadOnly must be true or false.")
    return key, value


def _query(request: Request) -> str:
    """What a token is good for: the same question."""
    same = {name: value for name, value in request.items() if name not in {"NextToken", "MaxResults"}}
    return "LookupEvents " + msgspec.json.encode(same, order="deterministic").decode()


def _shape(row: EventRow, named: list[EventResource]) -> Mapping[str, Any]:
    shape = {
        "EventId": row.event_id,
        "EventName": row.event_name,
        "ReadOnly": "true" if row.is_read_only else "false",
        "AccessKeyId": row.access_key_id,
        "EventTime": row.moment // 1000,
        "EventSource": row.event_source,
        "Username": row.username,
        "Resources": [{"ResourceType": one.type, "ResourceName": one.name} for one in named],
        "CloudTrailEvent": row.event,
    }
    return {name: value for name, value in shape.items() if value is not None}
