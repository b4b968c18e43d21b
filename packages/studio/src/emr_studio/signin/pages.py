"""Answers that browsers see from sign-in: JSON, redirects, and plain pages without scripts."""

from __future__ import annotations

import html
from collections.abc import Mapping

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from emr_studio.signin.sessions import COOKIE, COOKIE_ATTRIBUTES

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On everything that sign-in answers."""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>{refresh}
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color:#16191f}}
h1{{font-size:1.4rem}}</style></head>
<body><main><h1>{title}</h1><p>{text}</p>{link}</main></body></html>
"""


def page(title: str, text: str, *, link: tuple[str, str] | None = None, refresh: bool = False) -> bytes:
    """A small page; `link` is (address, words), `refresh` loads it again each second."""
    anchor = f'<p><a href="{html.escape(link[0])}">{html.escape(link[1])}</a></p>' if link else ""
    meta = '<meta http-equiv="refresh" content="1">' if refresh else ""
    return _PAGE.format(title=html.escape(title), text=html.escape(text), link=anchor, refresh=meta).encode()


def page_response(status: int, body: bytes) -> Response:
    return HTMLResponse(body, status, SECURITY_HEADERS)


def json_response(body: Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(body, status, SECURITY_HEADERS | dict(headers or {}))


def refused(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error as the console reads it."""
    return json_response({"message": message}, status, headers)


def redirect(path: str) -> Response:
    """To a path of the same origin, or to one of our own URLs; never to what a request names."""
    return RedirectResponse(path, 302, SECURITY_HEADERS)


def with_cookie(response: Response, token: str) -> Response:
    """Set the session's cookie. No Max-Age: it ends with the browser, or earlier on our side."""
    response.headers.append("Set-Cookie", f"{COOKIE}={token}{COOKIE_ATTRIBUTES}")
    return response


def without_cookie(response: Response) -> Response:
    """Remove the session's cookie."""
    response.headers.append("Set-Cookie", f"{COOKIE}={COOKIE_ATTRIBUTES}; Max-Age=0")
    return response
