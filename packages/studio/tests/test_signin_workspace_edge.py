"""Who passes to a Workspace, and with what."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from emr_studio.edge.decisions import DELETE
from emr_studio.edge.identity import IdentityError, verify
from emr_studio.iam.callers import root_caller
from emr_studio.iam.entities import get_account
from emr_studio.signin.sessions import COOKIE
from tests.support.emr_world import ACCOUNT, OTHER_ACCOUNT, statement
from tests.support.signin_rig import SignInRig, signin_rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[SignInRig]:
    with signin_rig(tmp_path) as rig:
        yield rig


def test_opening_leads_to_the_notebook_with_a_cookie_of_the_workspace(rig: SignInRig) -> None:
    host, path = rig.open_url(rig.person("ann"), notebook="Größe 1.ipynb")
    reply = rig.browser(host).request("GET", path)
    assert reply.headers["location"] == "/lab/tree/Gr%C3%B6%C3%9Fe%201.ipynb"
    assert reply.headers["set-cookie"].startswith(f"{COOKIE}=")
    assert reply.headers["referrer-policy"] == "no-referrer"


def test_the_edge_is_told_where_and_who(rig: SignInRig) -> None:
    caller = rig.person("ann")
    browser = rig.opened(caller)
    browser.cookies["_xsrf"] = "2|abc"
    answer = browser.ask("/api/contents?x=1")
    assert (answer.status, answer.upstream) == (200, rig.address)
    assert answer.headers["Cookie"] == "_xsrf=2|abc"
    public_key = rig.front.issuer.public_key_pem
    claims = verify(answer.identity, public_key, rig.editor_id, rig.world.clock.now())
    assert (claims["sub"], claims["name"], claims["arn"]) == (caller.user_id, "ann", caller.arn)
    assert claims["account"] == ACCOUNT
    with pytest.raises(IdentityError):
        verify(answer.identity, public_key, "e-OTHER", rig.world.clock.now())
    rig.world.clock.advance(61)
    with pytest.raises(IdentityError):
        verify(answer.identity, public_key, rig.editor_id, rig.world.clock.now())


def test_the_session_never_reaches_the_workspace(rig: SignInRig) -> None:
    browser = rig.opened(rig.person("ann"))
    assert browser.ask().headers == {"Cookie": DELETE, "Authorization": DELETE}


@pytest.mark.capability("AU-13")
def test_a_link_opens_once_within_a_minute_as_who_made_it(rig: SignInRig) -> None:
    ann = rig.person("ann")
    host, path = rig.open_url(ann)
    browser = rig.browser(host)
    assert browser.request("GET", path).status_code == 302
    assert rig.browser(host).request("GET", path).status_code == 403
    identity = browser.ask().identity
    claims = verify(identity, rig.front.issuer.public_key_pem, rig.editor_id, rig.world.clock.now())
    assert claims["arn"] == ann.arn
    host, path = rig.open_url(ann)
    rig.world.clock.advance(60)
    late = rig.browser(host).request("GET", path)
    assert (late.status_code, late.headers.get("set-cookie")) == (403, None)


def test_of_two_who_open_a_link_at_once_one_gets_in(rig: SignInRig) -> None:
    host, path = rig.open_url(rig.person("ann"))
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda: codes.append(rig.browser(host).request("GET", path).status_code))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [302, 403, 403, 403]


@pytest.mark.capability("AU-13")
def test_a_link_to_one_workspace_opens_no_other(rig: SignInRig) -> None:
    ann, other = rig.person("ann"), rig.editor()
    _, path = rig.open_url(ann)
    assert rig.browser(rig.host_of_editor(other)).request("GET", path).status_code == 403
    browser = rig.opened(ann)
    thief = rig.browser(rig.host_of_editor(other))
    thief.cookies = dict(browser.cookies)
    assert thief.ask().status == 401


@pytest.mark.parametrize("token", ["", "x", "%00", "a" * 10_000])
def test_made_up_tokens_are_refused(rig: SignInRig, token: str) -> None:
    browser = rig.browser(rig.host_of_editor(rig.editor_id))
    reply = browser.request("GET", f"/_studio/open?token={token}")
    assert reply.status_code == 403
    browser.cookies[COOKIE] = token
    assert browser.ask().status == 401


@pytest.mark.capability("AU-12")
def test_root_gets_403(rig: SignInRig) -> None:
    with rig.world.database.read() as session:
        root = root_caller(get_account(session, ACCOUNT))
    host, path = rig.open_url(root)
    reply = rig.browser(host).request("GET", path)
    assert (reply.status_code, reply.headers.get("set-cookie")) == (403, None)
    assert "403: Forbidden" in reply.text


def test_callers_of_another_account_get_nothing(rig: SignInRig) -> None:
    host, path = rig.open_url(rig.person("eve", account_id=OTHER_ACCOUNT))
    assert rig.browser(host).request("GET", path).status_code == 403


def test_a_policy_taken_away_acts_within_two_seconds(rig: SignInRig) -> None:
    ann = rig.person("ann", statement("elasticmapreduce:OpenEditorInConsole"))
    browser = rig.opened(ann)
    assert browser.ask().status == 200
    rig.change_policy(ann, statement("s3:ListBucket"))
    # A page that was cut off comes back at once.
    assert browser.ask("/api/kernels/1/channels", upgrade=True).status == 403
    rig.world.clock.advance(2)
    assert browser.ask().status == 403


def test_pages_are_led_to_the_studio_and_scripts_are_told(rig: SignInRig) -> None:
    browser = rig.browser(rig.host_of_editor(rig.editor_id))
    page = browser.ask("/lab", Accept="text/html", Sec_Fetch_Mode="navigate")
    assert page.status == 302
    assert page.response_headers["Location"] == f"http://{rig.studio_host}/#/open/{rig.editor_id}"
    assert browser.ask("/lab", Accept="text/html").status == 302
    assert browser.ask("/api/status", Accept="*/*").status == 401
    assert browser.ask("/api/status", Accept="text/html", Sec_Fetch_Mode="cors").status == 401
    assert browser.ask("/api/kernels/1/channels", Accept="text/html", upgrade=True).status == 401
    assert browser.ask("/api/contents/x", "PUT", Accept="text/html").status == 401


def test_pages_of_other_origins_cannot_use_the_session(rig: SignInRig) -> None:
    browser = rig.opened(rig.person("ann"))
    own = f"http://{browser.host}"
    other = f"http://{rig.host_of_editor(rig.editor())}"
    assert browser.ask(upgrade=True, Origin=own).status == 200
    assert browser.ask(upgrade=True, Origin=other).status == 403
    assert browser.ask("/api/contents/x", "PUT", Origin=other).status == 403
    assert browser.ask("/api/contents/x", Origin="null").status == 403
    assert browser.ask("/api/shutdown", "POST", Sec_Fetch_Site="same-site").status == 403
    assert browser.ask("/files/x", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors").status == 403
    for dest, status in (("document", 200), ("iframe", 403)):
        how = browser.ask("/lab", Sec_Fetch_Site="same-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest=dest)
        assert how.status == status


def test_a_workspace_that_does_not_run_says_so(rig: SignInRig) -> None:
    browser = rig.opened(rig.person("ann"))
    rig.set_editor(rig.editor_id, status="Starting", address="")
    waiting = browser.ask("/lab", Accept="text/html")
    assert waiting.status == 503
    assert b"refresh" in waiting.body
    rig.set_editor(rig.editor_id, status="Idle")
    stopped = browser.ask("/lab", Accept="text/html")
    assert b"stopped" in stopped.body
    assert browser.ask("/api/status").status == 503


def test_opening_waits_for_a_workspace_that_starts(rig: SignInRig) -> None:
    ann = rig.person("ann")
    rig.set_editor(rig.editor_id, status="Starting", address="")
    timer = threading.Timer(0.3, rig.set_editor, (rig.editor_id,), {"status": "Ready", "address": rig.address})
    timer.start()
    browser = rig.opened(ann)
    assert browser.ask().status == 200
    timer.join()


def test_an_address_that_is_a_link_to_another_socket_is_not_dialled(rig: SignInRig, tmp_path: Path) -> None:
    link = tmp_path / "s.sock"
    link.symlink_to("/run/other.sock")
    rig.set_editor(rig.editor_id, address=f"unix/{link}")
    assert rig.opened(rig.person("ann")).ask().status == 503


def test_a_workspace_session_is_no_session_of_the_api(rig: SignInRig) -> None:
    browser = rig.opened(rig.person("ann"))
    assert browser.api() is None
    thief = rig.browser(rig.console_host)
    thief.cookies = dict(browser.cookies)
    assert thief.api() is None


def test_leaving_ends_the_session_and_leads_to_the_studio(rig: SignInRig) -> None:
    browser = rig.opened(rig.person("ann"))
    kept = dict(browser.cookies)
    reply = browser.request("GET", "/_studio/signout")
    assert reply.headers["location"] == f"http://{rig.studio_host}"
    assert browser.cookies == {}
    browser.cookies = kept
    assert browser.ask().status == 401


def test_a_session_ends_when_the_workspace_is_left_alone(rig: SignInRig) -> None:
    browser = rig.opened(rig.person("ann"))
    for _ in range(3):
        rig.world.clock.advance(600)
        assert browser.ask().status == 200
    rig.world.clock.advance(901)
    assert browser.ask().status == 401


def test_hosts_that_are_no_workspace_are_404(rig: SignInRig) -> None:
    for host in ("localhost:8080", "evil.example", rig.studio_host, "e-none.workspace.localhost:8080"):
        assert rig.browser(host).ask("/", Accept="text/html").status == 404


@pytest.mark.capability("WS-13")
def test_one_user_at_a_time(rig: SignInRig) -> None:
    ann, bob = rig.person("ann"), rig.person("bob")
    first, second = rig.opened(ann), rig.opened(bob)
    rig.set_editor(rig.editor_id, open_by_user_id=ann.user_id, open_by_name="ann", open_seen_at=rig.world.clock.now())
    assert first.ask().status == 200
    refused = second.ask()
    assert refused.status == 403
    assert b"ann has this Workspace open" in refused.body
    for _ in range(3):
        rig.world.clock.advance(500)
        assert first.ask().status == 200, "her own use keeps her hold"
        assert second.ask().status == 403
    rig.set_editor(rig.editor_id, open_by_user_id=None, open_by_name=None, open_seen_at=None)
    rig.world.clock.advance(2)
    assert second.ask().status == 200
    rig.world.clock.advance(2)
    assert first.ask().status == 403, "who came first holds it now"


@pytest.mark.capability("CL-16")
def test_with_a_runtime_role_it_is_for_who_attached_it(rig: SignInRig) -> None:
    ann, ben = rig.person("ann"), rig.person("ben")
    rig.set_editor(rig.editor_id, role_user_id=ann.user_id)
    refused = rig.opened(ben).ask()
    assert (refused.status, b"attached this Workspace with a runtime role" in refused.body) == (403, True)
    assert rig.opened(ann).ask().status == 200
    rig.set_editor(rig.editor_id, role_user_id=None, open_by_user_id=None, open_by_name=None, open_seen_at=None)
    assert rig.opened(ben).ask().status == 200


@pytest.mark.capability("CO-05")
def test_collaborators_are_in_it_together_and_nobody_else(rig: SignInRig) -> None:
    owner, ann, eve = rig.world.admin, rig.person("ann"), rig.person("eve")
    rig.world.call("UpdateEditor", EditorId=rig.editor_id, CollaborationEnabled=True)
    rig.world.call("PutWorkspaceAccess", EditorId=rig.editor_id, IdentityName="ann")
    browsers = [rig.opened(caller) for caller in (owner, ann)]
    assert [browser.ask().status for browser in browsers] == [200, 200]
    refused = rig.opened(eve).ask()
    assert (refused.status, b"Only its owner and collaborators" in refused.body) == (403, True)
    assert rig.world.call("DescribeEditor", EditorId=rig.editor_id)["Editor"]["User"] == "admin"
    for _ in range(2):
        rig.world.clock.advance(500)
        assert browsers[1].ask().status == 200
    assert rig.world.call("DescribeEditor", EditorId=rig.editor_id)["Editor"]["User"] == "ann", "the owner has left"
    rig.world.call("DeleteWorkspaceAccess", EditorId=rig.editor_id, IdentityName="ann")
    rig.world.clock.advance(2)
    assert browsers[1].ask().status == 403
    rig.world.call("UpdateEditor", EditorId=rig.editor_id, CollaborationEnabled=False)
    rig.world.clock.advance(900)
    assert rig.opened(eve).ask().status == 200
