"""A Workspace's controller in a world of its own, with the in-process runtime and a fake clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emr_studio.clock import FakeClock
from emr_studio.db import Database
from emr_studio.iam.model import RoleGrant
from emr_studio.runtime.inprocess import InProcessRuntime
from emr_studio.settings import Settings
from emr_studio.workspaces.controller import WorkspaceReconciler
from emr_studio.workspaces.model import Editor, Status, Target, next_uid
from tests.support.emr_world import ACCOUNT, World, emr_world

ID = "e-ABCDEFGHIJKLMNOPQRSTUVWXY"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/EMRStudio_ServiceRole"


@dataclass
class Play:
    """A world, a runtime and one Workspace in it."""

    emr: World
    runtime: InProcessRuntime

    @property
    def settings(self) -> Settings:
        return self.emr.settings

    @property
    def database(self) -> Database:
        return self.emr.database

    @property
    def clock(self) -> FakeClock:
        return self.emr.clock

    def grants(self) -> list[RoleGrant]:
        """Those that are good now."""
        with self.database.read() as session:
            return list(session.query(RoleGrant))

    def reconciler(self) -> WorkspaceReconciler:
        """A new one each time: as after a kill, it knows nothing but what was saved."""
        return WorkspaceReconciler(self.database, self.clock, self.runtime, self.settings, identity_public_key="PEM")

    def editor(self) -> Editor:
        with self.database.read() as session:
            return session.get_one(Editor, ID)

    def exists(self) -> bool:
        with self.database.read() as session:
            return session.get(Editor, ID) is not None

    def change(self, **columns: Any) -> None:
        """What a request does."""
        with self.database.write() as session:
            editor = session.get_one(Editor, ID)
            for column, value in columns.items():
                setattr(editor, column, value)
            editor.unsettled = True

    def settle(self, turns: int = 60) -> list[str]:
        """Take turns until nothing is left, time passing as asked; return the statuses seen."""
        seen: list[str] = []
        for _ in range(turns):
            if not self.exists():
                return seen
            if not seen or seen[-1] != self.editor().status:
                seen.append(self.editor().status)
            again = self.reconciler().reconcile(ID)
            if again is None:
                if self.exists() and seen[-1] != self.editor().status:
                    seen.append(self.editor().status)
                return seen
            self.clock.advance(again)
        raise AssertionError(f"not settled after {turns} turns: {seen}")

    def start(self) -> None:
        self.settle()
        assert self.editor().status == Status.READY

    def stop(self) -> None:
        self.change(status=Status.STOPPING, target=Target.IDLE, address="", wanted_cluster_id=None)


@contextmanager
def controller_play(folder: Path) -> Iterator[Play]:
    """The world, with one Workspace that was just asked for."""
    with emr_world(folder) as emr:
        studio_id = emr.studio()
        with emr.database.write() as session:
            session.add(_editor(emr, studio_id, next_uid(session, ID)))
        yield Play(emr, InProcessRuntime())


def _editor(emr: World, studio_id: str, uid: int) -> Editor:
    now = emr.clock.now()
    return Editor(
        id=ID,
        account_id=ACCOUNT,
        region="us-east-1",
        studio_id=studio_id,
        name="work",
        creator_user_id="AIDAX",
        creation_time=now,
        last_modified_time=now,
        s3_location=f"s3://bucket/studio/{ID}/",
        service_role_arn=ROLE,
        status=Status.STARTING,
        target=Target.READY,
        uid=uid,
        subnet_id=emr.network.subnet_ids[0],
        availability_zone="us-east-1a",
    )
