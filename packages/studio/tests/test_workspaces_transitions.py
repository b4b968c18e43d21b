"""The table of transitions (emr-studio.md 6.2, 6.10): each operation in each state, and the permission it needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from emr_studio.aws.errors import AccessDenied
from emr_studio.runtime.inprocess import InProcessRuntime
from emr_studio.workspaces.model import RUNNING, Editor, Status, Target
from tests.support.emr_world import emr_world, statement
from tests.support.workspace_play import Play, engine

S, R, ING, ED, IDLE, STOP, DEL = Status
ANY = {status: status for status in Status if status != DEL}

TABLE: dict[str, dict[Status, Status]] = {
    "StartEditor": {IDLE: S, S: S},
    "StopEditor": {S: STOP, R: STOP, ING: STOP, ED: STOP},
    "DeleteEditor": {R: DEL, ED: DEL, IDLE: DEL},
    "AttachEditor": {R: ING},
    "DetachEditor": {ING: ING, ED: ED},
    "OpenEditorInConsole": {R: R, ING: ING, ED: ED, IDLE: S},
    "UpdateEditor": ANY,
    "PutWorkspaceAccess": ANY,
    "DeleteWorkspaceAccess": ANY,
    "ListWorkspaceAccessIdentities": {status: status for status in Status},
    "DescribeEditor": {status: status for status in Status},
}
"""What a user sees right after the request, by the state before; where there is nothing it is refused."""
TARGETS = {IDLE: Target.IDLE, STOP: Target.IDLE, DEL: Target.GONE}
CASES = [(operation, status) for operation in TABLE for status in Status]


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    with emr_world(tmp_path_factory.mktemp("emr")) as emr:
        play = Play(emr, InProcessRuntime(), emr.studio())
        emr.user("ben")
        yield play


@pytest.fixture(scope="module")
def cluster_id(play: Play) -> str:
    return play.emr.cluster()


def editor_in(play: Play, status: Status, cluster_id: str) -> str:
    """A Workspace whose row is as it is in that state."""
    editor_id = play.create(CollaborationEnabled=True)
    play.call("PutWorkspaceAccess", EditorId=editor_id, IdentityName="ben")
    with play.emr.database.write() as session:
        editor = session.get_one(Editor, editor_id)
        editor.status, editor.target = status, TARGETS.get(status, Target.READY)
        editor.address = "unix//run/s.sock" if status in RUNNING else ""
        editor.wanted_cluster_id = cluster_id if status in (ING, ED) else None
        editor.attached_cluster_id = cluster_id if status == ED else None
    return editor_id


def request_of(operation: str, editor_id: str, cluster_id: str) -> dict[str, Any]:
    more: dict[str, dict[str, Any]] = {
        "AttachEditor": {"ExecutionEngine": engine(cluster_id)},
        "UpdateEditor": {"Description": "new"},
        "PutWorkspaceAccess": {"IdentityName": "ben"},
        "DeleteWorkspaceAccess": {"IdentityName": "ben"},
    }
    return {"EditorId": editor_id} | more.get(operation, {})


@pytest.mark.parametrize(("operation", "status"), CASES)
def test_each_operation_in_each_state(play: Play, cluster_id: str, operation: str, status: Status) -> None:
    editor_id = editor_in(play, status, cluster_id)
    request = request_of(operation, editor_id, cluster_id)
    then = TABLE[operation].get(status)
    if then is None:
        assert f"is {status}" in play.refused(operation, **request)
        assert play.status(editor_id) == status
        return
    play.call(operation, **request)
    assert play.status(editor_id) == then


@pytest.mark.parametrize("operation", TABLE)
def test_each_operation_needs_its_own_permission(play: Play, cluster_id: str, operation: str) -> None:
    """The one of its name, on this Workspace, is enough; all others together are not."""
    status = next(iter(TABLE[operation]))
    others = statement([f"elasticmapreduce:{name}" for name in TABLE if name != operation])
    editor_id = editor_in(play, status, cluster_id)
    play.call("UpdateEditor", EditorId=editor_id, CollaborationEnabled=False)
    request = request_of(operation, editor_id, cluster_id)
    arn = f"arn:aws:elasticmapreduce:us-east-1:123456789012:editor/{editor_id}"
    with pytest.raises(AccessDenied, match=f"elasticmapreduce:{operation} on resource: {arn}"):
        play.call(operation, play.emr.user(f"without-{operation}", others), **request)
    if operation == "PutWorkspaceAccess":
        play.call("UpdateEditor", EditorId=editor_id, CollaborationEnabled=True)
    enough = statement(f"elasticmapreduce:{operation}", arn)
    play.call(operation, play.emr.user(f"with-{operation}", enough), **request)
