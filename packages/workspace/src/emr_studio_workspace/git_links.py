"""Clones a repository into the Workspace, and takes its credentials away again: as the Workspace's own user.

The controller asks again and again with the same `attempt`; the first question begins, the others tell how it
stands. Whatever is cut, by kill -9 too, can be begun again: a clone that is not complete carries a mark in
its own configuration, and is made anew.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from emr_studio_workspace.git_credentials import PREFIX, configured

WORKING, DONE, FAILED = "working", "done", "failed"
_MARK = "emrstudio.linking"
_LONGEST_SECONDS = 3600
_KEPT = 32
_LONGEST_REASON = 600
_NOT_SET = 5
"""Exit code of `git config --unset` where there is nothing to unset."""
_QUIET = ("-c", "credential.useHttpPath=true", "-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=120")


class LinkFailed(Exception):
    """Why it did not work, for a person."""


@dataclass(frozen=True)
class Asked:
    """What the controller wants. `attempt` is the same as long as it is about the same request of a user."""

    attempt: str
    link: bool
    name: str
    url: str
    branch: str


@dataclass
class GitLinks:
    """The work under way in this server, and what became of the last."""

    files: Path
    _tasks: dict[str, asyncio.Task[str]] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)

    def look(self, asked: Asked) -> dict[str, str]:
        """`{"state", "reason"}`; begins the work if it is new."""
        task = self._tasks.get(asked.attempt)
        if task is None:
            self._begin(asked)
        if task is None or not task.done():
            return {"state": WORKING, "reason": ""}
        reason = "It was interrupted." if task.cancelled() else task.result()
        return {"state": FAILED if reason else DONE, "reason": reason}

    def _begin(self, asked: Asked) -> None:
        before = self._tasks.get(self._names.get(asked.name, ""))
        for attempt in [attempt for attempt, task in self._tasks.items() if task.done()][:-_KEPT]:
            del self._tasks[attempt]
        self._names[asked.name] = asked.attempt
        self._tasks[asked.attempt] = asyncio.create_task(self._work(asked, before))

    async def _work(self, asked: Asked, before: asyncio.Task[str] | None) -> str:
        """Empty, or why it failed."""
        if before is not None and not before.done():
            before.cancel()
            with suppress(asyncio.CancelledError):
                await before
        folder = self.files / asked.name
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                await (self._link(asked, folder) if asked.link else _unlink(folder))
        except LinkFailed as failure:
            return str(failure)[:_LONGEST_REASON]
        except TimeoutError:
            return f"Git did not come to an end within {_LONGEST_SECONDS // 60} minutes."
        except OSError as error:
            return f"{error.strerror or error}."
        return ""

    async def _link(self, asked: Asked, folder: Path) -> None:
        await self._require_branch(asked)
        if await self._is_unfinished(folder):
            await asyncio.to_thread(shutil.rmtree, folder)
        if not os.path.lexists(folder) or _is_empty(folder):
            await self._clone(asked, folder)
        else:
            await self._link_again(asked, folder)

    async def _require_branch(self, asked: Asked) -> None:
        """Also the first word with the server: can it be reached, does it take the credentials?"""
        helper = ("-c", f"credential.helper={configured(asked.name)}")
        heads = ("ls-remote", "--exit-code", "--heads", "--", asked.url, f"refs/heads/{asked.branch}")
        code, _, said = await _git(self.files, *helper, *_QUIET, *heads)
        if code == 2:
            raise LinkFailed(f"The branch '{asked.branch}' does not exist in {asked.url}.")
        if code:
            raise LinkFailed(await _explained(asked.url, said))

    async def _is_unfinished(self, folder: Path) -> bool:
        return _is_repository(folder) and (await _git(folder, "config", "--local", "--get", _MARK))[0] == 0

    async def _clone(self, asked: Asked, folder: Path) -> None:
        own = (
            "-c",
            f"{_MARK}=true",
            "-c",
            f"credential.helper={configured(asked.name)}",
            "-c",
            "credential.useHttpPath=true",
        )
        try:
            clone = ("clone", "--quiet", *own, "--branch", asked.branch, "--", asked.url, str(folder))
            code, _, said = await _git(self.files, *_QUIET, *clone)
            if code:
                raise LinkFailed(await _explained(asked.url, said))
            await _configure(folder, "--unset-all", _MARK)
        except (LinkFailed, OSError, asyncio.CancelledError):
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise

    async def _link_again(self, asked: Asked, folder: Path) -> None:
        """What an earlier link has left: its files stay as they are, unless another branch is wanted."""
        origin = ""
        if _is_repository(folder):
            origin = (await _git(folder, "config", "--local", "--get", "remote.origin.url"))[1].strip()
        if origin != asked.url:
            raise LinkFailed(f"There is something named '{asked.name}' already: rename or delete it, then link again.")
        await _configure(folder, "--replace-all", "credential.helper", configured(asked.name))
        await _configure(folder, "--replace-all", "credential.useHttpPath", "true")
        for step in (("fetch", "--quiet", "origin"), ("checkout", "--quiet", asked.branch, "--")):
            code, _, said = await _git(folder, *_QUIET, *step)
            if code:
                raise LinkFailed(await _explained(asked.url, said))


async def _unlink(folder: Path) -> None:
    if not _is_repository(folder):
        return
    await _configure(folder, "--unset-all", "credential.helper", "EMR_STUDIO_GIT_HELPER")
    await _configure(folder, "--unset-all", "credential.useHttpPath")
    await _configure(folder, "--unset-all", _MARK)


def _is_repository(folder: Path) -> bool:
    return not folder.is_symlink() and (folder / ".git" / "config").is_file()


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir())


async def _configure(folder: Path, *words: str) -> None:
    code, _, said = await _git(folder, "config", "--local", *words)
    if code not in (0, _NOT_SET):
        raise LinkFailed(_told(said))


async def _git(folder: Path, *words: str) -> tuple[int, str, str]:
    """Exit code, output, errors. A cancelled one ends with all that it has started."""
    pipe = asyncio.subprocess.PIPE
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "LC_ALL": "C.UTF-8"}
    process = await asyncio.create_subprocess_exec(
        "git",
        *words,
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        start_new_session=True,
    )
    try:
        output, errors = await process.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    return process.returncode or 0, output.decode(errors="replace"), errors.decode(errors="replace")


async def _explained(url: str, said: str) -> str:
    """Git tells the code of a proxy's refusal, not its words: these say which rule is missing."""
    refused = await _refusal_outside(url) if "CONNECT" in said else ""
    return refused or _told(said)


def _told(said: str) -> str:
    """The lines in which git says what is wrong."""
    telling = ("fatal:", "error:", "remote:")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    # What the credential helper says is the cause of what git says then.
    own = [line.removeprefix(PREFIX) for line in lines if line.startswith(PREFIX)]
    found = own or [line for line in lines if line.startswith(telling)] or lines
    return " ".join(dict.fromkeys(found)) or "Git failed without a word."


async def _refusal_outside(url: str) -> str:
    """What the way out says of the repository's host; empty if it lets it pass or there is none."""
    there, proxy = urlsplit(url), urlsplit(os.environ.get("https_proxy", ""))
    if not proxy.hostname:
        return ""
    with suppress(OSError, TimeoutError, ValueError):
        async with asyncio.timeout(30):
            reader, writer = await asyncio.open_connection(proxy.hostname, proxy.port)
            try:
                host = f"[{there.hostname}]" if ":" in (there.hostname or "") else there.hostname
                writer.write(f"CONNECT {host}:{there.port or 443} HTTP/1.1\r\n\r\n".encode())
                head = await reader.readuntil(b"\r\n\r\n")
                passed = b" 200 " in head.partition(b"\r\n")[0] + b" "
                return "" if passed else (await reader.read(4096)).decode(errors="replace").strip()
            finally:
                writer.close()
    return ""
