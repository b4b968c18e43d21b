"""What a cell with `%mount_workspace_dir` is given, and what nobody is given."""

from __future__ import annotations

import base64
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from emr_studio_workspace import share
from emr_studio_workspace.share import ASKS, FolderShare


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {"lib/fruit.py": "NAME = 'pear'\n", "lib/deep/x.py": "", "notes.ipynb": "{}", ".ssh/key": "secret"}
    for name, text in files.items():
        file = tmp_path / "home" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "outside").write_text("secret")
    (tmp_path / "home/lib/link").symlink_to(tmp_path / "outside")
    (tmp_path / "home/up").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "home/lib/pipe")
    return tmp_path / "home"


async def asked(shared: FolderShare, path: Any, start: Any = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await shared.answer("1", ASKS + json.dumps({"path": path, "from": start})))
    return found


def names(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as file:
        return file.getnames()


async def test_files_and_nothing_else(root: Path) -> None:
    found = await asked(FolderShare(lambda: str(root)), ".")
    assert names(base64.b64decode(found["data"])) == ["notes.ipynb", "lib/fruit.py", "lib/deep/x.py"]
    below = await asked(FolderShare(lambda: str(root)), "lib")
    assert names(base64.b64decode(below["data"])) == ["fruit.py", "deep/x.py"]


@pytest.mark.parametrize("path", ["..", "/etc", "up", "lib/../..", "nothing", "notes.ipynb"])
async def test_what_is_no_folder_of_it(root: Path, path: str) -> None:
    assert "has no folder" in (await asked(FolderShare(lambda: str(root)), path))["error"]


async def test_it_comes_in_pieces(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "PIECE", 10)
    shared, whole = FolderShare(lambda: str(root)), b""
    while len(whole) < (found := await asked(shared, ".", len(whole)))["size"]:
        whole += base64.b64decode(found["data"])
    assert "lib/fruit.py" in names(whole)
    shared.forget("1")
    assert "error" in await asked(shared, ".", 10)


async def test_too_much_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "MOST_FILES", 2)
    assert "mount a folder of it" in (await asked(FolderShare(lambda: str(root)), "."))["error"]
    monkeypatch.setattr(share, "MOST_BYTES", 1)
    assert "mount a folder of it" in (await asked(FolderShare(lambda: str(root)), "lib"))["error"]


@pytest.mark.parametrize("prompt", ["", "{", "[]", '{"path": "."}', '{"path": ".", "from": "x"}'])
async def test_nonsense_is_answered(root: Path, prompt: str) -> None:
    assert "error" in json.loads(await FolderShare(lambda: str(root)).answer("1", ASKS + prompt))


def test_only_a_cell_that_names_the_magic_may_ask() -> None:
    assert FolderShare.is_asked("%mount_workspace_dir .", ASKS + "{}")
    assert not FolderShare.is_asked("import thief", ASKS + "{}")
    assert not FolderShare.is_asked("%mount_workspace_dir .", "Your name? ")
