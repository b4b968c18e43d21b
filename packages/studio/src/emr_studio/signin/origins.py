"""Which origin a Host header names: every Studio, Workspace and application UI has its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from emr_studio.settings import Settings


class Kind(StrEnum):
    CONSOLE = "console"
    STUDIO = "studio"
    WORKSPACE = "workspace"
    APP_UI = "appui"


@dataclass(frozen=True)
class Origin:
    """`host` is the Host header in lower case, `resource_id` in AWS's spelling (`es-ABC…`)."""

    kind: Kind
    host: str
    resource_id: str | None
    scheme: str

    @property
    def url(self) -> str:
        """As browsers send it in `Origin`."""
        return f"{self.scheme}://{self.host}"


def parse_host(settings: Settings, host: str) -> Origin | None:
    """Return the origin that `host` (with port) names; None for a host that is not ours."""
    host = host.lower()
    base = settings.host_port.lower()
    if host in (base, f"127.0.0.1:{settings.port}"):
        return Origin(Kind.CONSOLE, host, None, settings.scheme)
    for kind in (Kind.STUDIO, Kind.WORKSPACE, Kind.APP_UI):
        label = host.removesuffix(f".{kind}.{base}")
        if label != host and label and "." not in label:
            return Origin(kind, host, resource_id(label), settings.scheme)
    return None


def resource_id(label: str) -> str:
    """`es-abc1` in a host name is `es-ABC1` elsewhere."""
    prefix, dash, rest = label.partition("-")
    return prefix + dash + rest.upper()


def host_of(url: str) -> str:
    """Host and port of one of our own URLs, lower case."""
    return url.partition("://")[2].partition("/")[0].lower()


def from_own_page(headers: Mapping[str, str], origin: Origin) -> bool:
    """False if a browser says that a page of another origin made this request."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    return headers.get("origin", origin.url) == origin.url


def source_ip(headers: Mapping[str, str]) -> str:
    """The client's address as the edge saw it: only the edge can write to our socket."""
    return headers.get("x-forwarded-for", "").rpartition(",")[2].strip() or "127.0.0.1"
