"""The condition keys of a question, made only as far as a condition asks for them.

Most questions are decided by statements that have no condition, and those that have one ask for a key
or two: the time is not written out, and nothing put into lower case, for nobody.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from emr_studio.aws.context import Check, ContextValue, RequestInfo


class Circumstances(NamedTuple):
    """When and how a request is made: what the global condition keys are read from."""

    now: dt.datetime
    region: str = "us-east-1"
    request: RequestInfo = RequestInfo()


class QuestionContext(Mapping[str, ContextValue]):
    """All keys of a question, in lower case. The service's own come first, then the caller's.

    Args:
        caller: the keys that speak of who asks, in lower case.
        more: keys of this question that `check` does not name.
    """

    __slots__ = ("_caller", "_check", "_circumstances", "_more", "_own")

    def __init__(
        self,
        circumstances: Circumstances,
        caller: Mapping[str, ContextValue],
        check: Check,
        more: Mapping[str, ContextValue],
    ) -> None:
        self._circumstances = circumstances
        self._caller = caller
        self._check = check
        self._more = more
        self._own: dict[str, ContextValue] | None = None

    def get(self, key: str, default: ContextValue | None = None) -> ContextValue | None:  # type: ignore[override]
        """The key's value or values."""
        own = self._own
        if own is None:
            own = self._own = {**self._more, **lowered(self._check.context)}
        value = own.get(key)
        if value is None:
            value = self._caller.get(key)
        if value is None:
            make = _IN_LOWER_CASE.get(key)
            value = make(self._circumstances) if make is not None else None
        return default if value is None else value

    def __getitem__(self, key: str) -> ContextValue:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        names = {**_IN_LOWER_CASE, **self._caller, **self._more, **lowered(self._check.context)}
        return (key for key in names if self.get(key) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def request_context(circumstances: Circumstances) -> dict[str, ContextValue]:
    """The keys that speak of the request, not of who makes it."""
    made = ((name, make(circumstances)) for name, make in _OF_REQUEST.items())
    return {name: value for name, value in made if value is not None}


def lowered(context: Mapping[str, ContextValue]) -> dict[str, ContextValue]:
    """The same with its keys in lower case."""
    return dict(zip(map(str.lower, context), context.values(), strict=True))


def iso(moment: dt.datetime) -> str:
    """`2026-11-23T20:00:00Z`."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=16)
def _iso_of(seconds: int) -> str:
    return iso(dt.datetime.fromtimestamp(seconds, dt.UTC))


def _seconds(circumstances: Circumstances) -> int:
    return int(circumstances.now.timestamp())


_OF_REQUEST: Mapping[str, Callable[[Circumstances], ContextValue | None]] = {
    "aws:CurrentTime": lambda found: _iso_of(_seconds(found)),
    "aws:EpochTime": lambda found: str(_seconds(found)),
    "aws:SecureTransport": lambda found: "true" if found.request.secure else "false",
    "aws:SourceIp": lambda found: found.request.source_ip,
    "aws:RequestedRegion": lambda found: found.region,
    "aws:ViaAWSService": lambda _found: "false",
    "aws:UserAgent": lambda found: found.request.user_agent or None,
}
_IN_LOWER_CASE = {name.lower(): make for name, make in _OF_REQUEST.items()}
