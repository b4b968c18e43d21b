"""Git repositories: registered for the account, linked with Workspaces (emr-studio.md 8)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from emr_studio.db import Database
from emr_studio.runtime.inprocess import InProcessRuntime
from emr_studio.secrets.model import Secret
from emr_studio.workspaces.model import Editor
from emr_studio.workspaces.repositories import operations
from tests.support.emr_world import ACCOUNT, emr_world
from tests.support.workspace_play import Play

assert operations.OTHERS
URL = "https://git.example.com/team/project.git"
SECRET = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:emr-studio-git-AbCdEf"
OTHER_SECRET = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:emr-studio-more-AbCdEf"


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    with emr_world(tmp_path) as emr:
        for arn in (SECRET, OTHER_SECRET):
            _secret(emr.database, arn)
        yield Play(emr, InProcessRuntime(), emr.studio())


def _secret(database: Database, arn: str) -> None:
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    name = arn.rpartition(":")[2][:-7]
    with database.write() as session:
        session.add(Secret(id=arn, account_id=ACCOUNT, region="us-east-1", name=name, created=now, changed=now))


def register(play: Play, name: str = "project", **members: str) -> None:
    usual = {"RepositoryName": name, "GitUrl": URL, "Branch": "main"}
    play.call("CreateRepository", **(usual | members))


def names(play: Play) -> list[str]:
    return [found["RepositoryName"] for found in play.call("ListRepositories")["Repositories"]]


@pytest.mark.capability("GT-01", "GT-09")
def test_a_repository_is_registered_for_the_account(play: Play) -> None:
    register(play, "Team_project-1", SecretArn=SECRET)
    assert names(play) == ["Team_project-1"]
    found = play.call("DescribeRepository", RepositoryName="Team_project-1")["Repository"]
    assert (found["GitUrl"], found["Branch"], found["SecretArn"]) == (URL, "main", SECRET)
    assert found["LinkedEditorIds"] == []
    assert "exists already" in play.refused("CreateRepository", RepositoryName="Team_project-1", GitUrl=URL, Branch="m")


@pytest.mark.capability("GT-01")
@pytest.mark.parametrize("name", ["", "a b", "a/b", "a.b", "..", "ü", "a" * 129, "a\n"])
def test_a_bad_name_is_rejected(play: Play, name: str) -> None:
    refused = play.refused("CreateRepository", RepositoryName=name, GitUrl=URL, Branch="main")
    assert "letter, a digit, a hyphen or an underscore" in refused
    assert names(play) == []


@pytest.mark.parametrize(
    "url",
    [
        *("http://git.example.com/p.git", "ssh://git@git.example.com/p.git", "git@git.example.com:p.git", "file:///p"),
        *(
            "https://user:secret@git.example.com/p.git",
            "https://token@git.example.com/p.git",
            "https:///p",
            "https://h",
        ),
        *("https://git.example.com/p.git?a=b", "https://git.example.com/p.git#a", "https://h:0/p", "https://h:x/p"),
        *("https://git.example.com/a b", "https://git.example.com/p\n", "--upload-pack=x", "ext::sh", ""),
    ],
)
def test_only_a_plain_https_address_is_taken(play: Play, url: str) -> None:
    assert "GitUrl must" in play.refused("CreateRepository", RepositoryName="p", GitUrl=url, Branch="main")


@pytest.mark.parametrize("branch", ["", "-x", "a..b", "a b", "a.lock", "/a", "a/", "a~1", "a:b", "@", "a\\b", ".a"])
def test_what_git_takes_for_no_branch_is_refused(play: Play, branch: str) -> None:
    refused = play.refused("CreateRepository", RepositoryName="p", GitUrl=URL, Branch=branch)
    assert "cannot be a Git branch's name" in refused


@pytest.mark.capability("GT-02", "GT-07")
def test_credentials_alone_are_edited(play: Play) -> None:
    register(play)

    def secret() -> str | None:
        found: str | None = play.call("DescribeRepository", RepositoryName="project")["Repository"].get("SecretArn")
        return found

    assert secret() is None
    for arn in (SECRET, OTHER_SECRET):
        play.call("UpdateRepository", RepositoryName="project", SecretArn=arn)
        assert secret() == arn
    for wrong in ("emr-studio-git", SECRET.replace("git", "none"), SECRET.replace(ACCOUNT, "999999999999"), "arn:x"):
        refused = play.refused("UpdateRepository", RepositoryName="project", SecretArn=wrong)
        assert "must be the ARN of a secret" in refused
    assert secret() == OTHER_SECRET
    play.call("UpdateRepository", RepositoryName="project", SecretArn="")
    assert secret() is None


def test_a_secret_that_goes_is_not_taken(play: Play) -> None:
    with play.emr.database.write() as session:
        session.get_one(Secret, SECRET).deleted = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    refused = play.refused("CreateRepository", RepositoryName="p", GitUrl=URL, Branch="main", SecretArn=SECRET)
    assert "marked for deletion" in refused


@pytest.mark.capability("GT-07")
def test_a_registration_goes_only_when_it_is_linked_nowhere_and_its_secret_stays(play: Play) -> None:
    register(play, SecretArn=SECRET)
    editor_id = play.ready()
    play.call("LinkRepository", EditorId=editor_id, RepositoryName="project")
    refused = play.refused("DeleteRepository", RepositoryName="project")
    assert editor_id in refused
    assert "unlink it everywhere" in refused
    assert play.call("DescribeRepository", RepositoryName="project")["Repository"]["LinkedEditorIds"] == [editor_id]
    with play.emr.database.write() as session:
        session.delete(session.get_one(Editor, editor_id))
    play.call("DeleteRepository", RepositoryName="project")
    assert names(play) == []
    with play.emr.database.read() as session:
        assert session.get(Secret, SECRET) is not None


@pytest.mark.parametrize("operation", ["DescribeRepository", "UpdateRepository", "DeleteRepository"])
def test_one_that_is_not_there(play: Play, operation: str) -> None:
    members = {"SecretArn": ""} if operation == "UpdateRepository" else {}
    assert "does not exist" in play.refused(operation, RepositoryName="nothing", **members)
