"""Git repositories in JupyterLab, in Chromium: registered, linked, committed and pushed to a server elsewhere."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import PATIENCE
from tests.browser.test_panels import workspace
from tests.support.far_away import PASSWORD, USER, FarAway, git_server
from tests.support.lab import link, show, unfold, wait_patiently
from tests.support.studio import Studio, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a machine elsewhere")
LONG = 120_000


@dataclass
class World:
    """A Workspace, and its page, and the server."""

    studio: Studio
    emr: Any
    editor_id: str
    far: FarAway
    page: Page

    @property
    def panel(self) -> Locator:
        return show(self.page, "Git repositories")

    def row(self, name: str) -> Locator:
        """A repository of the account."""
        registered = self.panel.get_by_role("list", name="Repositories", exact=True)
        return registered.get_by_role("listitem").filter(has_text=name)

    def register(self, name: str, path: str, branch: str = "main", **credentials: str) -> None:
        panel = self.panel
        form = panel.get_by_role("form", name="Register a repository")
        if not form.is_visible():
            panel.get_by_text("Register a repository").click()
        form.get_by_label("Name", exact=True).fill(name)
        form.get_by_label("Git URL").fill(f"https://{self.far.address}/{path}")
        form.get_by_label("Branch").fill(branch)
        form.get_by_label("Credentials").select_option(credentials.pop("kind", "none"))
        for label, value in credentials.items():
            form.get_by_label(label.replace("_", " ")).fill(value)
        form.get_by_role("button", name="Register").click()

    def link(self, name: str) -> None:
        self.panel.get_by_role("button", name=f"Link {name}", exact=True).click()

    def shows(self, name: str, text: str) -> None:
        row = self.panel.get_by_role("list", name="Linked repositories").get_by_role("listitem").filter(has_text=name)
        expect(row).to_contain_text(text, timeout=LONG)

    def terminal(self) -> Callable[[str], None]:
        """A new terminal; the answer types a command into it."""
        page = self.page
        page.keyboard.press("Control+Shift+L")
        page.locator(".jp-LauncherCard:visible").filter(has_text="Terminal").click()
        window = page.locator(".jp-Terminal:not(.lm-mod-hidden)")
        window.click()

        def run(command: str) -> None:
            expect(window.locator("textarea")).to_be_focused()
            page.keyboard.type(command + "\n")

        def listens() -> bool:
            run("touch /home/work/listens")
            page.wait_for_timeout(500)
            return (self.files / "listens").exists()

        until("the terminal listens", listens)
        return run

    def write(self, name: str, text: str) -> None:
        """A file of the Workspace's user."""
        owner, path = self.files.stat(), self.files / name
        path.write_text(text)
        os.chown(path, owner.st_uid, owner.st_gid)

    def log(self, repository: str) -> list[str]:
        """Subjects of the commits that the Workspace has, newest first."""
        argv = ["git", "-c", "safe.directory=*", "log", "--format=%s"]
        cwd = self.files / repository
        return subprocess.run(argv, check=True, capture_output=True, text=True, cwd=cwd).stdout.splitlines()

    @property
    def files(self) -> Path:
        return (self.studio.data_dir / "workspaces" / self.editor_id / "files").resolve()


@pytest.fixture(scope="module")
def world(studio: Studio, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    emr = studio.client("emr", "sample")
    with git_server(tmp_path_factory.mktemp("far")) as far:
        editor_id = workspace(emr, studio, "git")
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        context.set_default_timeout(PATIENCE)
        made = World(studio, emr, editor_id, far, context.new_page())
        _trust(made)
        made.page.goto(link(emr, editor_id))
        wait_patiently(made.page)
        yield made
        context.close()
        emr.delete_editor(EditorId=editor_id)


def _trust(world: World) -> None:
    """The server's authority, and who commits, as a user would tell git once."""
    owner = world.files.stat()
    home = world.files.with_name("home") if world.files.with_name("home").exists() else world.files.parent / "home"
    certificate, config = world.files / "authority.pem", home.resolve() / ".gitconfig"
    certificate.write_text(world.far.certificate)
    config.write_text(
        "[http]\n  sslCAInfo = /home/work/authority.pem\n[user]\n  name = Zoe\n  email = zoe@example.com\n"
    )
    for path in (certificate, config):
        os.chown(path, owner.st_uid, owner.st_gid)


@pytest.mark.capability("GT-01", "GT-02", "GT-05")
def test_register_with_a_new_secret_and_link(world: World, artifacts: Path) -> None:
    page = world.page
    expect(world.panel).to_contain_text("No repository is linked")
    page.screenshot(path=artifacts / "git-repositories-empty.png")
    form = {"kind": "password", "Name_of_the_new_secret": "reports", "User_name": USER, "Password": PASSWORD}
    world.register("reports", "private/reports.git", **form)
    expect(world.panel.get_by_role("list", name="Repositories", exact=True)).to_contain_text(
        "Secret emr-studio-reports"
    )
    expect(world.panel.get_by_role("status")).to_contain_text("Done.")
    world.link("reports")
    world.shows("reports", "Linked")
    page.screenshot(path=artifacts / "git-repositories-linked.png")
    assert (world.files / "reports" / "README.md").read_text() == "from far away\n"


@pytest.mark.capability("GT-08")
def test_a_shell_commits_and_pushes(world: World, artifacts: Path) -> None:
    page, far = world.page, world.far
    type_in = world.terminal()
    type_in("cd /home/work/reports && echo shell > shell.txt")
    type_in("git pull -q && git add . && git commit -qm 'by the shell' && git push -q")
    until("the shell has pushed", lambda: far.log() == ["by the shell", "first"])
    page.screenshot(path=artifacts / "git-shell-pushed.png")


@pytest.mark.capability("GT-08")
def test_the_git_panel_commits_and_pushes(world: World, artifacts: Path) -> None:
    page, far = world.page, world.far
    world.write("reports/graphical.txt", "graphical\n")
    page.locator(".jp-SideBar [role=tab][title^='File Browser']").click()
    unfold(page, "reports", page.locator(".jp-DirListing-item").filter(has_text="graphical.txt"))
    page.locator(".jp-SideBar [role=tab][title='Git']").click()
    git = page.locator("#jp-git-sessions")
    expect(git.get_by_text("graphical.txt")).to_be_visible()
    page.screenshot(path=artifacts / "git-panel-changed.png")
    git.get_by_role("button", name="Untracked").hover()
    git.get_by_role("button", name="Track all untracked files").click()
    git.get_by_role("textbox", name="Commit message").fill("by the panel")
    git.get_by_role("button", name="Commit", exact=True).click()
    until("the panel has committed", lambda: world.log("reports")[0] == "by the panel")
    page.get_by_role("button", name="Push committed changes").click()
    until("the panel has pushed", lambda: far.log() == ["by the panel", "by the shell", "first"])
    page.screenshot(path=artifacts / "git-panel-pushed.png")


@pytest.mark.capability("GT-02", "GT-04", "GT-07")
def test_a_failure_says_why_and_other_credentials_mend_it(world: World, artifacts: Path) -> None:
    page = world.page
    world.register("wrong", "private/reports.git", kind="token", Name_of_the_new_secret="wrong", Token="not-this-one")
    world.link("wrong")
    world.shows("wrong", "Authentication failed")
    page.screenshot(path=artifacts / "git-repositories-failed.png")
    world.panel.get_by_label("Edit the credentials of wrong").click()
    row = (
        world.panel.get_by_role("list", name="Repositories", exact=True)
        .get_by_role("listitem")
        .filter(has_text="wrong")
    )
    row.get_by_label("Credentials", exact=True).select_option("password")
    for label, value in (("Name of the new secret", "right"), ("User name", USER), ("Password", PASSWORD)):
        row.get_by_label(label).fill(value)
    row.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("Secret emr-studio-right")
    world.panel.get_by_role("button", name="Link wrong again").click()
    world.shows("wrong", "Linked")
    world.panel.get_by_role("button", name="Delete wrong").click()
    world.panel.get_by_role("button", name="Really delete wrong").click()
    expect(world.panel.get_by_role("alert")).to_contain_text("unlink it everywhere")
