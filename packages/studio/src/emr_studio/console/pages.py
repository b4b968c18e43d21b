"""Pages of the web console: the one page, its files, and what its forms are prefilled with.

The console is built from `console/` into `static/` beside this module. Its routes are behind the `#`
of the URL, so every page load is the same `index.html`; what it may load and call is its own origin.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from emr_studio.aws.errors import AwsError
from emr_studio.aws.pipeline import is_aws_request

STATIC = Path(__file__).resolve().parent / "static"
"""Where the built console lies (git-ignored)."""

Defaults = Callable[[str], Mapping[str, object]]
"""What the forms of an account's console are filled with at first."""
AccountOf = Callable[[Request], str | None]
"""The account of who is signed in, by the request's cookie; None: nobody is.

May raise AccessDenied, for a session whose token is missing or that may not be here.
"""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        # Cloudscape positions its pop-ups by style attributes.
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_PAGE_HEADERS = {**SECURITY_HEADERS, "Cache-Control": "no-store"}
# The names hold a hash of the content: what one of them holds never changes.
_ASSET_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
_ASSET_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
# Not left to the machine's own table of types, which differs.
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".ttf": "font/ttf",
    ".json": "application/json",
    ".map": "application/json",
}

_NOT_SIGNED_IN = {"__type": "MissingAuthenticationTokenException", "message": "You are not signed in."}
_NOT_BUILT = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>EMR Studio</title></head>
<body style="font-family: sans-serif; max-width: 40em; margin: 10vh auto; padding: 0 1em">
<h1>The console is not built yet</h1>
<p>Run <code>make install</code> in the checkout, then load this page again.</p>
<p>The AWS API at this address works without it.</p>
</body>
</html>
"""


def index_page(static: Path = STATIC) -> Response:
    """The console's page; a plain one with status 503 that says what to do when it was not built."""
    page = static / "index.html"
    try:
        content = page.read_text(encoding="utf-8")
    except FileNotFoundError:
        return HTMLResponse(_NOT_BUILT, status_code=503, headers=_PAGE_HEADERS)
    return HTMLResponse(content, headers=_PAGE_HEADERS)


def asset(name: str, static: Path = STATIC) -> Response:
    """One built file; 404 for any other name."""
    path = static / "assets" / name
    if not _ASSET_NAME.fullmatch(name) or not path.is_file():
        return PlainTextResponse("Not found", status_code=404, headers=_PAGE_HEADERS)
    media_type = _TYPES.get(path.suffix, "application/octet-stream")
    return FileResponse(path, media_type=media_type, headers=_ASSET_HEADERS)


class _PageRoute(Route):
    """The page at `/`, unless the request is one of the AWS API (a presigned GET, for example)."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and is_aws_request(scope):
            return Match.NONE, {}
        return super().matches(scope)


def console_routes(defaults: Defaults, account_of: AccountOf, static: Path = STATIC) -> list[BaseRoute]:
    """The console's routes, all GET: the page, its files, `/_console/defaults`.

    Both functions are called in a worker thread. POST to `/` stays free for the AWS operations.
    """

    async def page(_request: Request) -> Response:
        return await run_in_threadpool(index_page, static)

    async def file(request: Request) -> Response:
        return await run_in_threadpool(asset, request.path_params["name"], static)

    def prefilled(request: Request) -> Response:
        try:
            account_id = account_of(request)
        except AwsError as error:
            body = {"__type": error.code, "message": error.message}
            return JSONResponse(body, status_code=403, headers=_PAGE_HEADERS)
        if account_id is None:
            return JSONResponse(_NOT_SIGNED_IN, status_code=401, headers=_PAGE_HEADERS)
        return JSONResponse(dict(defaults(account_id)), headers=_PAGE_HEADERS)

    return [
        _PageRoute("/", page, methods=["GET"]),
        Route("/index.html", page, methods=["GET"]),
        Route("/assets/{name}", file, methods=["GET"]),
        # Not a coroutine, so Starlette runs it in a worker thread: it asks the database.
        Route("/_console/defaults", prefilled, methods=["GET"]),
    ]
