"""Cloning into a Workspace with a real git; `insteadOf` leads the HTTPS address to a folder."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from emr_studio_workspace.git_credentials import configured
from emr_studio_workspace.git_links import Asked, GitLinks

URL = "https://git.example.com/team/project.git"
_numbers = itertools.count()


@dataclass
class Place:
    """A Workspace's folder, and the repository at the other end."""

    files: Path
    origin: Path
    links: GitLinks

    @property
    def clone(self) -> Path:
        return self.files / "project"

    def run(self, *, link: bool = True, branch: str = "main", url: str = URL) -> str:
        """Link or unlink as a user's new request; the reason of a failure."""
        asked = Asked(f"attempt {next(_numbers)}", link, "project", url, branch)
        return asyncio.run(self._until_done(asked))

    async def _until_done(self, asked: Asked) -> str:
        assert self.links.look(asked) == {"state": "working", "reason": ""}
        while (found := self.links.look(asked))["state"] == "working":
            await asyncio.sleep(0.01)
        assert (found["state"] == "failed") == bool(found["reason"])
        return found["reason"]

    def git(self, *words: str, folder: Path | None = None) -> str:
        done = subprocess.run(["git", *words], cwd=folder or self.clone, capture_output=True, text=True, check=False)
        return done.stdout.strip()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    files, origin, work = tmp_path / "files", tmp_path / "far" / "team" / "project.git", tmp_path / "work"
    for folder in (files, origin, work):
        folder.mkdir(parents=True)
    config = tmp_path / "gitconfig"
    config.write_text(
        f'[url "{tmp_path}/far/"]\n  insteadOf = https://git.example.com/\n'
        "[user]\n  name = t\n  email = t@example.com\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.delenv("https_proxy", raising=False)
    made = Place(files, origin, GitLinks(files))
    made.git("init", "--bare", "-q", "-b", "main", folder=origin)
    made.git("init", "-q", "-b", "main", folder=work)
    (work / "README.md").write_text("first")
    for words in (("add", "."), ("commit", "-qm", "first"), ("branch", "next"), ("push", "-q", str(origin), "--all")):
        made.git(*words, folder=work)
    return made


@pytest.mark.capability("GT-05")
def test_a_clone_of_its_branch_in_a_folder_of_its_name(place: Place) -> None:
    assert place.run(branch="next") == ""
    assert (place.clone / "README.md").read_text() == "first"
    assert place.git("branch", "--show-current") == "next"
    assert place.git("config", "--local", "remote.origin.url") == URL
    assert place.git("config", "--local", "credential.helper") == configured("project")
    assert place.git("config", "--local", "emrstudio.linking") == ""


@pytest.mark.capability("GT-05")
def test_unlinking_keeps_the_files_and_takes_the_helper_away(place: Place) -> None:
    place.run()
    (place.clone / "mine").write_text("mine")
    assert place.run(link=False) == ""
    assert ((place.clone / "mine").read_text(), place.git("config", "--local", "credential.helper")) == ("mine", "")
    assert place.run(link=False) == ""
    assert place.run() == ""
    assert ((place.clone / "mine").read_text(), place.git("config", "--local", "credential.helper")) == (
        "mine",
        configured("project"),
    )


def test_a_helper_of_the_users_own_stays(place: Place) -> None:
    place.run()
    place.git("config", "--local", "--add", "credential.helper", "cache")
    assert place.run(link=False) == ""
    assert place.git("config", "--local", "--get-all", "credential.helper") == "cache"


@pytest.mark.capability("GT-04")
def test_a_branch_that_does_not_exist(place: Place) -> None:
    assert place.run(branch="nothing") == f"The branch 'nothing' does not exist in {URL}."
    assert not place.clone.exists()


@pytest.mark.capability("GT-04")
def test_a_repository_that_does_not_exist(place: Place) -> None:
    assert "fatal:" in place.run(url="https://git.example.com/team/nothing.git")
    assert not place.clone.exists()


@pytest.mark.parametrize("kind", ["file", "folder", "link", "other repository"])
def test_what_is_in_the_way_is_never_touched(place: Place, kind: str) -> None:
    if kind == "file":
        place.clone.write_text("mine")
    elif kind == "link":
        place.clone.symlink_to(place.origin)
    else:
        place.clone.mkdir()
        (place.clone / "mine").write_text("mine")
    if kind == "other repository":
        place.git("init", "-q")
    assert "already: rename or delete it" in place.run()
    assert place.clone.is_symlink() or (place.clone if kind == "file" else place.clone / "mine").read_text() == "mine"


@pytest.mark.capability("GT-04")
def test_what_a_kill_has_left_half_done_is_made_anew(place: Place) -> None:
    place.run()
    place.git("config", "--local", "emrstudio.linking", "true")
    (place.clone / "README.md").unlink()
    assert place.run() == ""
    assert (place.clone / "README.md").read_text() == "first"


@pytest.mark.capability("GT-04")
def test_an_unlink_that_fails_says_why_and_works_the_next_time(place: Place) -> None:
    place.run()
    lock = place.clone / ".git" / "config.lock"
    lock.touch()
    assert "could not lock config file" in place.run(link=False)
    lock.unlink()
    assert place.run(link=False) == ""


def test_one_attempt_is_one_work_and_its_end_stays_known(place: Place) -> None:
    asked = Asked("the same", True, "project", URL, "main")

    async def ask() -> list[str]:
        seen = [place.links.look(asked)["state"]]
        while seen[-1] == "working":
            await asyncio.sleep(0.01)
            seen.append(place.links.look(asked)["state"])
        return [*seen, place.links.look(asked)["state"]]

    assert asyncio.run(ask())[-2:] == ["done", "done"]


def test_a_new_attempt_ends_the_one_before(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    waiting = tmp_path / "bin"
    waiting.mkdir()
    script = waiting / "git"
    script.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    script.chmod(0o755)
    path = os.environ["PATH"]

    async def overtake() -> str:
        monkeypatch.setenv("PATH", f"{waiting}:{path}")
        place.links.look(Asked("first", True, "project", URL, "main"))
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            await asyncio.sleep(0.01)
        monkeypatch.setenv("PATH", path)
        return await place._until_done(Asked("second", True, "project", URL, "main"))

    assert asyncio.run(overtake()) == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert (place.clone / "README.md").read_text() == "first"


@pytest.mark.capability("GT-02", "GT-04")
def test_why_credentials_are_not_given_is_the_reason(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git asks the helper, which says it in its own words; what git says then is left out."""
    said = "emr-studio: The secret x must be JSON.\nfatal: could not read Username for 'https://x'\n"
    script = place.files.parent / "bin" / "git"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\nprintf '%s' \"{said}\" >&2\nexit 128\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    assert place.run() == "The secret x must be JSON."
