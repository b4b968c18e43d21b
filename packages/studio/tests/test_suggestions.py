"""GenerateRecommendations: who may ask, what is recorded, and what a Workspace's page is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from emr_studio.aws.context import Caller
from emr_studio.aws.pipeline import AwsApplication, Call
from emr_studio.aws.registry import registry
from emr_studio.aws.wire import WireRequest
from emr_studio.iam.identity import IamAuthorizer, IamCredentialStore
from emr_studio.iam.sealing import Sealer
from emr_studio.runtime.inprocess import InProcessRuntime
from emr_studio.settings import Settings
from emr_studio.signin.panel_api import PATH, PanelApi
from emr_studio.suggestions import operations  # noqa: F401 (registers what can be called)
from emr_studio.suggestions.model import CodeModel
from emr_studio.trail.elements import Elements
from tests.support.api_server import serve
from tests.support.emr_world import World, statement
from tests.support.model_server import ModelServer, model_server
from tests.support.signin_rig import Browser, SignInRig, signin_rig

CODEWHISPERER = "codewhisperer:GenerateRecommendations"
ENTRY = ["elasticmapreduce:OpenEditorInConsole", "elasticmapreduce:CreateStudioPresignedUrl"]
PLACE = {
    "leftFileContent": "x = ",
    "rightFileContent": "",
    "filename": "a.ipynb",
    "programmingLanguage": {"languageName": "python"},
}


class Trail:
    """Keeps what would be recorded."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def record(self, call: Call) -> None:
        self.calls.append(call)


def api_of(world: World, settings: Settings, trail: Trail, sessions: Any) -> AwsApplication:
    with world.database.read() as session:
        ports = world.context(session, world.admin).ports
    return AwsApplication(
        world.database,
        world.clock,
        registry,
        credentials=IamCredentialStore(Sealer.load(world.settings.keys_dir)),
        sessions=sessions,
        authorizer=IamAuthorizer(),
        ports={**ports, Settings: settings, CodeModel: CodeModel(settings, world.clock)},
        recorder=trail,
    )


@contextmanager
def served(folder: Path, trail: Trail, **changes: Any) -> Iterator[SignInRig]:
    """The control plane as pages see it, with these settings."""
    with signin_rig(folder) as rig:
        world, front = rig.world, rig.front
        settings = world.settings.model_copy(update=changes)
        api = api_of(world, settings, trail, front.sessions)
        panel = PanelApi(settings, world.database, world.clock, front.sessions, api.answer, InProcessRuntime())
        app = Starlette(routes=[*front.sign_in.routes(), *panel.routes()])
        with serve(app) as url, httpx.Client(base_url=url, timeout=90) as rig.client:
            yield rig


@pytest.fixture
def trail() -> Trail:
    return Trail()


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with model_server() as found:
        yield found


@pytest.fixture
def rig(tmp_path: Path, trail: Trail, model: ModelServer) -> Iterator[SignInRig]:
    with served(tmp_path, trail, suggestions_url=model.url, suggestions_per_minute=3) as found:
        yield found


def ask(browser: Browser, headers: dict[str, str] | None = None, /, **place: Any) -> httpx.Response:
    return browser.request("POST", f"{PATH}/suggestions", json={"fileContext": PLACE | place}, headers=headers or {})


def offered(browser: Browser) -> bool:
    return bool(browser.request("GET", PATH).json()["MayGetSuggestions"])


def test_a_page_gets_code_as_its_user(rig: SignInRig, model: ModelServer, trail: Trail) -> None:
    ann = rig.person("ann", statement([*ENTRY, CODEWHISPERER]))
    browser = rig.opened(ann)
    assert offered(browser)
    reply = ask(browser)
    assert (reply.status_code, reply.json()) == (200, {"recommendations": [{"content": "1 + 1"}]})
    assert reply.headers["cache-control"] == "no-store"
    assert "x = <CURSOR>" in model.asked[0][1]["messages"][-1]["content"]
    call = trail.calls[-1]
    assert (call.caller and call.caller.arn, call.model and call.model.name) == (ann.arn, "GenerateRecommendations")


def test_the_trail_has_the_call_and_none_of_the_code(rig: SignInRig, trail: Trail) -> None:
    ask(rig.opened(rig.person("ann")), leftFileContent="password = 'hunter2'")
    call = trail.calls[-1]
    assert call.model is not None
    told = Elements().request(call.model.input_shape, call.input)
    assert told is not None
    assert told["fileContext"]["leftFileContent"] == "HIDDEN_DUE_TO_SECURITY_REASONS"
    assert "hunter2" not in json.dumps(told)


def test_who_may_not_is_denied_in_awss_words_and_the_model_hears_nothing(
    rig: SignInRig, model: ModelServer, trail: Trail
) -> None:
    ann = rig.person("ann", statement(ENTRY))
    browser = rig.opened(ann)
    assert not offered(browser)
    reply = ask(browser)
    assert (reply.status_code, reply.json()["__type"]) == (400, "AccessDeniedException")
    assert reply.json()["message"] == (
        f"User: {ann.arn} is not authorized to perform: {CODEWHISPERER} on resource: * "
        f"because no identity-based policy allows the {CODEWHISPERER} action"
    )
    assert trail.calls[-1].error is not None
    assert not model.asked


def test_a_session_policy_narrows(rig: SignInRig, model: ModelServer, trail: Trail, tmp_path: Path) -> None:
    narrow = json.dumps({"Version": "2012-10-17", "Statement": statement("s3:*")})
    world, ann = rig.world, rig.person("ann")
    settings = world.settings.model_copy(update={"suggestions_url": model.url})
    api = api_of(world, settings, trail, rig.front.sessions)
    assert call(api, ann)[0] == 200
    status, answer = call(api, Caller(**{**vars(ann), "session_policies": (narrow,)}))
    assert (status, answer["__type"]) == (400, "AccessDeniedException")
    assert "no session policy allows" in answer["message"]
    assert len(model.asked) == 1


def call(api: AwsApplication, caller: Caller, **place: Any) -> tuple[int, dict[str, Any]]:
    headers = {"x-amz-target": "AmazonCodeWhispererService.GenerateRecommendations", "host": "localhost:8080"}
    body = json.dumps({"fileContext": PLACE | place}).encode()
    reply = api.answer(WireRequest("POST", "/", "", headers, body, "127.0.0.1", False), caller)
    return reply.status, json.loads(reply.body)


def test_too_many_are_throttled_for_each_user_alone(rig: SignInRig, model: ModelServer) -> None:
    ann, ben = (rig.opened(rig.person(name)) for name in ("ann", "ben"))
    assert [ask(ann).status_code for _ in range(3)] == [200] * 3
    reply = ask(ann)
    assert (reply.status_code, reply.json()["__type"]) == (400, "ThrottlingException")
    assert "Ask again in" in reply.json()["message"]
    assert ask(ben).status_code == 200
    rig.world.clock.advance(60)
    assert ask(ann).status_code == 200
    assert len(model.asked) == 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"leftFileContent": "x" * 10_241},
        {"rightFileContent": "x" * 10_241},
        {"programmingLanguage": {"languageName": "cobol"}},
        {"filename": ""},
    ],
)
def test_what_is_too_long_or_another_language_is_not_sent_on(
    rig: SignInRig, model: ModelServer, wrong: dict[str, Any]
) -> None:
    reply = ask(rig.opened(rig.person("ann")), **wrong)
    assert (reply.status_code, reply.json()["__type"]) == (400, "ValidationException")
    assert "xxx" not in reply.text
    assert not model.asked


def test_a_long_body_and_another_page_are_refused(rig: SignInRig, model: ModelServer) -> None:
    browser = rig.opened(rig.person("ann"))
    assert ask(browser, leftFileContent="x" * 70_000).status_code == 413
    assert ask(browser, {"Origin": "http://elsewhere.example"}).status_code == 403
    assert ask(browser, {"Cookie": ""}).status_code in (401, 403)
    text = browser.request("POST", f"{PATH}/suggestions", content="{}", headers={"content-type": "text/plain"})
    assert text.status_code == 415
    assert browser.request("POST", f"{PATH}/suggestions", json=[]).status_code == 400
    assert not model.asked


def test_no_connection_to_the_database_is_held_while_the_model_thinks(rig: SignInRig, model: ModelServer) -> None:
    pool: Any = rig.world.database.engine.pool
    held: list[int] = []

    def says(_asked: dict[str, Any]) -> list[str]:
        held.append(pool.checkedout())
        return ["1 + 1"]

    model.says = says
    assert ask(rig.opened(rig.person("ann"))).status_code == 200
    assert held == [0]


def test_what_fails_there_is_said(rig: SignInRig, model: ModelServer) -> None:
    model.status = 401
    reply = ask(rig.opened(rig.person("ann")))
    assert (reply.status_code, reply.json()["__type"]) == (503, "ServiceUnavailableException")
    assert "refuses the key" in reply.json()["message"]


@pytest.mark.capability("EX-07")
def test_it_is_off_until_a_model_is_set(tmp_path: Path, trail: Trail) -> None:
    with served(tmp_path, trail) as rig:
        browser = rig.opened(rig.person("ann"))
        assert not offered(browser)
        reply = ask(browser)
        assert (reply.status_code, reply.json()["__type"]) == (400, "ResourceNotFoundException")
        assert "suggestions_url" in reply.json()["message"]


def test_addresses_are_http() -> None:
    for good in ("", "http://127.0.0.1:11434/v1", "https://models.example.com/v1"):
        assert Settings(suggestions_url=good).suggestions_url == good
    for bad in ("localhost:11434", "file:///etc/passwd", "https://a b", "http://a\n"):
        with pytest.raises(ValueError, match="suggestions_url"):
            Settings(suggestions_url=bad)
