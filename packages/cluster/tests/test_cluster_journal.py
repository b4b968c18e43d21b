"""A kernel's journal: what it said of each execution, in order, bounded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emr_studio_cluster.journal import Journal, is_id, read


def frames(execution: str, kind: str, request: str = "execute_request", **content: Any) -> list[bytes]:
    """A message as it goes over the wire."""
    parts: tuple[dict[str, Any], ...] = (
        {"msg_type": kind, "msg_id": f"{kind}-1"},
        {"msg_id": execution, "msg_type": request},
        {},
        content,
    )
    return [b"kernel.topic", b"<IDS|MSG>", b"signature", *(json.dumps(part).encode() for part in parts)]


def texts(folder: Path, execution: str, start: int = 0) -> list[str]:
    return [message["content"]["text"] for message in read(folder, execution, start)[0] if "text" in message["content"]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kernel"


def test_what_is_noted_is_read_in_order_and_from_where_one_was(folder: Path) -> None:
    journal = Journal(folder)
    assert read(folder, "a", 0) == ([], 0)
    journal.note(frames("a", "stream", text="one\n"))
    messages, following = read(folder, "a", 0)
    assert [(m["header"]["msg_type"], m["parent_header"]["msg_id"], m["content"]) for m in messages] == [
        ("stream", "a", {"text": "one\n"})
    ]
    journal.note(frames("b", "stream", text="other"))
    journal.note(frames("a", "stream", text="two"))
    assert texts(folder, "a", following) == ["two"]
    assert texts(folder, "b") == ["other"]


@pytest.mark.parametrize(
    "message",
    [
        frames("a", "status", request="kernel_info_request"),
        frames("../../escape", "stream", text="x"),
        [b"no message"],
        [b"<IDS|MSG>", b"", b"{", b"{", b"{", b"{"],
    ],
)
def test_only_executions_are_noted(folder: Path, message: list[bytes]) -> None:
    Journal(folder).note(message)
    assert list(folder.parent.rglob("*")) == [folder]


def test_a_line_that_is_being_written_is_read_when_it_is_whole(folder: Path) -> None:
    Journal(folder).note(frames("a", "stream", text="whole"))
    size = (folder / "a").stat().st_size
    with (folder / "a").open("ab") as file:
        file.write(b'{"content": {"te')
    assert read(folder, "a", 0)[1] == size


def test_a_long_execution_keeps_its_beginning_and_its_end(folder: Path) -> None:
    journal = Journal(folder, longest=1000)
    for number in range(100):
        journal.note(frames("a", "stream", text=f"{number}"))
    journal.note(frames("a", "status", execution_state="idle"))
    messages = read(folder, "a", 0)[0]
    assert messages[0]["content"]["text"] == "0"
    assert messages[-1]["content"] == {"execution_state": "idle"}
    assert (folder / "a").stat().st_size < 1300


def test_old_executions_make_room(folder: Path) -> None:
    journal = Journal(folder, kept=2000)
    for number in range(30):
        journal.note(frames(f"e{number}", "stream", text="x" * 300))
    left = sorted(path.name for path in folder.iterdir())
    assert "e29" in left
    assert sum(path.stat().st_size for path in folder.iterdir()) < 3000


def test_a_kernel_that_starts_anew_has_said_nothing(folder: Path) -> None:
    Journal(folder).note(frames("a", "stream", text="before"))
    Journal(folder)
    assert read(folder, "a", 0) == ([], 0)


def test_ids() -> None:
    assert is_id("0f-A_9")
    assert not any(map(is_id, ("", ".", "../x", "a/b", "a" * 200)))
