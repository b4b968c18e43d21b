"""The Studio's own addresses on a Workspace's server: `/api/emr-studio/...`."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from jupyter_server.base.handlers import APIHandler
from jupyter_server.services.sessions.handlers import SessionRootHandler
from tornado.web import HTTPError, authenticated

from emr_studio_workspace import authors, git_init
from emr_studio_workspace.backup import backup_state
from emr_studio_workspace.disk import disk_state, full_disk_to_507, guard
from emr_studio_workspace.gateway import pointer
from emr_studio_workspace.identity import ACTIVITY_PATH, RELEASE_PATH
from emr_studio_workspace.notebooks import SAMPLE_DATA, examples
from emr_studio_workspace.sql_history import NotKept, SqlHistory


class StatusHandler(APIHandler):
    """What the status bar shows."""

    @authenticated
    async def get(self) -> None:
        """`{"workspace", "clusterId", "backup", "disk"}`; asks nobody, so it may be asked often."""
        target = pointer.target
        answer = {
            "workspace": self.settings["emr_studio_workspace"],
            "clusterId": target.cluster_id if target else None,
            "backup": backup_state(self.settings["emr_studio_backup"]),
            "disk": disk_state(self.settings["emr_studio_disk"], Path(self.serverapp.root_dir)),
        }
        self.finish(json.dumps(answer))


class ExamplesHandler(APIHandler):
    """The notebook examples."""

    @authenticated
    async def get(self) -> None:
        """`{"examples": [{"name", "title", "description"}]}`."""
        found = examples(os.environ.get(SAMPLE_DATA, ""))
        told = [{"name": one.name, "title": one.title, "description": one.description} for one in found]
        self.finish(json.dumps({"examples": told}))


class ExampleHandler(APIHandler):
    """One example."""

    @authenticated
    async def get(self, name: str) -> None:
        """The notebook itself; 404 if there is none of that name."""
        found = next((one for one in examples(os.environ.get(SAMPLE_DATA, "")) if one.name == name), None)
        if found is None:
            raise HTTPError(404, f"There is no example {name}.")
        self.finish(found.text)


class CompareHandler(APIHandler):
    """Compares an earlier version of a file with another."""

    @authenticated
    async def post(self) -> None:
        """`{"then", "now", "notebook"}`, texts; answers `{"cells"}` (`comparing.py`), or 400 if one is no notebook."""
        from emr_studio_workspace.comparing import Unreadable, compare

        asked = self.get_json_body() or {}
        texts = str(asked.get("then", "")), str(asked.get("now", ""))
        try:
            cells = await asyncio.to_thread(compare, *texts, bool(asked.get("notebook")))
        except Unreadable as error:
            raise HTTPError(400, str(error)) from error
        self.finish(json.dumps({"cells": cells}))


class SqlHistoryHandler(APIHandler):
    """What the SQL editors have run."""

    @authenticated
    async def get(self) -> None:
        """`{"entries"}`, newest first."""
        self.finish(json.dumps({"entries": SqlHistory(Path(self.serverapp.root_dir)).entries()}))

    @authenticated
    async def delete(self) -> None:
        """Forget it."""
        SqlHistory(Path(self.serverapp.root_dir)).clear()
        self.finish("{}")


class SqlEntryHandler(APIHandler):
    """One statement of it, under an id that the page makes."""

    @authenticated
    async def put(self, entry_id: str) -> None:
        """Keep it; 400 with the reason if it is not kept, 507 where the disk is full."""
        guard.check()
        history = SqlHistory(Path(self.serverapp.root_dir), authors.note)
        try:
            with full_disk_to_507():
                entry = history.keep(entry_id, self.get_json_body(), authors.name_of(self.current_user))
        except NotKept as error:
            raise HTTPError(400, str(error)) from error
        self.finish(json.dumps(entry))


class ReleaseHandler(APIHandler):
    """Ends this Workspace's kernels. The agent asks before it detaches their cluster."""

    def check_xsrf_cookie(self) -> None:
        """The gate has let in only the agent, which is no browser."""

    @authenticated
    async def post(self) -> None:
        """`{"released": n}`."""
        self.finish(json.dumps({"released": await self.kernel_manager.release()}))


class ActivityHandler(APIHandler):
    """Tells the agent whether anything is at work here."""

    @authenticated
    async def get(self) -> None:
        """`{"busy", "idleSeconds"}`."""
        kernels = await self.kernel_manager.list_kernels()
        watch, terminals = self.settings["emr_studio_activity"], self.settings.get("terminal_manager")
        self.finish(json.dumps(watch.report(kernels, terminals, datetime.now(UTC))))


class SessionsHandler(SessionRootHandler):
    """Jupyter's own, but it tells why a kernel did not start in place of "500"."""

    async def post(self) -> None:
        """Start a session."""
        try:
            await super().post()
        except HTTPError as error:
            if isinstance(error.__cause__, HTTPError):
                raise error.__cause__ from None
            raise


def routes() -> list[tuple[str, type[APIHandler]]]:
    """Addresses and their handlers."""
    return [
        (git_init.ROUTE, git_init.InitHandler),
        (r"/api/sessions", SessionsHandler),
        (r"/api/emr-studio/status", StatusHandler),
        (r"/api/emr-studio/examples", ExamplesHandler),
        (r"/api/emr-studio/examples/([a-z-]+\.ipynb)", ExampleHandler),
        (r"/api/emr-studio/compare", CompareHandler),
        (r"/api/emr-studio/sql-history", SqlHistoryHandler),
        (r"/api/emr-studio/sql-history/([0-9a-f-]{36})", SqlEntryHandler),
        (RELEASE_PATH, ReleaseHandler),
        (ACTIVITY_PATH, ActivityHandler),
    ]
