"""Event selectors: which records a trail takes. Basic and advanced, read from a record itself.

Source: the API references of EventSelector, DataResource and AdvancedFieldSelector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Event = Mapping[str, Any]
Selectors = Sequence[Mapping[str, Any]]
DEFAULT: list[dict[str, Any]] = [
    {
        "ReadWriteType": "All",
        "IncludeManagementEvents": True,
        "DataResources": [],
        "ExcludeManagementEventSources": [],
    }
]
"""What a trail takes that was told nothing: all management events, no data events."""
S3_OBJECT = "AWS::S3::Object"
_Test = Callable[[str, str], bool]
_OPERATORS: dict[str, _Test] = {
    "Equals": lambda value, wanted: value == wanted,
    "StartsWith": lambda value, wanted: value.startswith(wanted),
    "EndsWith": lambda value, wanted: value.endswith(wanted),
}
_NEGATIONS = {"NotEquals": "Equals", "NotStartsWith": "StartsWith", "NotEndsWith": "EndsWith"}


def takes(selectors: Selectors | None, advanced: Selectors | None, event: Event) -> bool:
    """True if a trail with these selectors takes the record."""
    if advanced:
        return any(_advanced(selector, event) for selector in advanced)
    return any(_basic(selector, event) for selector in selectors or DEFAULT)


def takes_data(selectors: Selectors | None, advanced: Selectors | None) -> bool:
    """True if there is a data event that such a trail takes."""
    if advanced:
        return any("Data" in _equals(selector, "eventCategory") for selector in advanced)
    return any(selector.get("DataResources") for selector in selectors or DEFAULT)


def _basic(selector: Mapping[str, Any], event: Event) -> bool:
    wanted = selector.get("ReadWriteType", "All")
    if wanted != "All" and (wanted == "ReadOnly") is not bool(event.get("readOnly")):
        return False
    if event.get("eventCategory") == "Management":
        excluded = selector.get("ExcludeManagementEventSources") or ()
        return bool(selector.get("IncludeManagementEvents", True)) and event.get("eventSource") not in excluded
    return any(_holds(resource, event) for resource in selector.get("DataResources") or ())


def _holds(resource: Mapping[str, Any], event: Event) -> bool:
    arns = [_arn(named) for named in event.get("resources") or () if named.get("type") == S3_OBJECT]
    if resource.get("Type") != S3_OBJECT:
        return False
    return any(arn.startswith(str(prefix)) for arn in arns for prefix in resource.get("Values") or ())


def _advanced(selector: Mapping[str, Any], event: Event) -> bool:
    return all(_field(field, event) for field in selector["FieldSelectors"])


def _field(field: Mapping[str, Any], event: Event) -> bool:
    values = list(_values(str(field["Field"]), event))
    for operator, test in _OPERATORS.items():
        wanted = field.get(operator)
        if wanted and not any(test(value, text) for value in values for text in wanted):
            return False
    for negation, operator in _NEGATIONS.items():
        test = _OPERATORS[operator]
        if any(test(value, text) for value in values for text in field.get(negation) or ()):
            return False
    return True


def _values(name: str, event: Event) -> Iterable[str]:
    resources = event.get("resources") or ()
    if name == "resources.type":
        return [str(named.get("type", "")) for named in resources]
    if name == "resources.ARN":
        return [_arn(named) for named in resources]
    if name == "readOnly":
        return ["true" if event.get("readOnly") else "false"]
    if name == "sessionCredentialFromConsole":
        return [str(event.get(name, "false"))]
    value: Any = event
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return [] if value is None else [str(value)]


def _arn(named: Mapping[str, Any]) -> str:
    return str(named.get("ARN") or named.get("ARNPrefix", ""))


def _equals(selector: Mapping[str, Any], name: str) -> list[str]:
    return [text for field in selector["FieldSelectors"] if field["Field"] == name for text in field.get("Equals", ())]
