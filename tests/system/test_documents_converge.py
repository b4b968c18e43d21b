"""Several people, a terminal and bad lines at one notebook: the same document everywhere, and nothing vanishes.

Each client is what a browser has: a Yjs document and a websocket to the room. Steps are drawn at random
(the seed is the test's name); each puts a mark into the notebook, which must be in it at the end, once,
unless a cell that held it was deleted.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
from pathlib import Path

import nbformat.v4
import pytest
from pycrdt import Array, Map, Text

from tests.support.agent_rig import AgentRig, Workspace, until
from tests.support.documents import Client, room_of

NAME = "My first.ipynb"
CLIENTS, STEPS = 3, 60
SEEDS = range(1, int(os.environ.get("CONVERGE_SEEDS", "2")) + 1)
MARK = re.compile(r"<\d+>")


def state_of(file: Path) -> tuple[int, int, int]:
    """Another one after each save."""
    found = file.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


class Play:
    """What happens to the notebook."""

    def __init__(self, workspace: Workspace, seed: int, files: Path) -> None:
        self._random = random.Random(seed)
        self._file = files / NAME
        room = room_of(workspace, NAME)
        self.clients = [Client(workspace, room) for _ in range(CLIENTS)]
        self.expected: dict[str, str] = {}
        """In which cell each mark was put."""
        self.deleted: set[str] = set()
        self._next = 0

    def step(self) -> None:
        """One thing happens."""
        client = self._random.choice(self.clients)
        acts = [self.type] * 6 + [self._add_cell] * 2 + [self._delete_cell, self._switch, self._switch]
        self._random.choice(acts)(client)
        if self._random.random() < 0.1:
            self._write_file()
        for each in self.clients:
            if self._random.random() < 0.7:
                each.flush()
            each.receive()

    def _mark(self, cell_id: str) -> str:
        self._next += 1
        mark = f"<{self._next}>"
        self.expected[mark] = cell_id
        return mark

    def type(self, client: Client) -> None:
        if len(client.cells) == 0:
            return
        cell = client.cells[self._random.randrange(len(client.cells))]
        text = cell["source"]
        # Not inside another mark.
        places = [0, *(match.end() for match in MARK.finditer(str(text)))]
        text.insert(self._random.choice(places), self._mark(cell["id"]))

    def _add_cell(self, client: Client) -> None:
        cell_id = f"c{self._next:06d}x"
        made = {
            "id": cell_id,
            "cell_type": "code",
            "source": Text(self._mark(cell_id)),
            "metadata": Map({}),
            "outputs": Array([]),
            "execution_count": None,
            "execution_state": "idle",
        }
        client.cells.insert(self._random.randint(0, len(client.cells)), Map(made))

    def _delete_cell(self, client: Client) -> None:
        if len(client.cells) > 1:
            index = self._random.randrange(len(client.cells))
            self.deleted.add(client.cells[index]["id"])
            del client.cells[index]

    def _switch(self, client: Client) -> None:
        client.offline() if client.is_online else client.online()

    def _write_file(self) -> None:
        """A terminal changes the file: a new cell, and something in front of the first cell.

        What it read it takes the place of, as careful programs do: else it would undo a save of that moment itself.
        """
        before, known = state_of(self._file), dict(self.expected)
        notebook = json.loads(self._file.read_text())
        if notebook["cells"]:
            first = notebook["cells"][0]
            first["source"] = [self._mark(first["id"]), *first["source"]]
        cell_id = f"f{self._next:06d}x"
        cell = nbformat.v4.new_code_cell(self._mark(cell_id), id=cell_id)
        notebook["cells"].append(cell)
        beside = self._file.with_suffix(".new")
        beside.write_text(json.dumps(notebook))
        owner = self._file.stat()
        os.chown(beside, owner.st_uid, owner.st_gid)
        if state_of(self._file) == before:
            beside.replace(self._file)
        else:
            self.expected = known
            self._write_file()

    def settle(self) -> None:
        """Everybody is online and has said all."""
        for client in self.clients:
            if not client.is_online:
                client.online()
            client.flush()

    def alike(self) -> bool:
        """Whether file and all documents are the same."""
        for client in self.clients:
            client.receive(0.05)
        found = [client.sources() for client in self.clients]
        saved = {
            cell["id"]: "".join(cell["source"]) for cell in nbformat.reads(self._file.read_text(), as_version=4).cells
        }
        return all(each == saved for each in found)

    def end_alike(self) -> None:
        """In the end all are the same, and each mark is there once unless its cell was deleted."""
        self.settle()
        until(self.alike)
        text = "".join(self.clients[0].sources().values())
        lost = {mark for mark, cell in self.expected.items() if text.count(mark) != 1 and cell not in self.deleted}
        assert not lost, (lost, text)
        for client in self.clients:
            client.offline()


def begin(rig: AgentRig, workspace_id: str, seed: int) -> Play:
    workspace = rig.launch(workspace_id)
    return Play(workspace, seed, rig.settings.workspaces_dir / workspace.id / "files")


@pytest.mark.parametrize("seed", SEEDS)
def test_everybody_has_the_same_and_nothing_vanished(rig: AgentRig, seed: int) -> None:
    play = begin(rig, f"e-CONVERGE{seed}", seed)
    for _ in range(STEPS):
        play.step()
    play.end_alike()
    rig.runtime.stop(f"e-CONVERGE{seed}")


@pytest.mark.parametrize("seed", SEEDS)
def test_open_pages_bring_back_what_a_killed_workspace_had_not_saved(rig: AgentRig, seed: int) -> None:
    workspace_id = f"e-KILLED{seed}"
    play = begin(rig, workspace_id, seed)
    for _ in range(STEPS // 2):
        play.step()
    os.kill(rig.runtime.observe(workspace_id).pid, signal.SIGKILL)
    rig.ended(workspace_id)
    for client in play.clients:
        client.offline()
        play.type(client)
    rig.runtime.forget(workspace_id)
    workspace = rig.launch(workspace_id)
    for client in play.clients:
        client.workspace = workspace
        client.online()
    play.end_alike()
    rig.runtime.stop(workspace_id)
