"""The server owns documents and executions: what a cell prints is kept, whoever watches."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import nbformat.v4
import pytest

from emr_studio.runtime.contract import Gateway
from tests.support.agent_rig import AgentRig, ClusterGateway, KernelGateway, Workspace, until
from tests.support.container_keys import container_keys
from tests.support.documents import Client, room_of
from tests.support.lab import stored
from tests.support.s3_rig import Rig, s3_rig
from tests.system.test_agent_kernels import start_kernel

NAME = "My first.ipynb"
SECONDS = 5


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelGateway]:
    gateway = KernelGateway(tmp_path_factory.mktemp("gateway"))
    yield gateway
    gateway.close()


class Notebook:
    """A notebook with a kernel, and what its part in a browser asks of the server."""

    first = second = ""
    """Addresses of what was asked for."""
    enough: Path
    """The first ends when this is there."""

    def __init__(self, workspace: Workspace, client: httpx.Client, kernel_id: str) -> None:
        self.workspace, self.client, self.kernel_id = workspace, client, kernel_id

    def write(self, *cells: str) -> list[str]:
        """Save these cells; their ids."""
        made = [nbformat.v4.new_code_cell(source) for source in cells]
        content = nbformat.v4.new_notebook(cells=made)
        answer = self.client.put(f"/api/contents/{NAME}", json={"type": "notebook", "content": content})
        assert answer.status_code == 200, answer.text
        return [str(cell["id"]) for cell in made]

    def document(self) -> str:
        """The room's id, as JupyterLab asks for it."""
        body = {"format": "json", "type": "notebook"}
        answer = self.client.put(f"/api/collaboration/session/{NAME}", json=body).raise_for_status().json()
        self.session = answer["sessionId"]
        return f"json:notebook:{answer['fileId']}"

    def run(self, code: str, cell_id: str | None = None) -> str:
        """Ask for an execution; its address."""
        metadata = {"cell_id": cell_id, "document_id": self.document(), "document_path": NAME} if cell_id else {}
        answer = self.client.post(f"/api/kernels/{self.kernel_id}/execute", json={"code": code, "metadata": metadata})
        assert answer.status_code == 202, answer.text
        return str(answer.headers["Location"])

    def result(self, address: str, seconds: float = 120.0) -> dict[str, Any]:
        """How it ended."""
        found: dict[str, Any] = until(lambda: self._done(address), seconds)
        found["outputs"] = json.loads(found["outputs"])
        return found

    def _done(self, address: str) -> dict[str, Any] | None:
        answer = self.client.get(address)
        assert answer.status_code in (200, 202), answer.text
        return answer.json() if answer.status_code == 200 else None

    def saved(self, cell: int = 0) -> dict[str, Any]:
        """A cell as the file has it."""
        # A file is never seen half written, however often somebody looks.
        answer = self.client.get(f"/api/contents/{NAME}").raise_for_status().json()
        found: dict[str, Any] = answer["content"]["cells"][cell]
        return found

    def text(self, cell: int = 0) -> str:
        """What the file's cell shows of the stream."""
        outputs = self.saved(cell)["outputs"]
        return "".join("".join(output["text"]) for output in outputs if output["output_type"] == "stream")


@pytest.fixture
def notebook(rig: AgentRig, gateway: KernelGateway, request: pytest.FixtureRequest) -> Iterator[Notebook]:
    workspace = rig.launch(f"e-{abs(hash(request.node.name)) % 10**9}")
    rig.runtime.set_gateway(workspace.id, Gateway(gateway.address, gateway.token, "j-A"))
    kernel_id = start_kernel(workspace)
    with workspace.client() as client:
        yield Notebook(workspace, client, kernel_id)
    rig.runtime.stop(workspace.id)
    rig.ended(workspace.id)


def lines(count: int = SECONDS) -> str:
    return "".join(f"line {i}\n" for i in range(count))


PRINT = f"import time\nfor i in range({SECONDS}):\n    print('line', i, flush=True); time.sleep(1)"


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Rig]:
    """A real store behind a real edge, with a bucket."""
    with s3_rig(tmp_path / "lake") as found:
        found.client().create_bucket(Bucket="lake")
        yield found


@pytest.fixture
def keys_url(lake: Rig) -> Iterator[str]:
    with container_keys(lake.admin.access_key_id, lake.admin.secret_access_key) as url:
        yield url


def test_every_line_is_in_s3_after_all_tabs_were_closed(
    rig: AgentRig, gateway: KernelGateway, lake: Rig, keys_url: str
) -> None:
    kept: dict[str, Any] = {
        "s3_location": "s3://lake/lines/e-LINES/",
        "s3_endpoint_url": lake.url,
        "credentials_url": keys_url,
        "credentials_token": "t",
    }
    workspace = rig.launch("e-LINES", **kept)
    rig.runtime.set_gateway(workspace.id, Gateway(gateway.address, gateway.token, "j-A"))
    kernel_id = start_kernel(workspace)
    with workspace.client() as client:
        notebook = Notebook(workspace, client, kernel_id)
        cell_id = notebook.write(PRINT)[0]
        room = f"/api/collaboration/room/{notebook.document()}?sessionId={notebook.session}"
        with workspace.connect(room), workspace.connect(f"/api/kernels/{kernel_id}/channels?session_id=tab"):
            notebook.run(PRINT, cell_id)
            until(lambda: "line 1\n" in notebook.text())
    # From here on nobody is connected; what S3 has is all that is looked at.
    store = lake.client()

    def cell() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(stored(store, "s3://lake/lines/e-LINES/", NAME) or "{}")
        return dict(found["cells"][0]) if found else {"execution_count": None}

    until(lambda: cell()["execution_count"])
    assert "".join(cell()["outputs"][0]["text"]) == lines()
    rig.runtime.stop(workspace.id)
    rig.ended(workspace.id)


def _synchronised(stream: Any) -> bytes:
    """What the room answers to one that knows nothing."""
    stream.send(b"\x00\x00\x01\x00")
    while True:
        message = stream.recv(timeout=120)
        if isinstance(message, bytes) and message[:2] == b"\x00\x01":
            return message


def test_every_line_is_in_the_document_and_the_file(notebook: Notebook) -> None:
    cell_id = notebook.write(PRINT)[0]
    room = f"/api/collaboration/room/{notebook.document()}?sessionId={notebook.session}"
    with (
        notebook.workspace.connect(room),
        notebook.workspace.connect(f"/api/kernels/{notebook.kernel_id}/channels?session_id=tab"),
    ):
        address = notebook.run(PRINT, cell_id)
        until(lambda: "line 1\n" in notebook.text())
    assert notebook.result(address)["status"] == "ok"
    until(lambda: notebook.saved()["execution_count"])
    assert notebook.text() == lines()
    with notebook.workspace.connect(room) as back:
        assert f"line {SECONDS - 1}".encode() in _synchronised(back)


def test_a_cell_that_never_pauses_is_saved_while_it_runs(notebook: Notebook, tmp_path: Path) -> None:
    # Until it is told, so that it runs however late somebody looks.
    enough = tmp_path / "enough"
    code = (
        f"import os, time\ni = 0\nwhile not os.path.exists('{enough}'):\n"
        "    print('line', i, flush=True); i += 1; time.sleep(0.1)"
    )
    cell_id = notebook.write(code)[0]
    address = notebook.run(code, cell_id)
    until(lambda: "line 3\n" in notebook.text())
    assert notebook.client.get(address).status_code == 202
    enough.touch()
    done = notebook.result(address)
    assert done["status"] == "ok"
    printed = "".join(done["outputs"][0]["text"])
    assert printed == lines(printed.count("\n"))
    until(lambda: notebook.text() == printed)


def test_outputs_of_all_kinds(notebook: Notebook, tmp_path: Path) -> None:
    code = """
import sys, time
from IPython.display import display, clear_output
print('gone'); clear_output(wait=True); print('é€ 10%', end=''); print('\\ré€ 90%')
print('bad', file=sys.stderr)
handle = display('first', display_id=True)
40 + 2
"""
    # It fails when it is told to: what is asked for a moment after a failure is run.
    fail = tmp_path / "fail"
    failing = f"import os, time\nwhile not os.path.exists('{fail}'):\n    time.sleep(0.01)\n1/0"
    first, second, third = notebook.write(code, "handle.update('second')", failing)
    done = notebook.result(notebook.run(code, first))
    assert (done["status"], done["execution_count"]) == ("ok", 1)
    assert notebook.result(notebook.run("handle.update('second')", second))["status"] == "ok"
    failed = notebook.run(failing, third)
    skipped = notebook.run("print('never')")
    fail.touch()
    assert notebook.result(failed)["status"] == "error"
    assert notebook.result(skipped)["status"] == "aborted"
    until(lambda: notebook.saved(2)["outputs"])
    outputs = notebook.saved(0)["outputs"]
    assert [output["output_type"] for output in outputs] == ["stream", "stream", "display_data", "execute_result"]
    assert outputs[0]["text"] == "é€ 90%\n"
    assert outputs[2]["data"]["text/plain"] == "'second'"
    assert outputs[3]["data"]["text/plain"] == "42"
    assert notebook.saved(2)["outputs"][0]["ename"] == "ZeroDivisionError"


def test_code_that_asks_is_answered(notebook: Notebook) -> None:
    cell_id = notebook.write("print('hello', input('who? '))")[0]
    address = notebook.run("print('hello', input('who? '))", cell_id)
    asked = until(lambda: notebook.client.get(address) if notebook.client.get(address).status_code == 300 else None)
    assert asked.json()["input_request"] == {"prompt": "who? ", "password": False}
    assert notebook.client.post(asked.headers["Location"], json={"input": "ana"}).status_code == 201
    assert notebook.result(address)["outputs"][-1]["text"] == "hello ana\n"


def test_interrupt_restart_and_a_dead_kernel_end_what_runs(notebook: Notebook) -> None:
    sleep = "print('begun, {}', flush=True)\nimport time; time.sleep(600)"
    cell_id = notebook.write(sleep)[0]
    for end, name in (("interrupt", "KeyboardInterrupt"), ("restart", "KernelEnded"), ("", "KernelEnded")):
        address = notebook.run(sleep.format(end) if end else "import os; os._exit(1)", cell_id)
        if end:
            until(partial(_shows, notebook, f"begun, {end}"))
            notebook.client.post(f"/api/kernels/{notebook.kernel_id}/{end}").raise_for_status()
        done = notebook.result(address)
        assert (done["status"], done["outputs"][-1]["ename"]) == ("error", name)
        until(partial(_ends_with, notebook, name))
    done = notebook.result(notebook.run("print(6 * 7)", cell_id))
    assert done["outputs"][0]["text"] == "42\n"


def _shows(notebook: Notebook, text: str) -> bool:
    return text in notebook.text()


def _ends_with(notebook: Notebook, error: str) -> bool:
    outputs = notebook.saved()["outputs"]
    return bool(outputs) and outputs[-1].get("ename") == error


def test_a_cell_that_is_deleted_while_it_runs(notebook: Notebook) -> None:
    code = "import time\nfor i in range(30):\n    print(i, flush=True); time.sleep(0.1)"
    cell_id = notebook.write(code, "print('next')")[0]
    address = notebook.run(code, cell_id)
    until(notebook.text)
    notebook.write("print('other')")
    assert notebook.result(address)["status"] == "ok"
    assert notebook.result(notebook.run("print(1)"))["status"] == "ok"


def test_what_is_not_yet_saved_is_saved_at_a_stop(rig: AgentRig, gateway: KernelGateway) -> None:
    workspace = rig.launch("e-STOPSAVE")
    rig.runtime.set_gateway(workspace.id, Gateway(gateway.address, gateway.token, "j-A"))
    kernel_id = start_kernel(workspace)
    with workspace.client() as client:
        notebook = Notebook(workspace, client, kernel_id)
        cell_id = notebook.write("print('last')")[0]
        notebook.result(notebook.run("print('last')", cell_id))
    rig.runtime.stop(workspace.id)
    rig.ended(workspace.id)
    again = rig.launch("e-STOPSAVE")
    with again.client() as client:
        notebook.client = client
        assert notebook.text() == "last\n"


def test_kernels_of_other_servers_are_refused(notebook: Notebook) -> None:
    body = {"code": "1", "server": {"url": "http://127.0.0.1:1"}}
    assert notebook.client.post(f"/api/kernels/{notebook.kernel_id}/execute", json=body).status_code == 400
    assert notebook.client.post("/api/kernels/unknown/execute", json={"code": "1"}).status_code == 404


def test_files_that_come_and_go_do_not_hide_their_folder(rig: AgentRig) -> None:
    """JupyterLab showed `Directory not found: ""` when a save fell into the moment of a listing."""
    workspace = rig.launch("e-LISTED")
    with workspace.client() as client:
        name = client.post("/api/terminals").raise_for_status().json()["name"]
        with workspace.connect(f"/terminals/websocket/{name}") as stream:
            churn = "touch here; while [ -e here ]; do touch x{1..40}; rm x*; done\r"
            stream.send(json.dumps(["stdin", churn]))
            until(lambda: "here" in _listed(client))
            for _ in range(100):
                assert {"here", NAME} <= _listed(client)
            client.delete("/api/contents/here").raise_for_status()
    assert "ping_timeout" not in rig.runtime.logs("e-LISTED")
    rig.runtime.stop(workspace.id)
    rig.ended(workspace.id)


def _listed(client: httpx.Client) -> set[str]:
    return {found["name"] for found in client.get("/api/contents").raise_for_status().json()["content"]}


def test_two_states_of_a_notebook_are_compared_cell_by_cell(notebook: Notebook) -> None:
    made = [nbformat.v4.new_code_cell(f"x = {number}\nprint(x)\ny = x * {number}") for number in range(5)]
    then = nbformat.v4.new_notebook(cells=made)
    now = json.loads(json.dumps(then))
    now["cells"][1]["source"] = now["cells"][1]["source"].replace("print(x)", "print(x, x)")
    now["cells"][2]["outputs"] = [nbformat.v4.new_output("stream", text="2\n")]
    now["cells"][3] = nbformat.v4.new_markdown_cell("# Quite another thing, at length")
    now["cells"].append(nbformat.v4.new_code_cell("import pandas"))

    def compared(old: str, new: str, is_notebook: bool) -> Any:
        body = {"then": old, "now": new, "notebook": is_notebook}
        return notebook.client.post("/api/emr-studio/compare", json=body)

    cells = compared(json.dumps(then), json.dumps(now), True).raise_for_status().json()["cells"]
    marks = [(cell["mark"], cell["kind"], cell["outputs"]) for cell in cells]
    assert marks[:3] == [("same", "code", False), ("changed", "code", False), ("same", "code", True)]
    assert sorted(marks[3:5]) == [("gone", "code", False), ("new", "markdown", False)]
    assert marks[5:] == [("same", "code", False), ("new", "code", False)]
    assert [(line["mark"], line["text"]) for line in cells[1]["lines"]] == [
        ("same", "x = 1"),
        ("gone", "print(x)"),
        ("new", "print(x, x)"),
        ("same", "y = x * 1"),
    ]
    (whole,) = compared("a\nb", "a\nc", False).json()["cells"]
    assert (whole["mark"], [line["mark"] for line in whole["lines"]]) == ("changed", ["same", "gone", "new"])
    assert compared("{", "{}", True).status_code == 400


def test_a_repository_is_made_where_git_knows_no_name(notebook: Notebook) -> None:
    assert notebook.client.post("/git/init", json={}).status_code == 200
    assert notebook.workspace.shell("git --no-pager log --no-color --format='%an: %s'") == "ana: First Commit"
    # The panel asks for a name before the next one.
    assert notebook.client.post("/git/config", json={}).json()["options"].get("user.name") is None


def often(enough: Path) -> str:
    """Prints 60 lines, the last when it is told: it runs however late somebody looks."""
    return (
        f"import os, time\nfor i in range(60):\n    while i == 59 and not os.path.exists('{enough}'):\n"
        "        time.sleep(0.05)\n    print('line', i, flush=True); time.sleep(0.1)"
    )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterGateway]:
    gateway = ClusterGateway(tmp_path_factory.mktemp("cluster"))
    yield gateway
    gateway.close()


@pytest.fixture
def running(
    rig: AgentRig, cluster: ClusterGateway, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Notebook]:
    """A notebook on a cluster's gateway: its first cell prints, its second one waits."""
    workspace = rig.launch(f"e-{abs(hash(request.node.name)) % 10**9}")
    _attach(rig, workspace, cluster)
    kernel_id = start_kernel(workspace)
    with workspace.client() as client:
        notebook = Notebook(workspace, client, kernel_id)
        notebook.enough = tmp_path / "enough"
        code = often(notebook.enough)
        first, second = notebook.write(code, "print('then')")
        notebook.first, notebook.second = notebook.run(code, first), notebook.run("print('then')", second)
        until(lambda: "line 3\n" in notebook.text())
        yield notebook
    rig.runtime.stop(workspace.id)
    rig.ended(workspace.id)


def _attach(rig: AgentRig, workspace: Workspace, cluster: ClusterGateway) -> None:
    rig.runtime.set_gateway(workspace.id, Gateway(cluster.address, cluster.token, "j-A"))


def _all_there(notebook: Notebook) -> None:
    notebook.enough.touch()
    for address in (notebook.first, notebook.second):
        done = notebook.result(address)
        assert done["status"] == "ok", done
    until(lambda: (notebook.text(), notebook.text(1)) == (lines(60), "then\n"))
    until(lambda: [notebook.saved(cell)["execution_count"] for cell in (0, 1)] == [1, 2])


def test_a_server_that_is_killed_in_the_middle_of_a_cell_finds_every_line(
    rig: AgentRig, cluster: ClusterGateway, running: Notebook
) -> None:
    os.kill(running.workspace.pid, signal.SIGKILL)
    rig.ended(running.workspace.id)
    again = running.workspace = rig.launch(running.workspace.id)
    with again.client() as client:
        running.client = client
        # Not attached yet, and all the same it knows what it had.
        assert [found["id"] for found in client.get("/api/kernels").json()] == [running.kernel_id]
        assert client.get(running.second).status_code == 202
        _attach(rig, again, cluster)
        _all_there(running)
        session = client.get("/api/sessions").json()[0]
        assert (session["path"], session["kernel"]["id"]) == (NAME, running.kernel_id)
        done = running.result(running.run("print(i)"))
        assert done["outputs"][0]["text"] == "59\n", "it is another kernel"


def test_a_tab_that_comes_back_to_the_new_server_shows_each_line_once(
    rig: AgentRig, cluster: ClusterGateway, tmp_path: Path
) -> None:
    workspace = rig.launch("e-TAB")
    _attach(rig, workspace, cluster)
    kernel_id = start_kernel(workspace)
    with workspace.client() as client:
        notebook = Notebook(workspace, client, kernel_id)
        code = often(tmp_path / "enough")
        (cell_id,) = notebook.write(code)
        tab = Client(workspace, room_of(workspace, NAME))
        address = notebook.run(code, cell_id)
        # As early as can be: what the tab has seen is in no file yet.
        until(lambda: "line 1\n" in _shown(tab))
    os.kill(workspace.pid, signal.SIGKILL)
    rig.ended(workspace.id)
    assert "line 1\n" in _shown(tab)
    tab.offline()
    again = rig.launch(workspace.id)
    with again.client() as notebook.client:
        back = Client(again, room_of(again, NAME), tab.document)
        _attach(rig, again, cluster)
        (tmp_path / "enough").touch()
        assert notebook.result(address)["status"] == "ok"
        until(lambda: notebook.text() == lines(60))
        until(lambda: _shown(back) == lines(60))
    back.offline()
    rig.runtime.stop(workspace.id)
    rig.ended(workspace.id)


def _shown(tab: Client) -> str:
    """What the tab shows in the first cell."""
    tab.receive(0.02)
    if not len(tab.cells):
        return ""  # the room has not told it yet
    return "".join(str(output["text"]) for output in tab.cells[0]["outputs"])


def test_a_cell_that_ends_while_the_server_is_dead_is_found_ended(
    rig: AgentRig, cluster: ClusterGateway, running: Notebook
) -> None:
    os.kill(running.workspace.pid, signal.SIGKILL)
    rig.ended(running.workspace.id)
    running.enough.touch()
    until(lambda: cluster.kernel(running.kernel_id)["execution_state"] == "idle")
    running.workspace = rig.launch(running.workspace.id)
    _attach(rig, running.workspace, cluster)
    with running.workspace.client() as running.client:
        _all_there(running)


def test_a_gateway_that_is_killed_in_the_middle_of_a_cell_loses_no_line(
    cluster: ClusterGateway, running: Notebook
) -> None:
    cluster.kill()
    cluster.start()
    _all_there(running)


def test_no_line_is_lost_with_the_line_to_the_kernel(rig: AgentRig, running: Notebook) -> None:
    relay = rig.runtime.helpers()["relay"]
    os.kill(relay, signal.SIGKILL)
    _all_there(running)
    until(lambda: rig.runtime.helpers()["relay"] not in (0, relay))


def test_a_kernel_that_ended_while_the_server_was_dead(
    rig: AgentRig, cluster: ClusterGateway, running: Notebook
) -> None:
    os.kill(running.workspace.pid, signal.SIGKILL)
    rig.ended(running.workspace.id)
    cluster.end(running.kernel_id)
    running.workspace = rig.launch(running.workspace.id)
    _attach(rig, running.workspace, cluster)
    with running.workspace.client() as running.client:
        done = running.result(running.first)
        assert (done["status"], done["outputs"][-1]["ename"]) == ("error", "KernelEnded")
        assert running.result(running.second)["status"] == "aborted"
        until(lambda: running.client.get("/api/kernels").raise_for_status().json() == [])
