"""Notebooks that a cell runs, with kernels that are played: each answers a cell by what its source says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.workspace_python import in_workspace

_PLAY = """
import asyncio, json, sys
from pathlib import Path
import nbformat.v4
from emr_studio_workspace import runs
from emr_studio_workspace.runs import ASKS, NotebookRuns

root = Path(sys.argv[1])
runs.attached_cluster = lambda: "j-HERE"


class Server:
    # A server with its kernels, and with what runs cells.

    def __init__(self):
        self.root_dir, self.kernel_manager, self.session_manager = str(root), self, self
        self.kernels, self.kinds, self.asked, self.interrupted = [], [], {}, False
        self.starts, self.may_start = 0, asyncio.Event()
        self.may_start.set()

    def get_kernel_env(self, path):
        return {"KERNEL_NOTEBOOK_PATH": path}

    async def start_kernel(self, kernel_name, env):
        # As a cluster: what was asked for is carried out, whoever still waits for it.
        return await asyncio.shield(asyncio.ensure_future(self.start(kernel_name)))

    async def start(self, kernel_name):
        self.starts += 1
        await self.may_start.wait()
        if kernel_name == "none":
            raise OSError("does not start")
        self.kernels.append(f"k{len(self.kinds)}")
        self.kinds.append(kernel_name)
        return self.kernels[-1]

    async def shutdown_kernel(self, kernel_id, now=False):
        self.kernels.remove(kernel_id)

    async def interrupt(self, kernel_id):
        self.interrupted = True

    def put(self, kernel_id, source):
        self.asked[len(self.asked)] = source
        return len(self.asked) - 1

    def get(self, kernel_id, uid):
        source = self.asked[uid]
        if source == "wait" or (source == "input" and not self.interrupted):
            return {"pending": True, "request_status": "input" if source == "input" else "running"}
        told = {"pending": False, "request_status": "complete", "execution_count": uid + 1, "status": "ok"}
        if source in ("fail", "input"):
            error = {"output_type": "error", "ename": "ValueError", "evalue": "it fails", "traceback": []}
            return told | {"status": "error", "outputs": json.dumps([error])}
        return told | {"outputs": json.dumps([{"output_type": "stream", "name": "stdout", "text": source}])}


def write(name, *sources, kind="python3"):
    cells = [nbformat.v4.new_markdown_cell("# text"), *(nbformat.v4.new_code_cell(source) for source in sources)]
    spec = {"name": kind, "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), root / name)


async def play():
    server = Server()
    made = NotebookRuns(server, server)

    async def ask(**question):
        return json.loads(await made.answer("x", ASKS + json.dumps(question)))

    async def run(name):
        told = await ask(begin=name)
        while told.get("status") in ("STARTING", "RUNNING"):
            await asyncio.sleep(0.01)
            told = await ask(look=told["id"])
        return told

    async def starting(name):
        before, told = server.starts, await ask(begin=name)
        while server.starts == before:
            await asyncio.sleep(0.01)
        return told

    def outputs(told):
        cells = nbformat.read(root / told["output"], 4).cells
        return [[o.get("text", o.get("evalue")) for o in cell.outputs] for cell in cells if cell.cell_type == "code"]

    write("good.ipynb", "one", "", "two")
    write("bad.ipynb", "one", "fail", "two")
    write("asks.ipynb", "input")
    write("long.ipynb", "one", "wait")
    write("kind.ipynb", "one", kind="none")
    (root / "broken.ipynb").write_text("{")
    good, bad, asks = await run("good.ipynb"), await run("bad.ipynb"), await run("asks.ipynb")
    found = {"good": [good, outputs(good)], "bad": [bad, outputs(bad)], "asks": asks}
    refused = ("none.ipynb", "../x.ipynb", "/etc/passwd", "broken.ipynb")
    found["refused"] = [(await ask(begin=name))["error"] for name in refused]
    found["elsewhere"] = (await ask(begin="good.ipynb", cluster="j-THERE"))["error"]
    found["unknown"] = [(await ask(look="ex-0"))["error"], (await ask())["error"]]
    many = [await ask(begin="long.ipynb") for _ in range(runs.MOST_AT_ONCE)]
    found["many"] = (await ask(begin="good.ipynb"))["error"]
    while (await ask(look=many[0]["id"]))["done"] < 1:
        await asyncio.sleep(0.01)
    found["half"] = outputs(many[0])
    found["stopped"] = await ask(stop=many[0]["id"])
    server.may_start.clear()
    for name in ("long.ipynb", "kind.ipynb"):
        found[name] = await ask(stop=(await starting(name))["id"])
    server.may_start.set()
    while made._endings:
        await asyncio.sleep(0.01)
    found["late"] = [len(server.kinds), len(server.kernels)]
    server.may_start.clear()
    many.append(await starting("long.ipynb"))
    closing = asyncio.create_task(made.close())
    while not made._endings:
        await asyncio.sleep(0.01)
    server.may_start.set()
    await closing
    found["closed"] = [(await ask(look=told["id"]))["status"] for told in many]
    found["left"] = [server.kernels, sorted(set(server.kinds)), len(asyncio.all_tasks())]
    return found


print(json.dumps(asyncio.run(play())))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "home").mkdir()
    environment = {"JUPYTER_DATA_DIR": str(folder / "data"), "HOME": str(folder)}
    told: dict[str, Any] = json.loads(in_workspace(_PLAY, folder / "home", environment=environment).stdout)
    return told


def test_a_notebook_runs_to_its_end_and_its_copy_has_the_outputs(found: dict[str, Any]) -> None:
    told, outputs = found["good"]
    assert (told["status"], told["done"], told["cells"], told["reason"]) == ("FINISHED", 3, 3, "")
    assert told["output"] == f"executions/{told['id']}/good.ipynb"
    assert outputs == [["one"], [], ["two"]]


def test_the_first_failure_ends_it_and_says_why(found: dict[str, Any]) -> None:
    told, outputs = found["bad"]
    assert (told["status"], told["done"], told["reason"]) == ("FAILED", 1, "ValueError: it fails")
    assert outputs == [["one"], ["it fails"], []]
    assert (found["asks"]["status"], found["asks"]["reason"][:20]) == ("FAILED", "A cell asks for inpu")


def test_what_cannot_be_run_is_refused_in_plain_words(found: dict[str, Any]) -> None:
    assert [said[:27] for said in found["refused"][:3]] == ["The Workspace has no notebo"] * 3
    assert "is no notebook" in found["refused"][3]
    assert "j-HERE" in found["elsewhere"]
    assert "is not known" in found["unknown"][0]
    assert "not understood" in found["unknown"][1]
    assert "5 notebooks run already" in found["many"]


def test_a_stop_ends_the_run_and_its_kernel(found: dict[str, Any]) -> None:
    assert found["half"] == [["one"], []]
    assert (found["stopped"]["status"], found["stopped"]["done"]) == ("STOPPED", 1)
    assert found["closed"] == ["STOPPED"] * 6
    assert found["left"] == [[], ["python3"], 1]


def test_a_stop_during_the_start_ends_the_kernel_once_it_is_there(found: dict[str, Any]) -> None:
    for name in ("long.ipynb", "kind.ipynb"):
        assert (found[name]["status"], found[name]["done"]) == ("STOPPED", 0)
    # Three good runs, five and one that was stopped; four of the five are still there.
    assert found["late"] == [9, 4]
