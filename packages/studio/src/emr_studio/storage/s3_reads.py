"""Reads of objects that were allowed before, for reasons that still stand: allowed again without asking anew.

What is remembered is tied to the state of the database (`db.known`: any commit ends it) and to all that a
decision about a read can depend on: whose keys, which object, and every header but those that say when
the request was made or which part of the object is wanted. Kept are only reads whose decision followed from the
caller's own policies without conditions (the `Settled` port), of buckets without a policy and without sealed
objects, so neither time nor address nor tags play a part. The signature is verified each time nevertheless.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sqlalchemy.orm import Session

from emr_studio.aws.context import Caller, Check
from emr_studio.aws.sigv4 import Signature
from emr_studio.clock import Clock
from emr_studio.db import known
from emr_studio.edge.decisions import EdgeAnswer, EdgeRequest
from emr_studio.storage.s3_request import S3Request

_METHODS = frozenset({"GET", "HEAD"})
# They stand for the caller and the time, which are looked at apart, or tell neither of us anything.
_OF_NO_MATTER = frozenset(
    {
        "amz-sdk-invocation-id",
        "amz-sdk-request",
        "authorization",
        "date",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-unmodified-since",
        "range",
        "user-agent",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-user-agent",
    }
)


class Settled(Protocol):
    """What callers may do whatever the circumstances; implemented by `emr_studio.iam.settled`."""

    def stands(self, session: Session, caller: Caller, check: Check) -> bool:
        """True if the check was allowed, and nothing but the caller's policies and the resource's owner decides it."""
        ...

    def used(self, caller: Caller, service: str, region: str, clock: Clock) -> None:
        """The caller was allowed something without `Authorizer` being asked: her keys were used now."""
        ...


class NothingSettled:
    """A `Settled` for an installation that decides each time."""

    def stands(self, session: Session, caller: Caller, check: Check) -> bool:
        return False

    def used(self, caller: Caller, service: str, region: str, clock: Clock) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Allowed:
    """How an allowed read goes on."""

    request: S3Request
    owner: str
    """Account of the bucket."""
    answer: EdgeAnswer


class _Key(NamedTuple):
    kind: str
    access_key_id: str
    session_token: str | None
    method: str
    uri: str
    headers: frozenset[tuple[str, str]]


def key_of(asked: EdgeRequest, headers: Mapping[str, str], signature: Signature) -> Hashable | None:
    """What a read's decision depends on beside the database; None for what is no plain read of an object.

    `headers` have lower-case names.
    """
    if asked.method not in _METHODS or "?" in asked.uri or signature.presigned:
        return None
    rest = frozenset([one for one in headers.items() if one[0] not in _OF_NO_MATTER])
    return _Key("s3-read", signature.access_key_id, signature.session_token, asked.method, asked.uri, rest)


def allowed(session: Session, key: Hashable | None) -> Allowed | None:
    """What was remembered, if it still stands."""
    found = None if key is None else known.recall(session, key)
    return found if isinstance(found, Allowed) else None


def keep(
    session: Session, key: Hashable | None, found: Allowed, checks: Iterable[Check], by: tuple[Settled, Caller]
) -> None:
    """Remember a read that was allowed just now, if it is one of those that may be.

    `checks`: all that it needed, as IAM was asked them.
    """
    settled, caller = by
    answer = found.answer
    # Which headers go to the store follows from those that came, of which all that say so are part of the key.
    is_plain = answer.ask_if_missing and not (answer.uri or answer.identity or answer.final)
    if key is not None and is_plain and all(settled.stands(session, caller, check) for check in checks):
        known.keep(session, key, found)
