"""The Workspaces' controller: moves `status` to `target`, one saved step at a time.

    target   status                     step
    READY    Starting                   grant the service role, launch, wait for the first answer
    READY    Ready/Attaching/Attached   watch the server; point its gateway to the wanted cluster
    IDLE     Stopping                   save to S3, stop, wait for the end, forget, revoke the grant
    GONE     Deleting                   the same, then remove the local folder and the row

Every turn begins from the row and from what the runtime observes, so it may be cut anywhere. A
result is saved only if no request changed the row meanwhile (`_save`); else the turn is done again.
"""

from __future__ import annotations

import datetime as dt
import logging
import shutil
import time
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from emr_studio.aws.errors import AwsError
from emr_studio.clock import Clock
from emr_studio.controllers import backoff_seconds
from emr_studio.db import Database
from emr_studio.runtime.contract import (
    AGENT_AWAY_SECONDS,
    Activity,
    Observation,
    Runtime,
    RuntimeUnavailable,
    WorkloadState,
)
from emr_studio.settings import Settings
from emr_studio.studios.model import Studio
from emr_studio.studios.service_role import end_grants, grant_service_role
from emr_studio.workspaces import compute, health, idling, runtime_roles
from emr_studio.workspaces.health import Notices, next_step, told_cause
from emr_studio.workspaces.launching import spec_of
from emr_studio.workspaces.model import (
    DETACHED,
    KIND,
    RUNNING,
    Editor,
    Status,
    Target,
    editor_arn,
    workload_owner,
)
from emr_studio.workspaces.repositories.model import is_busy
from emr_studio.workspaces.repositories.tokens import new_token

log = logging.getLogger(__name__)

MAX_CRASHES = 3
_STABLE_SECONDS = 600
_WAIT_SECONDS = 2.0
_LOOK_SECONDS = 2.0
_GRACE_SECONDS = 10.0


class WorkspaceReconciler:
    """Reconciles one installation's Workspaces."""

    kind = KIND

    def __init__(
        self,
        database: Database,
        clock: Clock,
        runtime: Runtime,
        settings: Settings,
        *,
        identity_public_key: str,
    ) -> None:
        self._database = database
        self._clock = clock
        self._runtime = runtime
        self._settings = settings
        self._identity_public_key = identity_public_key
        self._next_look = 0.0
        self._notices = Notices()

    # What the loop asks.

    def pending(self) -> list[str]:
        """What a request or a failure left to do; now and then, what has to be looked at."""
        now = self._clock.now()
        with self._database.read() as session:
            due = or_(Editor.retry_at.is_(None), Editor.retry_at <= now)
            found = list(session.scalars(select(Editor.id).where(Editor.unsettled.is_(True), due)))
            found += session.scalars(select(Editor.id).where(Editor.activity_due <= now, Editor.unsettled.is_(False)))
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK_SECONDS
            found += self.changed()
        return found

    def changed(self) -> list[str]:
        """Settled Workspaces whose server or cluster is no longer as the row says."""
        with self._database.read() as session:
            settled = select(Editor.id, Editor.status, Editor.state_code).where(Editor.unsettled.is_(False))
            rows = {row.id: row for row in session.execute(settled)}
            found = {*compute.lost(session), *_sealed_otherwise(session)}
        runtime_roles.end_unused_kernels(self._database, self._clock)
        try:
            observed = self._runtime.list()
        except RuntimeUnavailable:
            return sorted(found)
        seen = {o.workload_id: o.state for o in observed}
        found |= self._notices.news(observed, {row.id: row.state_code for row in rows.values()})
        for editor_id, status, _code in rows.values():
            state = seen.get(editor_id, WorkloadState.ABSENT)
            if (state is not WorkloadState.RUNNING) if status in RUNNING else (state is not WorkloadState.ABSENT):
                found.add(editor_id)
        return sorted(found)

    def owner_exists(self, owner: str) -> bool | None:
        """For the orphan sweep: does the Workspace that owns a workload exist?"""
        prefix = workload_owner("")
        if not owner.startswith(prefix):
            return None
        with self._database.read() as session:
            return session.get(Editor, owner.removeprefix(prefix)) is not None

    def reconcile(self, resource_id: str) -> float | None:
        """Take one step; see the module's text."""
        editor = self._load(resource_id)
        if editor is None:
            return None
        try:
            return self._step(editor)
        except RuntimeUnavailable as error:
            log.info("%s waits for the host agent: %s", resource_id, error)
            if editor.unsettled:
                self._note(editor, "HOST_UNAVAILABLE", f"Waiting for the host: {error}; trying again.")
            return AGENT_AWAY_SECONDS

    def _step(self, editor: Editor) -> float | None:
        if editor.target == Target.GONE:
            return self._delete(editor)
        if editor.target == Target.IDLE:
            return self._stop(editor)
        if editor.status == Status.STARTING:
            return self._start(editor)
        return self._watch(editor)

    # Rows.

    def _load(self, editor_id: str) -> Editor | None:
        with self._database.read() as session:
            return session.get(Editor, editor_id)

    def _save(self, seen: Editor, **changes: Any) -> bool:
        """Write `changes` unless a request changed what is wanted since `seen` was read."""
        with self._database.write() as session:
            editor = self._same(session, seen)
            if editor is None:
                return False
            for column, value in changes.items():
                setattr(editor, column, value)
        return True

    @staticmethod
    def _same(session: Session, seen: Editor) -> Editor | None:
        editor = session.get(Editor, seen.id, with_for_update=True)
        if editor is None:
            return None
        now = (editor.status, editor.target, editor.wanted_cluster_id)
        return editor if now == (seen.status, seen.target, seen.wanted_cluster_id) else None

    def _note(self, seen: Editor, code: str, message: str) -> None:
        """Show what is being waited for, once."""
        if (seen.state_code, seen.state_message) != (code, message):
            self._save(seen, state_code=code, state_message=message)

    # Starting.

    def _start(self, editor: Editor) -> float | None:
        now = self._clock.now()
        if editor.retry_at is not None and editor.retry_at > now:
            return (editor.retry_at - now).total_seconds()
        return self._launch(editor) if editor.launched_at is None else self._await_start(editor)

    def _await_start(self, editor: Editor) -> float | None:
        seen = self._runtime.wait(editor.id, WorkloadState.STARTING, health.patience(editor, _WAIT_SECONDS))
        if seen.state is WorkloadState.STARTING:
            if not editor.crashes:
                self._note(editor, "STARTING", seen.progress or "The Workspace is being prepared.")
            return 0.0
        if seen.state is WorkloadState.RUNNING:
            return self._started(editor, seen)
        if seen.state is WorkloadState.STOPPING:
            self._runtime.wait(editor.id, WorkloadState.STOPPING, _WAIT_SECONDS)
            return 0.0
        if seen.state is WorkloadState.ABSENT:
            # Cut between the saved step and the launch.
            return self._launch(editor)
        return self._failed(editor, seen, "could not start")

    def _launch(self, editor: Editor) -> float | None:
        before = self._runtime.observe(editor.id)
        if before.state is WorkloadState.STOPPING:
            self._runtime.wait(editor.id, WorkloadState.STOPPING, _WAIT_SECONDS)
            return 0.0
        if before.state is WorkloadState.EXITED:
            self._runtime.forget(editor.id)
        owner = workload_owner(editor.id)
        try:
            with self._database.write() as session:
                row = self._same(session, editor)
                if row is None:
                    return 0.0
                end_grants(session, owner)
                token = grant_service_role(
                    session,
                    self._clock,
                    account_id=row.account_id,
                    role_arn=row.service_role_arn,
                    source=editor_arn(row),
                    owner=owner,
                )
                git_token = new_token(session, row.id)
                row.launched_at, row.retry_at, row.attached_cluster_id = self._clock.now(), None, None
                row.encryption_key_arn = editor.encryption_key_arn = _key_of(session, row)
        except AwsError as error:
            return self._give_up(
                editor,
                "SERVICE_ROLE",
                f"The Studio's service role {editor.service_role_arn} cannot be used: {error.message} "
                "Mend the role, then start the Workspace again.",
            )
        self._runtime.launch(spec_of(editor, self._settings, self._identity_public_key, token, git_token))
        seen = self._load(editor.id)
        return 0.0 if seen is None or seen.status != Status.STARTING else self._await_start(seen)

    def _started(self, editor: Editor, seen: Observation) -> float | None:
        wanted = editor.wanted_cluster_id is not None
        status = Status.ATTACHING if wanted else Status.READY
        changes = idling.begun(self._clock.now()) | _waited(editor)
        saved = self._save(
            editor, status=status, address=seen.address, files_unsaved=False, unsettled=wanted, **changes
        )
        return None if saved and not wanted else 0.0

    def _failed(self, editor: Editor, seen: Observation, what: str) -> float | None:
        """The server ended unasked: again, or give up after the third time."""
        now = self._clock.now()
        stable = editor.launched_at is not None and (now - editor.launched_at).total_seconds() > _STABLE_SECONDS
        crashes = 1 if stable else editor.crashes + 1
        if _UNSAVED in seen.reason and not self._save(editor, files_unsaved=True):
            return 0.0
        cause = f"The Workspace's server {what}: {told_cause(seen)}"
        if crashes >= MAX_CRASHES:
            return self._give_up(
                editor, seen.cause or "START_FAILED", f"{cause} It was tried {crashes} times. {next_step(seen.cause)}"
            )
        delay = backoff_seconds(crashes)
        saved = self._save(
            editor,
            status=Status.STARTING,
            address="",
            crashes=crashes,
            launched_at=None,
            attached_cluster_id=None,
            **idling.ENDED,
            retry_at=now + dt.timedelta(seconds=delay),
            unsettled=True,
            state_code=seen.cause or "RESTARTED",
            state_message=f"{cause} It was started again.",
        )
        return delay if saved else 0.0

    def _give_up(self, editor: Editor, code: str, message: str) -> float | None:
        log.warning("%s: %s", editor.id, message)
        self._runtime.forget(editor.id)
        self._release(editor)
        saved = self._save(
            editor,
            status=Status.IDLE,
            target=Target.IDLE,
            unsettled=False,
            state_code=code,
            state_message=message,
            **_ENDED,
        )
        return None if saved else 0.0

    # Running.

    def _watch(self, editor: Editor) -> float | None:
        seen = self._runtime.observe(editor.id)
        if seen.state.is_over:
            return self._failed(editor, seen, "ended unexpectedly")
        if seen.state is not WorkloadState.RUNNING:
            return 0.5
        if seen.address != editor.address and not self._save(editor, address=seen.address):
            return 0.0
        if not self._follow_key(editor) or not self._follow_notice(editor, seen) or self._is_stopping(editor):
            return 0.0
        if editor.wanted_cluster_id is None:
            return self._detach(editor)
        return self._attach(editor, editor.wanted_cluster_id)

    def _follow_notice(self, editor: Editor, seen: Observation) -> bool:
        """Show what a running Workspace suffers from, and that it no longer does; False if the row has changed."""
        columns = self._notices.columns(editor, seen)
        if columns and not self._save(editor, **columns):
            return False
        for column, value in columns.items():
            setattr(editor, column, value)
        self._notices.note(seen)
        return True

    def _is_stopping(self, editor: Editor) -> bool:
        """Look whether it is idle, if it is time to: True if it was for too long."""
        now = self._clock.now()
        if editor.unsettled or editor.activity_due is None or editor.activity_due > now:
            return False
        with self._database.read() as session:
            busy = is_busy(session, editor.id)
        activity = Activity(busy=True) if busy else self._runtime.activity(editor.id)
        changes = idling.judge(editor, activity, now, self._settings.workspace_idle_seconds)
        return self._save(editor, **changes) and "status" in changes

    def _follow_key(self, editor: Editor) -> bool:
        """What is saved from now on is sealed with the key that the Studio has now; False if the row has changed."""
        with self._database.read() as session:
            key = _key_of(session, editor)
        if key == editor.encryption_key_arn:
            return True
        self._runtime.set_encryption(editor.id, key or "")
        return self._save(editor, encryption_key_arn=key)

    def _detach(self, editor: Editor) -> float | None:
        # Also where the row names no cluster: a gateway may have been set just before a kill.
        if editor.status == Status.READY and editor.attached_cluster_id is None and not editor.unsettled:
            return None
        if editor.status != Status.READY or editor.attached_cluster_id is not None:
            self._runtime.set_gateway(editor.id, None)
        saved = self._save(editor, status=Status.READY, attached_cluster_id=None, unsettled=False, **_waited(editor))
        return None if saved else 0.0

    def _attach(self, editor: Editor, cluster_id: str) -> float | None:
        runtime_roles.ensure_kernels(self._database, self._clock, editor)
        with self._database.read() as session:
            verdict = compute.verdict(session, self._clock, editor, cluster_id)
        if verdict.waiting:
            self._note(editor, "ATTACHING", verdict.waiting)
            return 1.0
        if verdict.gateway is None:
            return self._refuse(editor, verdict.refused)
        if editor.attached_cluster_id != cluster_id:
            self._runtime.set_gateway(editor.id, verdict.gateway)
        saved = self._save(
            editor, status=Status.ATTACHED, attached_cluster_id=cluster_id, unsettled=False, **_waited(editor)
        )
        return None if saved else 0.0

    def _refuse(self, editor: Editor, reason: str) -> float | None:
        """The cluster cannot be attached, or is lost: the Workspace goes on without compute."""
        was_attached = editor.attached_cluster_id is not None
        self._runtime.set_gateway(editor.id, None)
        code = "CLUSTER_LOST" if was_attached else "ATTACH_FAILED"
        prefix = "Detached:" if was_attached else "Attaching the workspace(notebook) failed."
        saved = self._save(
            editor,
            status=Status.READY,
            **DETACHED,
            attached_cluster_id=None,
            unsettled=False,
            state_code=code,
            state_message=f"{prefix} {reason}",
        )
        return None if saved else 0.0

    # Stopping and deleting.

    def _stop(self, editor: Editor) -> float | None:
        unsaved = self._end(editor)
        if unsaved is None:
            return 0.0
        self._release(editor)
        # The stop goes on regardless: the files stay on the host, and the next start saves them.
        notes = _not_saved(unsaved) if unsaved else _waited(editor)
        saved = self._save(editor, status=Status.IDLE, unsettled=False, **_ENDED, **notes)
        return None if saved else 0.0

    def _delete(self, editor: Editor) -> float | None:
        if self._runtime.observe(editor.id).state is WorkloadState.RUNNING:
            # Nothing that was saved may be lost: it ends only once S3 has all of it.
            self._runtime.flush(editor.id)
        unsaved = self._end(editor)
        if unsaved is None:
            return 0.0
        self._remove_folders(editor, keep_files=bool(unsaved) or editor.files_unsaved)
        with self._database.write() as session:
            end_grants(session, workload_owner(editor.id))
            row = session.get(Editor, editor.id)
            if row is not None:
                session.delete(row)
        return None

    def _remove_folders(self, editor: Editor, *, keep_files: bool) -> None:
        shutil.rmtree(self._settings.workspace_run_dir(editor.id), ignore_errors=True)
        folder = self._settings.workspaces_dir / editor.id
        if keep_files:
            log.warning("%s is deleted, but %s stays: not all of it is in S3", editor.id, folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)

    def _end(self, editor: Editor) -> str | None:
        """Bring the server to its end; the host's last act is to save the files to S3.

        Returns None while it is not gone yet, then why S3 does not have everything, or nothing.
        """
        seen = self._runtime.observe(editor.id)
        if seen.state.is_going:
            self._runtime.stop(editor.id, _GRACE_SECONDS)
            seen = self._runtime.wait(editor.id, seen.state, _WAIT_SECONDS)
        if seen.state is WorkloadState.STOPPING:
            seen = self._runtime.wait(editor.id, WorkloadState.STOPPING, _WAIT_SECONDS)
        if seen.state is WorkloadState.ABSENT:
            return ""
        if seen.state is not WorkloadState.EXITED:
            return None
        unsaved = seen.reason if _UNSAVED in seen.reason else ""
        if unsaved:
            # Before the record goes, which is the only other place that knows.
            self._save(editor, files_unsaved=True, **_not_saved(unsaved))
            editor.state_code, editor.files_unsaved = "NOT_SAVED", True
        self._runtime.forget(editor.id)
        return unsaved

    def _release(self, editor: Editor) -> None:
        with self._database.write() as session:
            end_grants(session, workload_owner(editor.id))


_ENDED: dict[str, Any] = {
    "address": "",
    "launched_at": None,
    "retry_at": None,
    "crashes": 0,
    **idling.ENDED,
    **DETACHED,
    "attached_cluster_id": None,
    "open_by_user_id": None,
    "open_by_name": None,
    "open_since": None,
    "open_seen_at": None,
}
_UNSAVED = "S3 does not have"
"""In the reason of a workload's end: the last save failed (see `WorkspaceDriver.wind_up`)."""


def _not_saved(cause: str) -> dict[str, Any]:
    message = f"{cause.rstrip('.')}. The next start saves them."
    return {"state_code": "NOT_SAVED", "state_message": message}


_WAITING_CODES = ("STARTING", "ATTACHING", "HOST_UNAVAILABLE")


def _waited(editor: Editor) -> dict[str, Any]:
    """Clear the note of what was waited for; a reason that tells of a failure stays."""
    return {"state_code": None, "state_message": None} if editor.state_code in _WAITING_CODES else {}


def _key_of(session: Session, editor: Editor) -> str | None:
    """The KMS key of the Workspace's Studio; of one that is gone the last that it had."""
    studio = session.get(Studio, editor.studio_id)
    return studio.encryption_key_arn if studio is not None else editor.encryption_key_arn


def _sealed_otherwise(session: Session) -> list[str]:
    """Running Workspaces whose Studio has got another key."""
    found = (
        select(Editor.id)
        .join(Studio, Studio.id == Editor.studio_id)
        .where(Editor.status.in_(RUNNING), Studio.encryption_key_arn.is_distinct_from(Editor.encryption_key_arn))
    )
    return list(session.scalars(found))
