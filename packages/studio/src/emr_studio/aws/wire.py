"""A request and a response as they stand on the wire, free of any web framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl

_MAX_FIELDS = 20_000


@dataclass
class WireRequest:
    """A request as it was sent.

    `path` and `query` are raw (still percent-encoded: the signature is over these); header names are
    lower-case, repeated headers joined by a comma.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""
    source_ip: str = "127.0.0.1"
    secure: bool = False

    @cached_property
    def query_parameters(self) -> dict[str, str]:
        """The decoded query; of a repeated name the last value."""
        return dict(parse_qsl(self.query, keep_blank_values=True, max_num_fields=_MAX_FIELDS)) if self.query else {}

    @cached_property
    def form(self) -> dict[str, str]:
        """The parameters of a query-protocol call: the query's, then the form body's.

        Raises:
            ValueError: if the body is not a form in UTF-8, or has more than 20,000 fields.
        """
        fields = dict(self.query_parameters)
        content_type = self.headers.get("content-type", "")
        if self.body and not content_type.startswith(("application/x-amz-json", "application/json")):
            text = self.body.decode("utf-8")
            fields.update(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS))
        return fields


@dataclass
class WireResponse:
    """A response before it is sent."""

    status: int
    content_type: str
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
