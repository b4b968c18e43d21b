"""What notebooks show of Spark: tables with charts, progress below a running cell, the session and a way to its UI."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.conftest import PATIENCE
from tests.chaos.test_kill_parts import cluster_state, editor_status, start_cluster
from tests.support.cluster_rig import PROGRESS
from tests.support.lab import Lab, stored, write_notebook
from tests.support.studio import Studio, until

LONG = 120_000
SQL = """%%sql
SELECT * FROM VALUES ('apple', 3, DATE'2026-01-01'), ('pear', 4, DATE'2026-01-02'), ('fig', 5, DATE'2026-01-03')
AS fruit(`name.of[it]`, pieces, day)"""
WORK = """import time
from pyspark.sql.functions import udf
slow = udf(lambda n: time.sleep(5) or n, 'long')
print(spark.range(0, 12, 1, 12).repartition(3).select(slow('id').alias('n')).groupBy('n').count().count(), 'rows')"""
FAILING = """broken = udf(lambda n: time.sleep(1.5) or 1 // (n - 3), 'long')
spark.range(0, 4, 1, 4).select(broken('id')).collect()"""
WIDGETS = """import ipywidgets
slider, told = ipywidgets.IntSlider(description='pieces', max=10), ipywidgets.Label('none')
slider.observe(lambda change: setattr(told, 'value', f"kernel got {change['new']}"), 'value')
ipywidgets.VBox([slider, told])"""
CHARTS = {"Bar": "mark-rect", "Line": "mark-line", "Area": "mark-area", "Scatter": "mark-symbol", "Pie": "mark-arc"}
NAME = "results.ipynb"


@pytest.fixture(scope="module")
def editor(studio: Studio) -> Iterator[dict[str, Any]]:
    emr = studio.client("emr", "sample")
    cluster_id = start_cluster(emr, studio, "results", core=0)
    editor_id = emr.create_editor(StudioId=studio.json["sample"]["studio_id"], Name="results")["EditorId"]
    until("the Workspace is ready", lambda: editor_status(emr, editor_id) == "Ready")
    write_notebook(emr, editor_id, NAME, SQL, WORK, FAILING, "%%info", WIDGETS)
    until("the cluster waits", lambda: cluster_state(emr, cluster_id) == "WAITING", 400)
    emr.attach_editor(EditorId=editor_id, ExecutionEngine={"Id": cluster_id, "Type": "EMR"})
    until("it is attached", lambda: editor_status(emr, editor_id) == "Attached")
    found: dict[str, Any] = emr.describe_editor(EditorId=editor_id)["Editor"]
    yield found
    emr.delete_editor(EditorId=editor_id)
    emr.terminate_job_flows(JobFlowIds=[cluster_id])


@pytest.fixture(scope="module")
def lab(studio: Studio, editor: dict[str, Any], browser: Browser) -> Iterator[Lab]:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(PATIENCE)
    found = Lab(context.new_page(), studio.client("emr", "sample"), editor["EditorId"], NAME)
    found.has_kernel()
    yield found
    context.close()


def result(lab: Lab, cell: int) -> Locator:
    return lab.cell(cell).locator(".emrs-result")


@pytest.mark.capability("MG-06")
def test_rows_are_a_table_and_five_charts(lab: Lab, artifacts: Path) -> None:
    lab.run(0)
    shown = result(lab, 0)
    expect(shown.get_by_role("region", name="Rows").get_by_role("row")).to_have_count(4, timeout=LONG)
    expect(shown).to_contain_text("3 rows")
    lab.page.screenshot(path=artifacts / "result-table.png")
    kinds = shown.get_by_role("toolbar", name="Show as")
    for chart, mark in CHARTS.items():
        button = kinds.get_by_role("button", name=chart)
        # By keyboard, as by mouse.
        button.focus()
        lab.page.keyboard.press("Enter")
        expect(button).to_have_attribute("aria-pressed", "true")
        drawn = shown.get_by_role("img", name=f"{chart} chart")
        expect(drawn.locator(f".{mark} path").first).to_be_attached(timeout=LONG)
        if chart in ("Bar", "Scatter", "Pie"):
            expect(drawn.locator(f".{mark} path")).to_have_count(3)
        shown.scroll_into_view_if_needed()
        lab.page.screenshot(path=artifacts / f"result-{chart.lower()}.png")
    shown.get_by_label("Size").select_option("pieces")
    shown.get_by_label("Summary").select_option("count")
    expect(shown.locator(".mark-arc path")).to_have_count(3)
    kinds.get_by_role("button", name="Table").click()
    expect(shown.get_by_role("columnheader")).to_have_text(["name.of[it]", "pieces", "day"])


@pytest.mark.capability("DB-08")
def test_progress_is_shown_below_the_cell(studio: Studio, editor: dict[str, Any], lab: Lab, artifacts: Path) -> None:
    lab.run(1)
    progress = lab.cell(1).locator(".emrs-progress")
    expect(progress).to_have_attribute("data-state", "running", timeout=LONG)
    # All of it is there while the job runs, for half a minute at least; the picture takes longest and comes last.
    expect(progress).to_contain_text(re.compile(r"Spark is at work.*[1-9]\d* of \d+ tasks", re.DOTALL), timeout=LONG)
    expect(progress.get_by_role("progressbar", name="Tasks of this cell")).to_be_visible()
    stages = progress.locator("details")
    stages.get_by_text("Stages").click()
    said = progress.locator("span").first.inner_text()
    expect(progress.locator("span").first).not_to_have_text(said, timeout=LONG)
    expect(stages).to_have_attribute("open", "")  # what was unfolded stays so while the rest is drawn anew
    # By its cell: JupyterLab draws an output that has changed in the shared document as a new one.
    lab.cell(1).scroll_into_view_if_needed()
    lab.page.screenshot(path=artifacts / "progress-running.png")
    expect(progress).to_have_attribute("data-state", "done", timeout=LONG)
    expect(progress).to_contain_text(re.compile(r"Spark: 1 query, \d+ stages, \d+ tasks, \d+ s"))
    lab.shows(1, "12 rows")
    lab.page.screenshot(path=artifacts / "progress-done.png")

    lab.run(2)
    failed = lab.cell(2).locator(".emrs-progress")
    expect(failed).to_have_attribute("data-state", "failed", timeout=LONG)
    expect(failed).to_contain_text("ZeroDivisionError")
    with lab.page.context.expect_page() as opened:
        failed.get_by_role("button", name="Spark UI").click()
    expect(opened.value.get_by_role("heading", name=re.compile("Spark Jobs"))).to_be_visible(timeout=LONG)
    expect(opened.value.get_by_text(re.compile("Failed Jobs")).first).to_be_visible()
    opened.value.close()
    failed.scroll_into_view_if_needed()
    lab.page.screenshot(path=artifacts / "progress-failed.png")

    s3 = studio.client("s3", "sample")
    saved = until("S3 has it", lambda: kept(stored(s3, editor["S3Location"], NAME)))
    assert [(one["state"], len(one["shown"])) for one in saved] == [("done", 0), ("failed", 1)]


def kept(notebook: bytes) -> list[dict[str, Any]]:
    """The ends of progress in the saved notebook, once both are there."""
    cells = json.loads(notebook)["cells"] if notebook else []
    outputs = [output.get("data", {}) for cell in cells for output in cell["outputs"]]
    found = [data[PROGRESS] for data in outputs if PROGRESS in data]
    return found if [one["state"] for one in found] == ["done", "failed"] else []


@pytest.mark.capability("MG-03")
def test_info_leads_to_the_spark_ui(lab: Lab, artifacts: Path) -> None:
    lab.run(3)
    shown = result(lab, 3)
    expect(shown).to_contain_text("Spark Connect session", timeout=LONG)
    with lab.page.context.expect_page() as opened:
        shown.get_by_role("button", name="Spark UI").click()
    expect(opened.value.get_by_role("heading", name=re.compile("Spark Jobs"))).to_be_visible(timeout=LONG)
    opened.value.close()
    lab.page.screenshot(path=artifacts / "result-info.png")


def test_a_slider_calls_back(lab: Lab, artifacts: Path) -> None:
    """The server has run the cell; what a slider says goes from the page to the kernel, and back."""
    lab.run(4)
    cell = lab.cell(4)
    slider = cell.get_by_role("slider")
    expect(slider).to_be_visible(timeout=LONG)
    expect(cell).to_contain_text("none")
    slider.focus()
    lab.page.keyboard.press("ArrowRight")
    expect(cell).to_contain_text("kernel got 1")
    lab.page.keyboard.press("ArrowRight")
    expect(cell).to_contain_text("kernel got 2")
    lab.page.screenshot(path=artifacts / "result-slider.png")
    lab.page.reload()
    expect(lab.cell(4)).to_contain_text("kernel got 2", timeout=LONG)


LOOK = """import os, uuid
print("with" if "spark" in globals() else "without", "spark, process", os.getpid(), uuid.uuid4(), "end")"""
SLEEP = "import time\nprint('begun', flush=True)\ntime.sleep(600)"


@pytest.mark.capability("KN-02")
def test_a_kernel_is_selected_changed_interrupted_restarted_and_shut_down(
    studio: Studio, editor: dict[str, Any], browser: Browser, artifacts: Path
) -> None:
    emr, name = studio.client("emr", "sample"), "kernels.ipynb"
    write_notebook(emr, editor["EditorId"], name, LOOK, SLEEP)
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(PATIENCE)
    lab = Lab(context.new_page(), emr, editor["EditorId"], name)
    lab.has_kernel()
    first = looks(lab)
    assert first[0] == "with"
    assert looks(lab) == first

    kernel = lab.panel.locator(".jp-Toolbar-kernelName")
    kernel.click()
    choose(lab, "Python 3")
    expect(kernel).to_contain_text("Python 3")
    python = looks(lab)
    assert python[0] == "without"
    lab.menu("Kernel", "Change Kernel")
    choose(lab, "PySpark")
    expect(kernel).to_contain_text("PySpark")
    changed = looks(lab)
    assert (changed[0], changed[1] in (first[1], python[1])) == ("with", False)

    lab.run(1)
    lab.shows(1, "begun")
    lab.panel.locator("[data-jp-item-name=interrupt]").click()
    lab.shows(1, "KeyboardInterrupt")
    assert looks(lab) == changed
    lab.panel.locator("[data-jp-item-name=restart]").click()
    lab.page.get_by_role("button", name="Confirm Kernel Restart").click()
    until("another process answers", lambda: looks(lab)[1] != changed[1])

    lab.menu("Kernel", "Shut Down Kernel")
    expect(kernel).to_contain_text("No Kernel")
    lab.page.screenshot(path=artifacts / "kernel-none.png")
    kernel.click()
    choose(lab, "PySpark")
    expect(kernel).to_contain_text("PySpark")
    assert looks(lab)[0] == "with"
    context.close()


def looks(lab: Lab) -> tuple[str, str]:
    """Whether the notebook's kernel has Spark, and its process: run again where JupyterLab had no kernel yet."""
    before = lab.outputs(0)

    def ran() -> bool:
        shown = lab.outputs(0)
        return shown != before and "end" in shown

    def run() -> bool:
        lab.run(0)
        with suppress(AssertionError):
            until("the cell has run", ran, 20)
        return ran()

    until("the cell has run", run, 240)
    found = re.search(r"(with\w*) spark, process (\d+)", lab.outputs(0))
    assert found, lab.outputs(0)
    return found[1], found[2]


def choose(lab: Lab, kernel: str) -> None:
    """In JupyterLab's dialog."""
    dialog = lab.page.locator(".jp-Dialog").filter(has_text="Select Kernel")
    dialog.locator("select").select_option(label=kernel)
    dialog.locator("button.jp-mod-accept").click()
    expect(dialog).to_have_count(0)
