"""What the resolvers of Workspaces and application UIs have in common: who asks, and answers that a browser shows."""

from __future__ import annotations

import msgspec
from starlette.requests import cookie_parser

from emr_studio.edge.decisions import DELETE, EdgeAnswer, EdgeRequest
from emr_studio.signin.origins import Origin
from emr_studio.signin.pages import SECURITY_HEADERS, page
from emr_studio.signin.sessions import COOKIE

_HTML = "text/html; charset=utf-8"


def other_cookies(request: EdgeRequest) -> str:
    """The Cookie header without ours; our cookie's name in any spelling goes."""
    pairs = [pair.strip() for pair in request.headers.get("cookie", "").split(";")]
    kept = [pair for pair in pairs if pair and COOKIE not in cookie_parser(pair)]
    return "; ".join(kept) or DELETE


def from_elsewhere(request: EdgeRequest, origin: Origin) -> bool:
    """True for what a page of another origin asks in the user's name, links to open it aside.

    SameSite does not tell Workspaces apart: to a browser all of `*.workspace.<domain>` may be one site.
    """
    headers = request.headers
    if headers.get("origin", origin.url) != origin.url:
        return True
    if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return False
    is_link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return not (is_link and request.method in ("GET", "HEAD") and not request.upgrade)


def is_page_load(request: EdgeRequest) -> bool:
    """True if a browser loads a page, to which it may be redirected."""
    if request.upgrade or request.method not in ("GET", "HEAD"):
        return False
    mode = request.headers.get("sec-fetch-mode")
    return mode == "navigate" if mode else "text/html" in request.headers.get("accept", "")


def edge_refusal(status: int, message: str) -> EdgeAnswer:
    """An answer for scripts."""
    body = msgspec.json.encode({"message": message})
    return EdgeAnswer(status, body=body, content_type="application/json", response_headers=SECURITY_HEADERS)


def edge_page(
    status: int, title: str, text: str, *, link: tuple[str, str] | None = None, refresh: bool = False
) -> EdgeAnswer:
    """An answer for people."""
    body = page(title, text, link=link, refresh=refresh)
    return EdgeAnswer(status, body=body, content_type=_HTML, response_headers=SECURITY_HEADERS)
