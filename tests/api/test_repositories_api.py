"""Git repositories by stock boto3 with our overlay; their credentials as the Studio's service role may read them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from emr_studio.runtime.contract import GitProgress, WorkspaceSpec
from emr_studio.workspaces.repositories.credentials import GitCredentials, NotGiven
from tests.support.emr_api import EmrApi, refused, until
from tests.support.emr_world import ACCOUNT, statement

URL = "https://git.example.com/team/project.git"
TAG = {"Key": "for-use-with-amazon-emr-managed-policies", "Value": "true"}
GOOD = {"gitUsername": "zoe", "gitPassword": "pass word"}
USES = ("DescribeRepository", "ListRepositories", "LinkRepository", "UnlinkRepository", "DescribeEditor")


@pytest.fixture(scope="module")
def secrets(api: EmrApi) -> Any:
    return api.client("secretsmanager", *api.key("admin"))


@pytest.fixture(scope="module")
def studio_id(api: EmrApi, emr: Any) -> str:
    return str(emr.create_studio(**api.world.studio_request())["StudioId"])


@pytest.fixture
def editor_id(api: EmrApi, emr: Any, studio_id: str) -> str:
    found = str(emr.create_editor(StudioId=studio_id, Name="work")["EditorId"])
    until(lambda: bool(emr.describe_editor(EditorId=found)["Editor"]["Status"] == "Ready"))
    api.runtime.git_says = GitProgress("done")
    return found


@pytest.fixture
def ask(api: EmrApi, editor_id: str) -> Callable[..., dict[str, str]]:
    """What git in the Workspace is told of an address."""
    spec = api.runtime.workloads[editor_id].spec
    assert isinstance(spec, WorkspaceSpec)
    world = api.world
    door = GitCredentials(world.database, world.clock, api.application.answer)

    def asked(name: str, url: str = URL, token: str = spec.git_token) -> dict[str, str]:
        return door.of(token, json.dumps({"repository": name, "url": url}).encode())

    return asked


def secret(secrets: Any, name: str, value: Any = None, tags: Any = (TAG,)) -> str:
    text = json.dumps(GOOD if value is None else value) if not isinstance(value, str) else value
    return str(secrets.create_secret(Name=f"emr-studio-{name}", SecretString=text, Tags=list(tags))["ARN"])


def register(emr: Any, name: str, arn: str = "", url: str = URL) -> None:
    more = {"SecretArn": arn} if arn else {}
    emr.create_repository(RepositoryName=name, GitUrl=url, Branch="main", **more)


def linked(emr: Any, editor_id: str, name: str) -> None:
    emr.link_repository(EditorId=editor_id, RepositoryName=name)
    until(lambda: status(emr, editor_id, name) == "Linked")


def status(emr: Any, editor_id: str, name: str) -> str:
    found = emr.describe_editor(EditorId=editor_id)["Editor"].get("Repositories", [])
    return next((link["Status"] for link in found if link["RepositoryName"] == name), "")


@pytest.mark.capability("GT-01", "GT-07", "GT-09")
def test_a_life(emr: Any, editor_id: str) -> None:
    register(emr, "a-life")
    names = [
        found["RepositoryName"] for found in emr.get_paginator("list_repositories").paginate().search("Repositories")
    ]
    assert "a-life" in names
    linked(emr, editor_id, "a-life")
    assert emr.describe_repository(RepositoryName="a-life")["Repository"]["LinkedEditorIds"] == [editor_id]
    code, http, message = refused(emr.delete_repository, RepositoryName="a-life")
    assert (code, http) == ("InvalidRequestException", 400)
    assert "unlink it everywhere" in message
    emr.unlink_repository(EditorId=editor_id, RepositoryName="a-life")
    until(lambda: status(emr, editor_id, "a-life") == "")
    emr.delete_repository(RepositoryName="a-life")
    assert refused(emr.describe_repository, RepositoryName="a-life")[0] == "InvalidRequestException"


@pytest.mark.capability("GT-01")
def test_a_bad_name_is_rejected_by_the_server_too(emr: Any) -> None:
    code, _, message = refused(emr.create_repository, RepositoryName="a b", GitUrl=URL, Branch="main")
    assert code == "InvalidRequestException"
    assert "each of them a letter, a digit, a hyphen or an underscore" in message


def test_each_operation_needs_its_permission(api: EmrApi, emr: Any, editor_id: str) -> None:
    register(emr, "guarded")
    user = api.user("uses", statement([f"elasticmapreduce:{name}" for name in USES]))
    user.list_repositories()
    user.link_repository(EditorId=editor_id, RepositoryName="guarded")
    until(lambda: status(emr, editor_id, "guarded") == "Linked")
    user.unlink_repository(EditorId=editor_id, RepositoryName="guarded")
    for call, arguments in (
        (user.create_repository, {"RepositoryName": "x", "GitUrl": URL, "Branch": "main"}),
        (user.update_repository, {"RepositoryName": "guarded", "SecretArn": ""}),
        (user.delete_repository, {"RepositoryName": "guarded"}),
    ):
        code, _, message = refused(call, **arguments)
        assert code == "AccessDeniedException"
        assert "not authorized to perform: elasticmapreduce:" in message


@pytest.mark.capability("GT-02")
def test_git_is_told_the_credentials_of_what_is_linked(
    emr: Any, secrets: Any, editor_id: str, ask: Callable[..., dict[str, str]]
) -> None:
    register(emr, "told", secret(secrets, "told"))
    with pytest.raises(NotGiven, match="No credentials are known"):
        ask("told")
    linked(emr, editor_id, "told")
    with pytest.raises(NotGiven, match="No credentials are known"):
        ask("other")
    assert ask("told") == {"username": "zoe", "password": "pass word"}
    assert ask("told", "https://GIT.example.com:443/team/project.git/")["username"] == "zoe"
    for url in ("https://git.example.com/team/other.git", "https://git.example.com:8443/team/project.git", "https://x"):
        with pytest.raises(NotGiven, match="No credentials are known"):
            ask("told", url)
    for token in ("", "wrong"):
        with pytest.raises(NotGiven, match="not valid"):
            ask("told", token=token)
    emr.update_repository(RepositoryName="told", SecretArn=secret(secrets, "told-2", GOOD | {"gitPassword": "new"}))
    assert ask("told")["password"] == "new"
    emr.update_repository(RepositoryName="told", SecretArn="")
    with pytest.raises(NotGiven, match="No credentials are known"):
        ask("told")


@pytest.mark.capability("GT-02")
@pytest.mark.parametrize(
    "value",
    [
        *("no json", "[]", "{}", '"text"', {"gitUsername": "zoe"}, {"gitUsername": "zoe", "gitPassword": ""}),
        *({"username": "zoe", "password": "p"}, {"gitUsername": "zoe", "gitPassword": 7}, {"gitUsername": "a\nb"}),
        {"gitUsername": "zoe", "gitPassword": "a\npassword=b"},
    ],
)
def test_wrong_json_is_rejected_and_not_repeated(
    emr: Any, secrets: Any, editor_id: str, ask: Callable[..., dict[str, str]], value: Any
) -> None:
    name = f"wrong-{abs(hash(str(value)))}"
    register(emr, name, secret(secrets, name, value))
    linked(emr, editor_id, name)
    with pytest.raises(NotGiven, match="must be JSON") as caught:
        ask(name)
    assert "zoe" not in str(caught.value)


def test_a_secret_without_the_tag_is_not_for_the_service_role(
    emr: Any, secrets: Any, editor_id: str, ask: Callable[..., dict[str, str]]
) -> None:
    arn = secret(secrets, "untagged", tags=())
    register(emr, "untagged", arn)
    linked(emr, editor_id, "untagged")
    with pytest.raises(NotGiven) as caught:
        ask("untagged")
    assert "secretsmanager:GetSecretValue" in str(caught.value)
    assert "needs the tag for-use-with-amazon-emr-managed-policies=true" in str(caught.value)
    secrets.tag_resource(SecretId=arn, Tags=[TAG])
    assert ask("untagged")["username"] == "zoe"


def test_a_stopped_workspaces_token_is_good_for_nothing(
    emr: Any, secrets: Any, editor_id: str, ask: Callable[..., dict[str, str]]
) -> None:
    register(emr, "stopped", secret(secrets, "stopped"))
    linked(emr, editor_id, "stopped")
    assert ask("stopped")["username"] == "zoe"
    emr.stop_editor(EditorId=editor_id)
    with pytest.raises(NotGiven, match="not valid"):
        ask("stopped")
    until(lambda: bool(emr.describe_editor(EditorId=editor_id)["Editor"]["Status"] == "Idle"))
    emr.start_editor(EditorId=editor_id)
    until(lambda: bool(emr.describe_editor(EditorId=editor_id)["Editor"]["Status"] == "Ready"))
    assert status(emr, editor_id, "stopped") == "Linked"
    with pytest.raises(NotGiven, match="not valid"):
        ask("stopped")


def test_a_secret_of_another_account_is_refused(emr: Any) -> None:
    arn = f"arn:aws:secretsmanager:us-east-1:{'9' * 12}:secret:emr-studio-x-AbCdEf"
    assert ACCOUNT != "9" * 12
    message = refused(emr.create_repository, RepositoryName="x", GitUrl=URL, Branch="main", SecretArn=arn)[2]
    assert "of this account and Region" in message
