"""The address at which the host agent asks for Git work, for the controller (`git_links.py`)."""

from __future__ import annotations

import json

from jupyter_server.base.handlers import APIHandler
from tornado.web import HTTPError, authenticated

from emr_studio_workspace.git_links import Asked
from emr_studio_workspace.identity import GIT_PATH


class GitHandler(APIHandler):
    """Links and unlinks Git repositories."""

    def check_xsrf_cookie(self) -> None:
        """The gate has let in only the agent, which is no browser."""

    @authenticated
    async def post(self) -> None:
        """`git_links.Asked` as JSON; answers `{"state", "reason"}`."""
        asked = self.get_json_body() or {}
        try:
            work = Asked(link=bool(asked["link"]), **{name: str(asked[name]) for name in _TEXTS})
        except KeyError as error:
            raise HTTPError(400, f"{error} is missing.") from error
        self.finish(json.dumps(self.settings["emr_studio_git"].look(work)))


_TEXTS = ("attempt", "name", "url", "branch")


def routes() -> list[tuple[str, type[APIHandler]]]:
    """Address and handler."""
    return [(GIT_PATH, GitHandler)]
