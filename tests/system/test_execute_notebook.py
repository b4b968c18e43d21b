"""`%execute_notebook` in a kernel of a cluster, through the Workspace's real server; without Spark."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import nbformat
import nbformat.v4
import pytest

from emr_studio.runtime.contract import Gateway
from tests.support.agent_rig import AgentRig, ClusterGateway, Workspace, until
from tests.system.test_agent_kernels import start_kernel

GOOD, BAD = "good.ipynb", "sub folder/bad.ipynb"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterGateway]:
    made = ClusterGateway(tmp_path_factory.mktemp("gateway"))
    yield made
    made.close()


class Cell:
    """Runs one cell after the other in a Workspace's notebook, as JupyterLab has its server do it."""

    def __init__(self, client: httpx.Client, kernel_id: str) -> None:
        self.client, self.kernel_id = client, kernel_id

    def write(self, name: str, *sources: str) -> None:
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        content = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec})
        self.client.put(f"/api/contents/{name}", json={"type": "notebook", "content": content}).raise_for_status()

    def begin(self, code: str) -> str:
        """Its address."""
        body = {"code": code, "metadata": {}}
        asked = self.client.post(f"/api/kernels/{self.kernel_id}/execute", json=body).raise_for_status()
        return str(asked.headers["Location"])

    def end(self, address: str) -> str:
        """All that it shows."""
        shown: httpx.Response = until(lambda: self._done(address))
        return str(shown.json()["outputs"])

    def _done(self, address: str) -> httpx.Response | None:
        answer = self.client.get(address)
        return answer if answer.status_code == 200 else None

    def run(self, code: str) -> str:
        return self.end(self.begin(code))

    def copy(self, shown: str) -> list[list[str]]:
        """What the cells of the run's copy show."""
        found = re.search(r"executions/ex-[A-Z0-9]{25}/[\w.]+", shown)
        assert found, shown
        cells: list[dict[str, Any]] = self.client.get(f"/api/contents/{found[0]}").json()["content"]["cells"]
        return [["".join(output.get("text", output.get("evalue", ""))) for output in one["outputs"]] for one in cells]

    def kernels(self) -> list[str]:
        return [one["id"] for one in self.client.get("/api/kernels").json()]


@pytest.fixture(scope="module")
def cell(rig: AgentRig, gateway: ClusterGateway) -> Iterator[Cell]:
    workspace: Workspace = rig.launch("e-EXECUTES")
    rig.runtime.set_gateway(workspace.id, Gateway(gateway.address, gateway.token, "j-A"))
    kernel_id = start_kernel(workspace)
    with workspace.client() as client:
        made = Cell(client, kernel_id)
        client.put("/api/contents/sub folder", json={"type": "directory"}).raise_for_status()
        made.write(GOOD, "x = 6 * 7\nprint('x is', x)", "", "print('again', x)")
        made.write(BAD, "print('one')", "1 / 0", "print('never')")
        yield made
    rig.runtime.stop(workspace.id)
    rig.ended(workspace.id)


@pytest.mark.capability("MG-09")
def test_a_notebook_is_executed_beside_the_one_that_asks(cell: Cell) -> None:
    shown = cell.run(f"%execute_notebook {GOOD}")
    assert "FINISHED, 3 of 3 cells" in shown
    assert cell.copy(shown) == [["x is 42\n"], [], ["again 42\n"]]
    # The notebook itself has no outputs, and the run's kernel is gone.
    assert cell.client.get(f"/api/contents/{GOOD}").json()["content"]["cells"][0]["outputs"] == []
    until(lambda: cell.kernels() == [cell.kernel_id])
    assert "NameError" in cell.run("x"), "the variables are the run's own"


@pytest.mark.capability("MG-09")
def test_a_failure_ends_it_and_the_cell(cell: Cell) -> None:
    shown = cell.run(f"%execute_notebook '{BAD}' --timeout 600")
    assert "FAILED, 1 of 3 cells" in shown
    assert "ZeroDivisionError: division by zero" in shown
    assert json.loads(shown)[-1]["output_type"] == "error"
    assert "has no notebook" in cell.run("%execute_notebook none.ipynb")
    assert "attach j-OTHER" in cell.run(f"%execute_notebook {GOOD} --cluster-id j-OTHER")


@pytest.mark.capability("MG-09")
def test_time_that_is_over_and_an_interrupt(cell: Cell) -> None:
    cell.write("long.ipynb", "import time; print('begun', flush=True); time.sleep(600)")
    late = cell.begin("%execute_notebook long.ipynb --timeout 1")
    assert "Not ended in time, and goes on" in cell.end(late)
    until(lambda: len(cell.kernels()) == 2)
    stopped = cell.begin("%execute_notebook long.ipynb")
    until(lambda: len(cell.kernels()) == 3)
    cell.client.post(f"/api/kernels/{cell.kernel_id}/interrupt").raise_for_status()
    assert "STOPPED" in cell.end(stopped)
    until(lambda: len(cell.kernels()) == 2)
    for kernel_id in cell.kernels():
        if kernel_id != cell.kernel_id:
            cell.client.delete(f"/api/kernels/{kernel_id}").raise_for_status()
