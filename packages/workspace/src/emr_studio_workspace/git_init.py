"""A new repository from the Git panel: its empty first commit is that of the user who is signed in.

jupyterlab-git makes that commit before it asks anybody for a name, and so fails where git knows none. Later
commits ask, as ever; in a shared Workspace no name could be right for all.
"""

from __future__ import annotations

import asyncio
import json

from jupyterlab_git.handlers import GitInitHandler
from tornado.web import authenticated

ROUTE = r"/git(?P<path>(?:(?:/[^/]+)+|/?))/init"


class InitHandler(GitInitHandler):
    """`git init` and a first commit."""

    @authenticated
    async def post(self, path: str = "") -> None:
        """Make the repository; 500 with git's own words if it does not work."""
        folder = self.url2localpath(path)
        done = await self.git.init(folder)
        if done["code"] == 0:
            done = await self._first_commit(folder)
        if done["code"] != 0:
            self.set_status(500)
        self.finish(json.dumps(done))

    async def _first_commit(self, folder: str) -> dict[str, object]:
        known, _ = await _git(folder, "config", "user.email")
        name = str(self.current_user.name)
        identity = [] if known == 0 else ["-c", f"user.name={name}", "-c", f"user.email={name}@localhost"]
        code, said = await _git(folder, *identity, "commit", "--allow-empty", "-m", "First Commit")
        return {"code": code} if code == 0 else {"code": code, "command": "git commit --allow-empty", "message": said}


async def _git(folder: str, *arguments: str) -> tuple[int, str]:
    """Exit code, and what it said of a failure."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("git", *arguments, cwd=folder, stdout=pipe, stderr=pipe)
    _, errors = await process.communicate()
    return process.returncode or 0, errors.decode(errors="replace")
