"""A save takes the place of the file that its writer knows, and of no other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from emr_studio_workspace.replacing import ChangedMeanwhile, expecting, mark_of, replacing


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "n.ipynb"
    made.write_text("first")
    return made


def saving(file: Path) -> AbstractContextManager[Any]:
    return replacing(str(file), str(file.with_name(f".~{file.name}")), lambda _descriptor: None, "w")


def save(file: Path, text: str) -> None:
    with saving(file) as stream:
        stream.write(text)


def test_what_is_known_is_replaced_and_known_again(file: Path) -> None:
    file.chmod(0o640)
    with expecting(str(file), mark_of(str(file))) as expected:
        save(file, "second")
    assert expected is not None
    assert (expected.missed, expected.written) == (False, mark_of(str(file)))
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("second", 0o640)


def in_place(file: Path) -> None:
    file.write_text("theirs")


def as_a_whole(file: Path) -> None:
    other = file.with_name("theirs")
    other.write_text("first")
    other.replace(file)


def overtaken(file: Path, act: Callable[[Path], None]) -> None:
    """A save, while which another one writes the file."""
    with saving(file) as stream:
        stream.write("second")
        act(file)


@pytest.mark.parametrize(("act", "left"), [(in_place, ["theirs"]), (as_a_whole, ["first"]), (Path.unlink, [])])
def test_what_another_wrote_meanwhile_stays(file: Path, act: Callable[[Path], None], left: list[str]) -> None:
    with expecting(str(file), mark_of(str(file))) as expected, pytest.raises(ChangedMeanwhile):
        overtaken(file, act)
    assert expected is not None
    assert (expected.missed, expected.written) == (True, None)
    assert [path.read_text() for path in file.parent.iterdir()] == left


def test_other_files_and_writers_without_expectations_are_free(file: Path) -> None:
    known, other = mark_of(str(file)), file.with_name("other")
    file.write_text("changed")
    with expecting(str(file), known) as expected:
        save(other, "x")
    assert expected is not None
    assert expected.written is None
    with expecting(str(file), None) as nothing:
        save(file, "second")
    assert nothing is None
    assert (file.read_text(), other.read_text()) == ("second", "x")
