"""Signing in, staying signed in, and being signed out: over real IAM, with a clock that we move."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from emr_studio.aws.context import Caller
from emr_studio.aws.errors import AccessDenied
from emr_studio.iam.model import User
from emr_studio.signin.model import ConsoleSession, PresignedToken
from emr_studio.signin.sessions import COOKIE
from tests.support.emr_world import ACCOUNT, OTHER_ACCOUNT, statement
from tests.support.signin_rig import PASSWORD, SignInRig, signin_rig

ENTER = "elasticmapreduce:CreateStudioPresignedUrl"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[SignInRig]:
    with signin_rig(tmp_path) as rig:
        yield rig


def test_a_user_signs_in_at_the_console(rig: SignInRig) -> None:
    caller = rig.person("ann")
    browser = rig.browser(rig.console_host)
    reply = browser.sign_in("ann")
    assert reply.status_code == 200
    body = reply.json()
    assert body["csrfToken"]
    shown = {name: body[name] for name in ("userName", "accountId", "arn", "region")}
    assert shown == {"userName": "ann", "accountId": ACCOUNT, "arn": caller.arn, "region": "us-east-1"}
    assert browser.request("GET", "/_signin").json() == body


@pytest.mark.capability("EN-04")
def test_the_cookie_is_host_only_and_hidden_from_scripts(rig: SignInRig) -> None:
    rig.person("ann")
    reply = rig.browser(rig.console_host).sign_in("ann")
    name, _, rest = reply.headers["set-cookie"].partition("=")
    assert name == "__Host-emr-studio"
    attributes = {part.strip() for part in rest.split(";")[1:]}
    assert attributes == {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"}
    assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["cache-control"] == "no-store"


@pytest.mark.capability("ST-09", "EN-04")
def test_a_cookie_of_one_origin_is_nothing_at_another(rig: SignInRig) -> None:
    rig.person("ann")
    here, other = rig.browser(rig.studio_host), rig.browser(rig.host_of_studio(rig.world.studio(Name="other")))
    assert here.host != other.host
    here.sign_in("ann")
    for host in (other.host, rig.console_host):
        thief = rig.browser(host)
        thief.cookies = dict(here.cookies)
        assert thief.request("GET", "/_signin").status_code == 401
        assert thief.api() is None


@pytest.mark.parametrize(
    ("user_name", "password", "account_id"),
    [
        ("ann", "wrong", ""),
        ("nobody", PASSWORD, ""),
        ("ann", PASSWORD, OTHER_ACCOUNT),
        ("ann", PASSWORD, "000000000000"),
        ("ann", PASSWORD, "x" * 500),
        ("", "", ""),
    ],
)
def test_all_failures_look_alike(rig: SignInRig, user_name: str, password: str, account_id: str) -> None:
    rig.person("ann")
    known = rig.browser(rig.console_host).sign_in("ann", "another wrong one")
    reply = rig.browser(rig.console_host).sign_in(user_name, password, accountId=account_id)
    assert (reply.status_code, reply.content) == (401, known.content)
    assert "set-cookie" not in reply.headers
    assert reply.headers["content-type"] == known.headers["content-type"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"userName": 1, "password": "x"}', b"\xff", b"{" * 100_000])
def test_malformed_credentials_are_400(rig: SignInRig, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert rig.browser(rig.console_host).request("POST", "/_signin", content=body, headers=headers).status_code == 400


def test_a_form_of_another_page_cannot_sign_a_victim_in(rig: SignInRig) -> None:
    rig.person("ann")
    browser = rig.browser(rig.console_host)
    body = f'{{"userName": "ann", "password": "{PASSWORD}"}}'.encode()
    assert browser.request("POST", "/_signin", content=body, headers={"Content-Type": "text/plain"}).status_code == 415
    foreign = {"Origin": f"http://{rig.studio_host}", "Content-Type": "application/json"}
    assert browser.request("POST", "/_signin", content=body, headers=foreign).status_code == 403
    site = {"Sec-Fetch-Site": "same-site", "Content-Type": "application/json"}
    assert browser.request("POST", "/_signin", content=body, headers=site).status_code == 403


def test_guessing_is_slowed_down_for_the_user_and_nobody_else(rig: SignInRig) -> None:
    rig.person("ann")
    rig.person("ben")
    browser = rig.browser(rig.console_host)
    for _ in range(5):
        assert browser.sign_in("ann", "wrong").status_code == 401
    reply = browser.sign_in("ann")
    assert reply.status_code == 429
    assert browser.sign_in("ANN").status_code == 429
    assert browser.sign_in("ben").status_code == 200
    rig.world.clock.advance(int(reply.headers["retry-after"]))
    assert browser.sign_in("ann").status_code == 200
    assert browser.sign_in("ann", "wrong").status_code == 401


@pytest.mark.capability("AU-11")
def test_a_session_ends_15_minutes_after_its_last_use(rig: SignInRig) -> None:
    rig.person("ann")
    browser = rig.browser(rig.console_host)
    csrf = browser.sign_in("ann").json()["csrfToken"]
    for _ in range(3):
        rig.world.clock.advance(890)
        assert browser.api(**{"X-Csrf-Token": csrf}) is not None
    rig.world.clock.advance(901)
    assert browser.api(**{"X-Csrf-Token": csrf}) is None
    assert browser.request("GET", "/_signin").status_code == 401
    assert browser.sign_in("ann").status_code == 200
    assert browser.request("GET", "/_signin").status_code == 200


def test_a_session_that_is_always_used_ends_after_12_hours(rig: SignInRig) -> None:
    rig.person("ann")
    browser = rig.browser(rig.console_host)
    browser.sign_in("ann")
    for _ in range(48):
        rig.world.clock.advance(899)
        assert browser.request("GET", "/_signin").status_code == 200
    rig.world.clock.advance(60)
    assert browser.request("GET", "/_signin").status_code == 401


def test_the_last_use_is_known_to_other_replicas(rig: SignInRig) -> None:
    rig.person("ann")
    browser = rig.browser(rig.console_host)
    browser.sign_in("ann")
    rig.world.clock.advance(600)
    assert browser.request("GET", "/_signin").status_code == 200
    rig.front.sessions.close()
    with rig.world.database.read() as session:
        assert session.scalars(select(ConsoleSession.last_used)).one() == rig.world.clock.now()


@pytest.mark.capability("AU-11")
def test_signing_out_ends_the_session_on_our_side(rig: SignInRig) -> None:
    rig.person("ann")
    browser = rig.browser(rig.console_host)
    browser.sign_in("ann")
    kept = dict(browser.cookies)
    assert browser.request("DELETE", "/_signin").status_code == 200
    assert browser.cookies == {}
    browser.cookies = kept
    assert browser.request("GET", "/_signin").status_code == 401


def test_signing_in_makes_a_new_session_whatever_cookie_was_planted(rig: SignInRig) -> None:
    rig.person("ann")
    browser = rig.browser(rig.console_host)
    browser.cookies[COOKIE] = "planted"
    browser.sign_in("ann")
    first = browser.cookies[COOKIE]
    browser.sign_in("ann")
    assert len({"planted", first, browser.cookies[COOKIE]}) == 3


def test_the_api_wants_the_csrf_token(rig: SignInRig) -> None:
    caller = rig.person("ann")
    browser = rig.browser(rig.console_host)
    csrf = browser.sign_in("ann").json()["csrfToken"]
    found = browser.api(**{"X-Csrf-Token": csrf})
    assert found is not None
    assert (found.arn, found.console) == (caller.arn, True)
    for wrong in ({}, {"X-Csrf-Token": ""}, {"X-Csrf-Token": "wrong"}, {"X-Csrf-Token": "é"}):
        with pytest.raises(AccessDenied):
            browser.api(**wrong)


def test_no_token_is_kept_in_the_database(rig: SignInRig) -> None:
    rig.person("ann")
    browser = rig.browser(rig.console_host)
    browser.sign_in("ann")
    with rig.world.database.read() as session:
        row = session.scalars(select(ConsoleSession)).one()
    assert browser.cookies[COOKIE] not in str(vars(row))


def test_a_deleted_user_is_signed_out_even_if_the_name_comes_back(rig: SignInRig) -> None:
    caller = rig.person("ann")
    browser = rig.browser(rig.console_host)
    browser.sign_in("ann")
    with rig.world.database.write() as session:
        session.get_one(User, caller.user_id).name_key = "gone"
        session.flush()
    with rig.world.database.write() as session:
        session.get_one(User, caller.user_id).name = "gone"
    assert browser.request("GET", "/_signin").status_code == 401
    rig.person("ann")
    assert browser.request("GET", "/_signin").status_code == 401


# Studios.


@pytest.mark.capability("UA-01")
def test_a_studio_takes_whom_iam_assigns_to_it(rig: SignInRig) -> None:
    arn = f"arn:aws:elasticmapreduce:us-east-1:{ACCOUNT}:studio/{rig.studio_id}"
    rig.person("in", statement(ENTER, arn))
    rig.person("out", statement(ENTER, arn + "X"))
    reply = rig.browser(rig.studio_host).sign_in("in")
    assert reply.status_code == 200
    assert reply.json()["studio"]["studioId"] == rig.studio_id
    refused = rig.browser(rig.studio_host).sign_in("out")
    assert refused.status_code == 403
    assert "set-cookie" not in refused.headers


def test_a_studio_can_be_opened_by_its_tags(rig: SignInRig) -> None:
    tagged = rig.world.studio(Name="blue", Tags=[{"Key": "Team", "Value": "blue"}])
    condition = {"StringEquals": {"elasticmapreduce:ResourceTag/Team": "blue"}}
    rig.person("ann", statement(ENTER, "*", **condition))
    assert rig.browser(rig.host_of_studio(tagged)).sign_in("ann").status_code == 200
    assert rig.browser(rig.studio_host).sign_in("ann").status_code == 403


def test_a_changed_policy_acts_on_sessions_that_are_open(rig: SignInRig) -> None:
    caller = rig.person("ann", statement(ENTER))
    browser = rig.browser(rig.studio_host)
    csrf = browser.sign_in("ann").json()["csrfToken"]
    assert browser.api(**{"X-Csrf-Token": csrf}) is not None
    rig.change_policy(caller, statement("s3:ListBucket"))
    assert browser.request("GET", "/_signin").status_code == 401
    with pytest.raises(AccessDenied):
        browser.api(**{"X-Csrf-Token": csrf})


def test_users_of_another_account_cannot_enter(rig: SignInRig) -> None:
    rig.person("eve", account_id=OTHER_ACCOUNT)
    for more in ({}, {"accountId": OTHER_ACCOUNT}):
        assert rig.browser(rig.studio_host).sign_in("eve", **more).status_code == 401
    assert rig.browser(rig.console_host).sign_in("eve", accountId=OTHER_ACCOUNT).status_code == 200


def test_a_studio_that_is_not_there_takes_nobody(rig: SignInRig) -> None:
    rig.person("ann")
    assert rig.browser(rig.host_of_studio("es-NONE")).sign_in("ann").status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "x.y.studio.localhost:8080", "localhost:8081", ""])
def test_other_hosts_have_no_sign_in(rig: SignInRig, host: str) -> None:
    rig.person("ann")
    browser = rig.browser(host)
    assert browser.sign_in("ann").status_code == 404
    assert browser.request("GET", "/_signin").status_code == 404


def studio_link(rig: SignInRig, caller: Caller) -> str:
    with rig.world.database.write() as session:
        url, _ = rig.front.presigned.presign_studio(session, caller, rig.studio_id)
    return url.removeprefix(f"http://{rig.studio_host}")


def test_a_link_opens_a_studio_once_without_a_second_sign_in(rig: SignInRig) -> None:
    caller = rig.person("ann")
    path = studio_link(rig, caller)
    browser = rig.browser(rig.studio_host)
    reply = browser.request("GET", path)
    assert (reply.status_code, reply.headers["location"]) == (302, "/")
    assert browser.request("GET", "/_signin").json()["arn"] == caller.arn
    assert rig.browser(rig.studio_host).request("GET", path).status_code == 403


def test_a_preview_does_not_use_a_link_up(rig: SignInRig) -> None:
    path = studio_link(rig, rig.person("ann"))
    assert rig.browser(rig.studio_host).request("HEAD", path).status_code == 405
    assert rig.browser(rig.studio_host).request("GET", path).status_code == 302


def test_used_and_old_links_leave_nothing(rig: SignInRig) -> None:
    caller = rig.person("ann")
    path = studio_link(rig, caller)
    rig.browser(rig.studio_host).request("GET", path)
    studio_link(rig, caller)
    rig.world.clock.advance(61)
    studio_link(rig, caller)
    with rig.world.database.read() as session:
        assert len(session.scalars(select(PresignedToken)).all()) == 1
