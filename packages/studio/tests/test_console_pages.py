"""The console's pages: headers, files, defaults; and that they leave the AWS API's requests alone."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from emr_studio.aws.errors import AccessDenied
from emr_studio.console.pages import console_routes

_INDEX = "<!doctype html><title>EMR Studio</title>"


@pytest.fixture
def built(tmp_path: Path) -> Path:
    assets = tmp_path / "static" / "assets"
    assets.mkdir(parents=True)
    (assets.parent / "index.html").write_text(_INDEX)
    (assets / "index-Ab12_3.js").write_text("export {};")
    (assets / "font-Ab12.woff2").write_bytes(b"wOF2")
    (tmp_path / "secret").write_text("not yours")
    return assets.parent


def _browser(static: Path) -> httpx.AsyncClient:
    def account_of(request: Request) -> str | None:
        if request.cookies.get("account") == "elsewhere":
            raise AccessDenied("You are not assigned to this Studio.")
        return request.cookies.get("account")

    async def aws(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("aws")

    api = Route("/", aws, methods=["GET", "POST"])
    pages = console_routes(lambda account_id: {"accountId": account_id}, account_of, static)
    transport = httpx.ASGITransport(Starlette(routes=[*pages, api]))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost:8080")


async def test_page_is_never_kept_and_may_load_only_its_own_origin(built: Path) -> None:
    answer = await _browser(built).get("/")
    assert answer.text == _INDEX
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["script-src"] == "'self'"
    assert policy["style-src"] == "'self' 'unsafe-inline'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["default-src"] == "'none'"


async def test_console_that_was_not_built_says_what_to_do(tmp_path: Path) -> None:
    answer = await _browser(tmp_path / "nothing").get("/")
    assert answer.status_code == 503
    assert "make install" in answer.text
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("name", "media_type"), [("index-Ab12_3.js", "text/javascript; charset=utf-8"), ("font-Ab12.woff2", "font/woff2")]
)
async def test_assets_are_kept_for_ever(built: Path, name: str, media_type: str) -> None:
    answer = await _browser(built).get(f"/assets/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "path", ["/assets/none.js", "/assets/..%2f..%2fsecret", "/assets/%2e%2e", "/assets/.hidden", "/assets/%00"]
)
async def test_no_other_file_is_served(built: Path, path: str) -> None:
    assert (await _browser(built).get(path)).status_code == 404


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("/?X-Amz-Algorithm=AWS4-HMAC-SHA256", {}),
        ("/", {"Authorization": "AWS4-HMAC-SHA256 Credential=x"}),
        ("/", {"X-Amz-Target": "ElasticMapReduce.ListStudios"}),
    ],
)
async def test_requests_of_the_aws_api_pass_by(built: Path, url: str, headers: dict[str, str]) -> None:
    browser = _browser(built)
    assert (await browser.get(url, headers=headers)).text == "aws"
    assert (await browser.post("/")).text == "aws"


async def test_defaults_are_for_who_is_signed_in(built: Path) -> None:
    browser = _browser(built)
    refused = await browser.get("/_console/defaults")
    assert refused.status_code == 401
    assert refused.json()["__type"] == "MissingAuthenticationTokenException"
    answer = await browser.get("/_console/defaults", headers={"Cookie": "account=123456789012"})
    assert answer.json() == {"accountId": "123456789012"}
    assert answer.headers["cache-control"] == "no-store"
    denied = await browser.get("/_console/defaults", headers={"Cookie": "account=elsewhere"})
    assert (denied.status_code, denied.json()["__type"]) == (403, "AccessDeniedException")
