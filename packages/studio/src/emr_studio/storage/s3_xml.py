"""S3's XML: documents that are answered, bodies that are read, errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from emr_studio.aws.errors import AwsError, ClientError

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
XML = "application/xml"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True)
class Served:
    """An answer of ours. `body` is whole, as it goes to the client."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = XML


def document(root: str, inner: str, *, status: int = 200) -> Served:
    """`<root xmlns=…>inner</root>`."""
    return Served(status, f'{_DECLARATION}<{root} xmlns="{NAMESPACE}">{inner}</{root}>'.encode())


def error(problem: AwsError, path: str, request_id: str, *, head: bool = False) -> Served:
    """S3's `Error`; one of HEAD has no body."""
    region = getattr(problem, "region", "")
    more = f"<Region>{escape(region)}</Region>" if region else ""
    body = (
        f"{_DECLARATION}<Error><Code>{escape(problem.code)}</Code><Message>{escape(problem.message)}</Message>{more}"
        f"<Resource>{escape(path)}</Resource><RequestId>{request_id}</RequestId></Error>"
    )
    return Served(problem.status, b"" if head else body.encode(errors="replace"))


def malformed_xml() -> ClientError:
    """S3's MalformedXML."""
    message = "The XML you provided was not well-formed or did not validate against our published schema"
    return ClientError("MalformedXML", message, 400)


def parse(body: bytes, root: str) -> ElementTree.Element:
    """Read a body whose root must be `root`, in S3's namespace or none.

    Raises:
        ClientError: MalformedXML.
    """
    # Neither declarations nor entities have a place in it.
    if b"<!" in body:
        raise malformed_xml()
    try:
        found = ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError):
        raise malformed_xml() from None
    if name_of(found) != root:
        raise malformed_xml()
    return found


def name_of(element: ElementTree.Element) -> str:
    """The element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def text_of(element: ElementTree.Element, path: str) -> str | None:
    """The text at `a/b` below `element`; None if it is not there."""
    found: ElementTree.Element | None = element
    for name in path.split("/"):
        found = next((child for child in found if name_of(child) == name), None) if found is not None else None
    return None if found is None else (found.text or "").strip()
