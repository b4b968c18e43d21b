"""`requestParameters` and `responseElements`: a call's input and output as CloudTrail writes them.

Names begin in lower case, keys of maps stay as they are, times are in words. What is secret never
gets here: it is left out where AWS leaves it out, else its place says HIDDEN_DUE_TO_SECURITY_REASONS.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from emr_studio.aws.models import Shape

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
LARGEST = 100 * 1024
"""Bytes of JSON; a larger block is left out (CloudTrail record contents)."""
_LEFT_OUT = frozenset({"secretaccesskey", "secretkey", "sessiontoken", "privatekey"})
_SECRET = frozenset(
    {
        "password", "oldpassword", "newpassword", "token", "secretstring", "secretbinary", "samlassertion",
        "webidentitytoken", "tokencode", "authenticationcode1", "authenticationcode2", "serialnumberpin", "plaintext",
        "clientsecret", "randompassword", "qrcodepng", "base32stringseed", "decodedmessage", "userdata",
        "authorizationcode", "refreshtoken", "accesstoken", "secret",
    }
)  # fmt: skip
# Answers that sign their reader in.
_SIGNS_IN = frozenset(
    {
        "CreateStudioPresignedUrl", "OpenEditorInConsole", "GetPersistentAppUIPresignedURL",
        "GetOnClusterAppUIPresignedURL", "GetManagedEndpointSessionCredentials", "GetClusterSessionCredentials",
    }
)  # fmt: skip
_Plan = Callable[[Any], Any]


class Elements:
    """Writes the values of one service by shape; what a shape needs is found out once."""

    def __init__(self) -> None:
        self._plans: dict[tuple[str, str], _Plan] = {}

    def request(self, shape: Shape | None, values: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """`requestParameters`; None where nothing was given."""
        if shape is None or not values:
            return None
        written: dict[str, Any] = self._plan(shape)(values)
        return written or None

    def response(self, operation: str, shape: Shape | None, values: Mapping[str, Any] | None) -> Any:
        """`responseElements` of an operation that changes something."""
        if shape is None or not values:
            return None
        written: dict[str, Any] = self._plan(shape)(values)
        if operation in _SIGNS_IN:
            return dict.fromkeys(written, HIDDEN)
        return written or None

    def _plan(self, shape: Shape) -> _Plan:
        key = (shape.name, shape.type_name)
        found = self._plans.get(key)
        if found is None:

            def later(value: Any) -> Any:
                return self._plans[key](value)

            # A recursive shape finds this while it is being made.
            self._plans[key] = later
            found = self._plans[key] = self._make(shape)
        return found

    def _make(self, shape: Shape) -> _Plan:
        if shape.metadata.get("sensitive"):
            return _hidden
        kind = shape.type_name
        if kind == "structure":
            return self._structure(shape)
        if kind == "list":
            item = self._plan(shape.member)
            return lambda values: [item(value) for value in values]
        if kind == "map":
            value_plan = self._plan(shape.value)
            return lambda values: {key: value_plan(value) for key, value in values.items()}
        return {"timestamp": _time, "blob": _blob}.get(kind, _same)

    def _structure(self, shape: Shape) -> _Plan:
        members = {}
        for name, member in shape.members.items():
            lower = name.lower()
            if lower in _LEFT_OUT:
                continue
            plan = _hidden if lower in _SECRET else self._plan(member)
            members[name] = (name[:1].lower() + name[1:], plan)

        def write(values: Mapping[str, Any]) -> dict[str, Any]:
            written = {}
            for name, value in values.items():
                member = members.get(name)
                if member is not None and value is not None:
                    written[member[0]] = member[1](value)
            return written

        return write


def _hidden(_value: Any) -> str:
    return HIDDEN


def _same(value: Any) -> Any:
    return value


def _blob(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _time(value: Any) -> Any:
    """`Nov 26, 2026, 9:05:00 AM`."""
    if not isinstance(value, dt.datetime):
        return value
    moment = value.astimezone(dt.UTC)
    return f"{moment:%b} {moment.day}, {moment:%Y}, {moment.hour % 12 or 12}:{moment:%M:%S %p}"
