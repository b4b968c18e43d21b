"""PutEventSelectors and GetEventSelectors, with what they refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emr_studio.aws.context import Context
from emr_studio.aws.errors import ClientError
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.trail.model import Trail
from emr_studio.trail.operations.common import arn_of, find_trail, on_trail
from emr_studio.trail.selectors import DEFAULT, S3_OBJECT

_MOST_SELECTORS = 5
_MOST_RESOURCES = 250
_MOST_VALUES = 500
_RESOURCES = (S3_OBJECT, "AWS::Lambda::Function", "AWS::DynamoDB::Table")
_FIELDS = frozenset(
    {
        "eventCategory", "readOnly", "eventSource", "eventName", "resources.type", "resources.ARN", "eventType",
        "sessionCredentialFromConsole", "userIdentity.arn", "errorCode", "vpcEndpointId",
    }
)  # fmt: skip
_ONLY_EQUALS = ("eventCategory", "readOnly", "resources.type")
_OPERATORS = ("Equals", "StartsWith", "EndsWith", "NotEquals", "NotStartsWith", "NotEndsWith")


@operation("cloudtrail", "PutEventSelectors", checks=on_trail("PutEventSelectors", "TrailName"))
def put_event_selectors(context: Context, request: Request) -> Response:
    """Say which events the trail takes, from the next delivery on; the other kind of selectors goes."""
    trail = find_trail(context, str(request["TrailName"]))
    basic, advanced = request.get("EventSelectors"), request.get("AdvancedEventSelectors")
    if bool(basic) == bool(advanced):
        raise _invalid("Specify either event selectors or advanced event selectors.")
    trail.selectors = [_basic(selector) for selector in basic] if basic else None
    trail.advanced_selectors = [dict(selector) for selector in advanced] if advanced else None
    _check_basic(trail.selectors or [])
    _check_advanced(trail.advanced_selectors or [])
    return _shape(trail)


@operation("cloudtrail", "GetEventSelectors", checks=on_trail("GetEventSelectors", "TrailName"))
def get_event_selectors(context: Context, request: Request) -> Response:
    return _shape(find_trail(context, str(request["TrailName"])))


def _shape(trail: Trail) -> Mapping[str, Any]:
    if trail.advanced_selectors is not None:
        return {"TrailARN": arn_of(trail), "AdvancedEventSelectors": trail.advanced_selectors}
    return {"TrailARN": arn_of(trail), "EventSelectors": trail.selectors or DEFAULT}


def _basic(selector: Mapping[str, Any]) -> dict[str, Any]:
    """A selector with all its members."""
    return {**DEFAULT[0], **selector}


def _check_basic(selectors: Sequence[Mapping[str, Any]]) -> None:
    if len(selectors) > _MOST_SELECTORS:
        raise _invalid(f"A trail can have at most {_MOST_SELECTORS} event selectors.")
    resources = [resource for selector in selectors for resource in selector["DataResources"]]
    if sum(len(resource.get("Values") or ()) for resource in resources) > _MOST_RESOURCES:
        raise _invalid(f"A trail can have at most {_MOST_RESOURCES} data resources.")
    for resource in resources:
        if resource.get("Type") not in _RESOURCES:
            raise _invalid(f"The data resource type {resource.get('Type')} is not valid.")
        for value in resource.get("Values") or ():
            if not str(value).startswith("arn:"):
                raise _invalid(f"Value {value} for DataResources.Values is invalid.")


def _check_advanced(selectors: Sequence[Mapping[str, Any]]) -> None:
    fields = [field for selector in selectors for field in selector["FieldSelectors"]]
    if sum(len(field.get(operator) or ()) for field in fields for operator in _OPERATORS) > _MOST_VALUES:
        raise _invalid(f"A trail can have at most {_MOST_VALUES} values of advanced event selectors.")
    for selector in selectors:
        _check_fields(selector["FieldSelectors"])


def _check_fields(fields: Sequence[Mapping[str, Any]]) -> None:
    names = [str(field["Field"]) for field in fields]
    if len(set(names)) != len(names):
        raise _invalid("A field can be used only once in an advanced event selector.")
    for name, field in zip(names, fields, strict=True):
        given = [operator for operator in _OPERATORS if field.get(operator)]
        if name not in _FIELDS:
            raise _invalid(f"The field {name} is not valid.")
        if not given or (name in _ONLY_EQUALS and given != ["Equals"]):
            raise _invalid(f"The operators of the field {name} are not valid.")
    categories = [field.get("Equals") for field in fields if field["Field"] == "eventCategory"]
    if categories not in ([["Management"]], [["Data"]]):
        raise _invalid("An advanced event selector must say eventCategory equals Management or Data.")
    if categories == [["Data"]] and "resources.type" not in names:
        raise _invalid("An advanced event selector for data events must say resources.type.")


def _invalid(message: str) -> ClientError:
    return ClientError("InvalidEventSelectorsException", message)
