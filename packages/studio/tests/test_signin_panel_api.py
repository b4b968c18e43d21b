"""What a Workspace's page may ask of the AWS API, and what it may not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from emr_studio.aws.context import Caller
from emr_studio.aws.pipeline import AwsApplication, Call
from emr_studio.aws.registry import registry
from emr_studio.clusters import operations as clusters_operations  # noqa: F401 (registers what can be called)
from emr_studio.clusters.history import operations as history_operations  # noqa: F401
from emr_studio.iam.callers import root_caller
from emr_studio.iam.entities import get_account
from emr_studio.iam.identity import IamAuthorizer, IamCredentialStore
from emr_studio.iam.sealing import Sealer
from emr_studio.runtime.contract import ProcessSpec
from emr_studio.runtime.inprocess import InProcessRuntime, KeptFile
from emr_studio.signin.origins import parse_host
from emr_studio.signin.panel_api import ACCOUNT as REPOSITORIES
from emr_studio.signin.panel_api import ATTACHED, OWN, PATH, READ, PanelApi
from emr_studio.storage.versions import FileVersion
from emr_studio.workspaces.model import Editor
from emr_studio.workspaces.repositories import operations as repositories_operations  # noqa: F401
from tests.support.api_server import serve
from tests.support.emr_world import ACCOUNT, statement
from tests.support.signin_rig import Browser, SignInRig, signin_rig

ALL = {"elasticmapreduce:OpenEditorInConsole", "elasticmapreduce:DescribeEditor"}


class Trail:
    """Keeps what would be recorded."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def record(self, call: Call) -> None:
        self.calls.append(call)


@pytest.fixture
def trail() -> Trail:
    return Trail()


@pytest.fixture
def runtime() -> InProcessRuntime:
    return InProcessRuntime(instant=True)


@pytest.fixture
def rig(tmp_path: Path, trail: Trail, runtime: InProcessRuntime) -> Iterator[SignInRig]:
    with signin_rig(tmp_path) as rig:
        world, front = rig.world, rig.front
        sealer = Sealer.load(world.settings.keys_dir)
        with world.database.read() as session:
            ports = world.context(session, world.admin).ports
        api = AwsApplication(
            world.database,
            world.clock,
            registry,
            credentials=IamCredentialStore(sealer),
            sessions=front.sessions,
            authorizer=IamAuthorizer(),
            ports=ports,
            recorder=trail,
        )
        panel = PanelApi(world.settings, world.database, world.clock, front.sessions, api.answer, runtime)
        app = Starlette(routes=[*front.sign_in.routes(), *panel.routes()])
        with serve(app) as url, httpx.Client(base_url=url, timeout=90) as rig.client:
            yield rig


def ask(browser: Browser, operation: str, headers: dict[str, str] | None = None, /, **given: Any) -> httpx.Response:
    return browser.request("POST", f"{PATH}/{operation}", json=given, headers=headers or {})


def denied(reply: httpx.Response) -> str:
    assert reply.status_code in (400, 403), reply.text
    found = reply.json()
    assert found["__type"] == "AccessDeniedException"
    return str(found.get("Message") or found.get("message"))


def row(rig: SignInRig, editor_id: str = "") -> Editor:
    with rig.world.database.read() as session:
        return session.get_one(Editor, editor_id or rig.editor_id)


def test_a_page_asks_about_its_own_workspace_as_its_user(rig: SignInRig, trail: Trail) -> None:
    ann = rig.person("ann")
    browser = rig.opened(ann)
    reply = ask(browser, "DescribeEditor")
    assert reply.json()["Editor"]["EditorId"] == rig.editor_id
    assert reply.headers["cache-control"] == "no-store"
    call = trail.calls[-1]
    assert (call.caller and call.caller.arn, call.model and call.model.name) == (ann.arn, "DescribeEditor")
    assert ask(browser, "ListClusters", ClusterStates=["WAITING"]).json() == {"Clusters": []}


def test_attach_and_detach_are_wanted_as_by_the_cli(rig: SignInRig) -> None:
    browser, cluster = rig.opened(rig.person("ann")), rig.world.cluster()
    engine = {"Id": cluster, "Type": "EMR"}
    assert ask(browser, "AttachEditor", ExecutionEngine=engine).status_code == 200
    assert row(rig).wanted_cluster_id == cluster
    rig.set_editor(rig.editor_id, status="Attached", attached_cluster_id=cluster)
    assert ask(browser, "DetachEditor").status_code == 200
    assert row(rig).wanted_cluster_id is None


@pytest.mark.capability("CL-07")
def test_what_does_not_fit_is_told_with_the_reason_to_who_may_list(rig: SignInRig) -> None:
    ann = rig.person("ann")
    browser = rig.opened(ann)
    assert browser.request("GET", f"{PATH}/unfit").json() == {"Unfit": {}}
    rig.world.cluster()
    bare = rig.world.cluster("127.31.0.10", applications=["Spark"])
    abroad = rig.world.cluster("127.31.0.11", vpc_id="vpc-0")
    old = rig.world.cluster("127.31.0.12", release_label="emr-5.31.0")
    found = browser.request("GET", f"{PATH}/unfit").json()["Unfit"]
    assert sorted(found) == sorted([bare, abroad, old])
    assert "too old" in found[old]
    assert "lacks the application(s) Livy, JupyterEnterpriseGateway" in found[bare]
    assert "vpc-0" in found[abroad]
    rig.change_policy(ann, statement([*sorted(ALL), "elasticmapreduce:CreateStudioPresignedUrl"]))
    assert browser.request("GET", f"{PATH}/unfit").json() == {"Unfit": {}}


@pytest.mark.parametrize(
    ("kind", "changes", "code", "advice"),
    [
        ("", {"status": "Ready", "attached_cluster_id": None}, "NO_COMPUTE", "Compute panel"),
        ("", {"status": "Attaching", "attached_cluster_id": None}, "ATTACHING", ""),
        ("", {"wanted_role_arn": "arn:aws:iam::123456789012:role/r"}, "RUNTIME_ROLE", "%%sql"),
        ("JUPYTER_GATEWAY", {}, "OUTSIDE_GATEWAY", "one of its kernels"),
        ("LIVY", {}, "OUTSIDE_LIVY", "SQL notebook"),
        ("SPARK_CONNECT", {}, None, ""),
        ("", {}, None, ""),
    ],
)
def test_where_there_is_no_sql_explorer_the_reason_is_told(
    rig: SignInRig, kind: str, changes: dict[str, Any], code: str | None, advice: str
) -> None:
    browser = rig.opened(rig.person("ann"))
    outside: dict[str, Any] = {
        "details": {"OutsideCluster": {"Type": kind, "Url": "https://x", "AuthenticationType": "NONE"}}
    }
    cluster = rig.world.cluster(**outside) if kind else rig.world.cluster()
    rig.set_editor(rig.editor_id, **({"status": "Attached", "attached_cluster_id": cluster} | changes))
    reply = browser.request("GET", f"{PATH}/sql")
    assert reply.status_code == 200, reply.text
    found = reply.json()
    assert (found["Available"], found.get("Code")) == (code is None, code)
    if code is not None:
        assert found["Title"]
        assert found["Reason"]
        assert advice in found["Advice"]


def test_iam_decides_and_its_words_reach_the_page(rig: SignInRig) -> None:
    ann = rig.person("ann", statement(sorted(ALL)))
    browser, cluster = rig.opened(ann), rig.world.cluster()
    message = denied(ask(browser, "AttachEditor", ExecutionEngine={"Id": cluster, "Type": "EMR"}))
    assert "is not authorized to perform: elasticmapreduce:AttachEditor" in message
    assert row(rig).wanted_cluster_id is None
    assert browser.request("GET", PATH).json()["MayCollaborate"] is False


@pytest.mark.parametrize("given", [{"EditorId": "e-OTHER"}, {"Name": "mine"}, {"IdleTimeoutSeconds": 0}])
def test_what_is_not_listed_cannot_be_given(rig: SignInRig, given: dict[str, Any]) -> None:
    browser, other = rig.opened(rig.person("ann")), rig.editor(name="other")
    given = {"EditorId": other} if "EditorId" in given else given
    for operation in ("UpdateEditor", "DescribeEditor", "AttachEditor", "DetachEditor"):
        reply = ask(browser, operation, **given)
        assert (reply.status_code, reply.json()["__type"]) == (400, "ValidationException")
    assert (row(rig, other).name, row(rig).name) == ("other", "book")


@pytest.mark.parametrize(
    "operation",
    ["RunJobFlow", "StopEditor", "DeleteEditor", "OpenEditorInConsole", "CreateStudioPresignedUrl", "ListEditors", "x"],
)
def test_no_other_operation_can_be_called(rig: SignInRig, trail: Trail, operation: str) -> None:
    reply = ask(rig.opened(rig.person("ann")), operation)
    assert (reply.status_code, reply.json()["__type"]) == (404, "UnknownOperationException")
    assert not trail.calls


def test_a_link_to_the_spark_ui_is_of_the_attached_cluster(rig: SignInRig, trail: Trail) -> None:
    browser, cluster, other = rig.opened(rig.person("ann")), rig.world.cluster(), rig.world.cluster("127.31.0.10")
    assert "not attached" in ask(browser, "GetOnClusterAppUIPresignedURL").json()["Message"]
    rig.set_editor(rig.editor_id, status="Attached", attached_cluster_id=cluster, wanted_cluster_id=cluster)
    assert ask(browser, "GetOnClusterAppUIPresignedURL", ClusterId=other).status_code == 400
    assert not trail.calls
    ask(browser, "GetOnClusterAppUIPresignedURL")
    assert trail.calls[-1].input == {"ClusterId": cluster}


def test_another_page_cannot_use_the_cookie(rig: SignInRig) -> None:
    browser = rig.opened(rig.person("ann"))
    other = f"http://{rig.host_of_editor(rig.editor())}"
    for headers in ({"Origin": other}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}):
        assert "Another page" in denied(ask(browser, "DetachEditor", headers))
        assert browser.request("GET", PATH, headers=headers).status_code == 403
    # A form of another page sends JSON only as text, and a link sends no Origin.
    form = browser.request("POST", f"{PATH}/DetachEditor", content=b"{}", headers={"Content-Type": "text/plain"})
    assert form.status_code == 415
    bare = {"Cookie": browser.cookie_header, "Host": browser.host, "Content-Type": "application/json"}
    reply = rig.client.post(f"{PATH}/DetachEditor", content=b"{}", headers=bare)
    assert "does not say" in denied(reply)


def test_the_cookie_of_another_origin_opens_nothing(rig: SignInRig) -> None:
    rig.person("ann")
    studio = rig.browser(rig.studio_host)
    studio.sign_in("ann")
    assert ask(studio, "DescribeEditor").status_code == 404
    thief = rig.browser(rig.host_of_editor(rig.editor_id))
    thief.cookies = dict(studio.cookies)
    assert ask(thief, "DescribeEditor").status_code == 401
    assert ask(rig.browser(rig.host_of_editor(rig.editor_id)), "DescribeEditor").status_code == 401


def test_who_may_no_longer_be_here_can_ask_nothing(rig: SignInRig) -> None:
    ann, ben = rig.person("ann"), rig.person("ben")
    browser = rig.opened(ann)
    rig.change_policy(ann, statement("elasticmapreduce:DescribeEditor"))
    assert "do not allow you to open" in denied(ask(browser, "DescribeEditor"))
    rig.change_policy(ann, statement("*"))
    rig.set_editor(rig.editor_id, collaboration=True, creator_user_id=ben.user_id)
    assert "Only its owner" in denied(ask(browser, "DescribeEditor"))
    held = {"open_by_user_id": ben.user_id, "open_by_name": "ben", "open_seen_at": rig.world.clock.now()}
    rig.set_editor(rig.editor_id, collaboration=False, **held)
    assert "ben has this Workspace open" in denied(ask(browser, "DescribeEditor"))


def test_root_can_ask_nothing(rig: SignInRig) -> None:
    with rig.world.database.write() as session:
        caller: Caller = root_caller(get_account(session, ACCOUNT))
    browser = rig.browser(rig.host_of_editor(rig.editor_id))
    with rig.world.database.write() as session:
        origin = parse_host(rig.world.settings, browser.host)
        assert origin
        signed_in = rig.front.sessions.create(session, caller, origin)
    browser.cookies["__Host-emr-studio"] = signed_in.token
    assert "root user" in denied(ask(browser, "DescribeEditor"))


@pytest.mark.parametrize("body", [b"[]", b"{", b"[" * 4000, b'"x"', b"\xff", b"{" + b" " * 9000 + b"}"])
def test_nonsense_is_refused(rig: SignInRig, body: bytes) -> None:
    browser = rig.opened(rig.person("ann"))
    reply = browser.request("POST", f"{PATH}/UpdateEditor", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code in (400, 413)
    assert reply.json()["__type"] in ("SerializationException", "RequestEntityTooLarge")


def test_collaboration_is_managed_from_the_page(rig: SignInRig) -> None:
    ann = rig.person("ann")
    rig.person("ben")
    rig.set_editor(rig.editor_id, creator_user_id=ann.user_id)
    browser = rig.opened(ann)
    assert ask(browser, "UpdateEditor", CollaborationEnabled=True).status_code == 200
    assert ask(browser, "PutWorkspaceAccess", IdentityName="ben").status_code == 200
    listed = ask(browser, "ListWorkspaceAccessIdentities").json()["WorkspaceAccessIdentities"]
    assert [one["IdentityName"] for one in listed] == ["ben"]
    assert ask(browser, "DeleteWorkspaceAccess", IdentityName="ben").status_code == 200
    assert row(rig).collaboration


def test_the_page_learns_who_is_here(rig: SignInRig) -> None:
    ann, ben = rig.person("ann"), rig.person("ben")
    rig.set_editor(rig.editor_id, collaboration=True, creator_user_id=ann.user_id)
    rig.world.call("PutWorkspaceAccess", ann, EditorId=rig.editor_id, IdentityName="ben")
    browser = rig.opened(ann)
    rig.opened(ben)
    told = browser.request("GET", PATH).json()
    assert told["Here"] == ["ann", "ben"]
    assert (told["UserName"], told["MayCollaborate"]) == ("ann", True)
    assert told["StudioUrl"] == f"http://{rig.studio_host}"
    rig.world.clock.advance(61)
    assert "ben" not in browser.request("GET", PATH).json()["Here"]


def test_earlier_contents_are_read_by_who_may_be_here(rig: SignInRig, runtime: InProcessRuntime) -> None:
    ann, browser = rig.person("ann"), rig.browser(rig.host_of_editor(rig.editor_id))
    where = {"path": "a/Größe 1.ipynb"}
    assert browser.request("GET", f"{PATH}/versions", params=where).status_code == 401
    browser = rig.opened(ann)
    reply = browser.request("GET", f"{PATH}/versions", params=where)
    assert (reply.status_code, reply.json()["Message"]) == (503, "The Workspace does not run.")
    runtime.launch(ProcessSpec(rig.editor_id, "editor/x", ("x",), folder="/nowhere", log_path="/nowhere/log"))
    saved = rig.world.clock.now()
    kept = [
        KeptFile(FileVersion("v2", saved, 3, True), b"two"),
        KeptFile(FileVersion("v1", saved, 3, False, "ana"), b"one"),
    ]
    runtime.workloads[rig.editor_id].kept = {where["path"]: kept}
    listed = browser.request("GET", f"{PATH}/versions", params=where).json()["Versions"]
    assert [(one["VersionId"], one["IsLatest"], one["Author"]) for one in listed] == [
        ("v2", True, ""),
        ("v1", False, "ana"),
    ]
    assert listed[0]["LastModified"] == saved.timestamp()
    reply = browser.request("GET", f"{PATH}/version", params=where | {"id": "v1"})
    assert (reply.content, reply.headers["content-disposition"]) == (b"one", "attachment")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert browser.request("GET", f"{PATH}/version", params=where | {"id": "v0"}).status_code == 404
    elsewhere = {"Sec-Fetch-Site": "same-site"}
    assert browser.request("GET", f"{PATH}/version", params=where | {"id": "v1"}, headers=elsewhere).status_code == 403
    rig.change_policy(ann, statement("s3:GetObject"))
    assert browser.request("GET", f"{PATH}/versions", params=where).status_code == 403


@pytest.mark.capability("GT-09")
def test_repositories_are_the_accounts_and_are_linked_with_this_workspace_alone(rig: SignInRig) -> None:
    browser = rig.opened(rig.person("ann"))
    given = {"RepositoryName": "project", "GitUrl": "https://git.example.com/project.git", "Branch": "main"}
    assert ask(browser, "CreateRepository", **given).status_code == 200
    listed = ask(browser, "ListRepositories").json()["Repositories"]
    assert [found["RepositoryName"] for found in listed] == ["project"]
    reply = ask(browser, "LinkRepository", RepositoryName="project", EditorId="e-OTHER")
    assert (reply.status_code, reply.json()["__type"]) == (400, "ValidationException")
    assert ask(browser, "LinkRepository", RepositoryName="project").status_code == 200
    links = ask(browser, "DescribeEditor").json()["Editor"]["Repositories"]
    assert links == [{"RepositoryName": "project", "Status": "Linking"}]


def test_a_secret_is_made_for_this_page_alone(rig: SignInRig) -> None:
    ann, elsewhere = rig.person("ann"), {"Origin": "https://evil.example"}
    browser = rig.opened(ann)
    assert ask(browser, "secret", elsewhere, Name="a", Password="p").status_code == 403
    assert ask(browser, "secret", Name="a b", Password="p").json()["__type"] == "ValidationException"
    anonymous = rig.browser(rig.host_of_editor(rig.editor_id))
    assert anonymous.request("POST", f"{PATH}/secret", json={"Name": "a", "Password": "p"}).status_code == 401


def test_all_that_is_listed_exists() -> None:
    assert all(registry.find("emr", name) for name in (*OWN, *READ, *REPOSITORIES, *ATTACHED))
