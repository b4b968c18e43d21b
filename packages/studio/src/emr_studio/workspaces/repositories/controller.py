"""The links' controller: Linking and Unlinking come to an end, whatever is killed meanwhile.

The Workspace's own server does the work, as its user; this asks it again and again. A server that was
killed is started again by the Workspaces' controller, and is then asked anew, which begins anew. A Workspace
that does not come back leaves a failed link with the reason.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from sqlalchemy import select

from emr_studio.clock import Clock
from emr_studio.db import Database
from emr_studio.runtime.contract import GitProgress, GitWork, Runtime, RuntimeUnavailable
from emr_studio.workspaces.model import RUNNING, Editor, Status
from emr_studio.workspaces.repositories.model import BUSY, KIND, LinkStatus, Repository, RepositoryLink

log = logging.getLogger(__name__)
_LONGEST = dt.timedelta(hours=2)
_SILENCE = dt.timedelta(minutes=5)
_NEW = dt.timedelta(seconds=20)
_SOON, _LATER = 0.25, 1.0
_FAILED = {LinkStatus.LINKING: LinkStatus.LINK_FAILED, LinkStatus.UNLINKING: LinkStatus.UNLINK_FAILED}


class RepositoryReconciler:
    """Reconciles one installation's links."""

    kind = KIND

    def __init__(self, database: Database, clock: Clock, runtime: Runtime) -> None:
        self._database = database
        self._clock = clock
        self._runtime = runtime
        self._silent_since: dict[str, dt.datetime] = {}

    def pending(self) -> list[str]:
        """Links with work left."""
        with self._database.read() as session:
            return list(session.scalars(select(RepositoryLink.id).where(RepositoryLink.status.in_(BUSY))))

    def reconcile(self, resource_id: str) -> float | None:
        """Ask how the work stands, and write down its end."""
        with self._database.read() as session:
            link = session.get(RepositoryLink, resource_id)
            if link is None or link.status not in BUSY:
                self._silent_since.pop(resource_id, None)
                return None
            editor = session.get_one(Editor, link.editor_id)
            repository = session.get_one(Repository, link.repository_id)
        return self._step(link, editor, repository)

    def _step(self, link: RepositoryLink, editor: Editor, repository: Repository) -> float | None:
        if self._clock.now() - link.asked_at > _LONGEST:
            return self._fail(link, f"It did not come to an end within {_LONGEST}.")
        if editor.status == Status.STARTING:
            return _LATER
        if editor.status not in RUNNING:
            return self._without_workspace(link)
        progress = self._ask(link, editor, repository)
        if progress is None:
            return self._silence(link)
        self._silent_since.pop(link.id, None)
        if progress.state == "done":
            return self._done(link)
        if progress.state == "failed":
            return self._fail(link, progress.reason or "Git failed without a word.")
        return _SOON if self._clock.now() - link.asked_at < _NEW else _LATER

    def _ask(self, link: RepositoryLink, editor: Editor, repository: Repository) -> GitProgress | None:
        work = GitWork(
            attempt=link.attempt,
            link=link.status == LinkStatus.LINKING,
            name=repository.name,
            url=repository.url,
            branch=repository.branch,
        )
        try:
            return self._runtime.git(editor.id, work)
        except RuntimeUnavailable as error:
            log.info("%s waits for the Workspace: %s", link.id, error)
            return None

    def _silence(self, link: RepositoryLink) -> float | None:
        now = self._clock.now()
        if now - self._silent_since.setdefault(link.id, now) > _SILENCE:
            del self._silent_since[link.id]
            return self._fail(link, "The Workspace's server does not answer. Stop and start it, then try again.")
        return _LATER

    def _without_workspace(self, link: RepositoryLink) -> float | None:
        if link.status == LinkStatus.UNLINKING:
            # What does not run has no credentials to let go of.
            return self._done(link)
        return self._fail(link, "The Workspace was stopped meanwhile. Start it, then link the repository again.")

    def _done(self, link: RepositoryLink) -> float | None:
        if link.status == LinkStatus.LINKING:
            return self._save(link, status=LinkStatus.LINKED, reason=None)
        with self._database.write() as session:
            row = session.get(RepositoryLink, link.id)
            if row is not None and row.attempt == link.attempt:
                session.delete(row)
        return None

    def _fail(self, link: RepositoryLink, reason: str) -> float | None:
        return self._save(link, status=_FAILED[LinkStatus(link.status)], reason=reason)

    def _save(self, seen: RepositoryLink, **changes: Any) -> float | None:
        with self._database.write() as session:
            row = session.get(RepositoryLink, seen.id, with_for_update=True)
            if row is not None and row.attempt == seen.attempt:
                for column, value in changes.items():
                    setattr(row, column, value)
        return None
