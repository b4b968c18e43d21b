"""What a bucket's CORS rules say to pages of other origins: preflights, and the answers that are ours.

The rules are the store's to keep, and it puts their headers on its own answers. Which rule matches is
decided here as S3 does ("How does Amazon S3 evaluate the CORS configuration on a bucket?"): the first
whose origins, methods and headers all match.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from xml.etree import ElementTree

import httpx

from emr_studio.aws.errors import AwsError, ClientError, Unavailable
from emr_studio.edge.decisions import EdgeRequest
from emr_studio.storage import s3_xml
from emr_studio.storage.buckets import is_bucket_name
from emr_studio.storage.s3_xml import Served
from emr_studio.storage.store_connection import StoreConnection

_METHOD, _HEADERS = "access-control-request-method", "access-control-request-headers"
_VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
_NOT_ENABLED = "CORSResponse: CORS is not enabled for this bucket."
_NOT_ALLOWED = (
    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / "
    "Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
)


@dataclass(frozen=True)
class Rule:
    """One `CORSRule`, its lists as they were sent."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    seconds: str = ""

    def matches(self, origin: str, method: str, headers: Iterable[str] = ()) -> bool:
        """`headers` in lower case: all that the page wants to send."""
        return (
            any(_like(pattern, origin) for pattern in self.origins)
            and method in self.methods
            and all(any(_like(pattern.lower(), header) for pattern in self.headers) for header in headers)
        )

    def answer(self, origin: str) -> dict[str, str]:
        """The headers for a page of `origin`, which matches."""
        everybody = next(pattern for pattern in self.origins if _like(pattern, origin)) == "*"
        told = {
            "Access-Control-Allow-Origin": "*" if everybody else origin,
            "Access-Control-Allow-Methods": ", ".join(self.methods),
            "Access-Control-Expose-Headers": ", ".join(self.exposed),
            "Access-Control-Max-Age": self.seconds,
            "Access-Control-Allow-Credentials": "" if everybody else "true",
            "Vary": _VARY,
        }
        return {name: value for name, value in told.items() if value}


class Cors:
    """Asks the store for the rules of buckets."""

    def __init__(self, store: StoreConnection) -> None:
        self._store = store

    def preflight(self, bucket: str, asked: EdgeRequest) -> Served:
        """Answer the question of a browser before it sends what another origin's page wants.

        Raises:
            ClientError: AccessForbidden.
            Unavailable: the store does not answer.
        """
        origin, wanted = asked.headers.get("origin", ""), asked.headers.get(_HEADERS, "")
        headers = [name.strip().lower() for name in wanted.split(",") if name.strip()]
        rules = self._rules(bucket)
        rule = next((rule for rule in rules if rule.matches(origin, asked.headers.get(_METHOD, ""), headers)), None)
        if rule is None:
            raise ClientError("AccessForbidden", _NOT_ALLOWED if rules else _NOT_ENABLED, 403)
        allowed = {"Access-Control-Allow-Headers": ", ".join(headers)} if headers else {}
        return Served(headers=rule.answer(origin) | allowed)

    def headers(self, bucket: str, method: str, headers: Mapping[str, str]) -> dict[str, str]:
        """What an answer of ours needs so that the page that asked may read it; nothing where no rule lets it."""
        origin = headers.get("origin")
        if not origin or not is_bucket_name(bucket):
            return {}
        try:
            rule = next((rule for rule in self._rules(bucket) if rule.matches(origin, method)), None)
        except AwsError:  # then only the page cannot read the answer
            return {}
        return rule.answer(origin) if rule else {}

    def put_on(self, answer: Served, bucket: str, method: str, headers: Mapping[str, str]) -> Served:
        """The answer with such headers."""
        return replace(answer, headers={**answer.headers, **self.headers(bucket, method, headers)})

    def _rules(self, bucket: str) -> list[Rule]:
        answer = self._store.get(bucket, {"cors": ""})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return []
        try:
            answer.raise_for_status()
            return [_rule(element) for element in ElementTree.fromstring(answer.content)]
        except (httpx.HTTPError, ElementTree.ParseError) as error:
            raise Unavailable("The store does not answer. Try again.") from error


def _rule(element: ElementTree.Element) -> Rule:
    def texts(name: str) -> tuple[str, ...]:
        return tuple((child.text or "").strip() for child in element if s3_xml.name_of(child) == name)

    return Rule(
        texts("AllowedOrigin"), texts("AllowedMethod"), texts("AllowedHeader"), texts("ExposeHeader"),
        next((seconds for seconds in texts("MaxAgeSeconds") if seconds), ""),
    )  # fmt: skip


def _like(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), text) is not None
