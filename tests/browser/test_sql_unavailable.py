"""The SQL explorer where the compute has nothing for it: it says so, and why, before anybody tries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, expect

from emr_studio.loopback import free_port
from tests.chaos.test_kill_parts import editor_status
from tests.support.agent_rig import KernelGateway
from tests.support.lab import Lab, show, write_notebook
from tests.support.studio import Studio, running, until

LONG = 120_000
READY = {"Message": "Cluster ready."}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelGateway]:
    """A stock Jupyter kernel gateway, with a kernel of the name that ours have."""
    found = KernelGateway(tmp_path_factory.mktemp("gateway"), "theirs", free_port(), listing=True)
    yield found
    found.close()


@pytest.fixture(scope="module")
def allowing(tmp_path_factory: pytest.TempPathFactory, gateway: KernelGateway) -> Iterator[Studio]:
    """A studio whose administrator allows that gateway."""
    folder = tmp_path_factory.mktemp("allowing")
    with running(folder, EMR_STUDIO_OUTSIDE_LOCAL_TARGETS=gateway.address) as found:
        yield found


def nothing_to_click(explorer: Locator) -> None:
    expect(explorer.locator("button, input, select, summary, a")).to_have_count(0)


@pytest.mark.capability("EX-05")
def test_without_a_catalog_the_explorer_says_why_and_what_to_do(
    allowing: Studio, gateway: KernelGateway, context: BrowserContext, artifacts: Path
) -> None:
    emr: Any = allowing.client("emr")
    sample = allowing.client("emr", "sample")
    url = f"http://{gateway.address}"
    cluster_id = emr.register_cluster(Name="theirs", Type="JUPYTER_GATEWAY", Url=url, Token=gateway.token)["ClusterId"]
    editor_id = str(sample.create_editor(StudioId=allowing.json["sample"]["studio_id"], Name="no-sql")["EditorId"])
    until("the Workspace is ready", lambda: editor_status(sample, editor_id) == "Ready")
    write_notebook(sample, editor_id, "work.ipynb", "print(1)")

    def reason() -> dict[str, Any]:
        return dict(emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["StateChangeReason"])

    until("the gateway serves", lambda: reason() == READY)
    page = Lab(context.new_page(), sample, editor_id, "work.ipynb").page
    explorer = show(page, "SQL explorer")
    expect(explorer).to_contain_text("No compute attached")
    expect(explorer).to_contain_text("Attach a cluster in the Compute panel")
    nothing_to_click(explorer)

    compute = show(page, "Compute")
    compute.get_by_role("button", name="Attach theirs").click()
    expect(compute).to_contain_text("Attached to theirs", timeout=LONG)
    explorer = show(page, "SQL explorer")
    expect(explorer).to_contain_text("Not on a kernel gateway from outside")
    expect(explorer).to_contain_text("Use one of its kernels in a notebook")
    nothing_to_click(explorer)
    page.screenshot(path=artifacts / "sql-unavailable.png")
    # The explorer has not tried: the one kernel there is the notebook's.
    names = until("the notebook has its kernel", lambda: [kernel["name"] for kernel in gateway.kernels()])
    assert names == ["pysparkkernel"]

    show(page, "Compute").get_by_role("button", name="Detach").click()
    expect(compute).to_contain_text("No compute attached")
    expect(show(page, "SQL explorer")).to_contain_text("No compute attached")
