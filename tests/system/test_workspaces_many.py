"""Many Workspaces of one studio: started at once, each told its place; one that fills its disk and memory.

Seen as users see it: by the API, through the edge. (`bench/crowd.py` does it with 50 and 100.)
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bench.processes import descendants, pss_megabytes
from emr_studio.cli.demo.browser import Workspace
from emr_studio.runtime import disks
from emr_studio.runtime.client import LocalRuntime
from tests.support.far_shell import shell
from tests.support.studio import Studio, until

MANY = 12
LARGEST_MB = 40


@pytest.fixture(scope="module")
def emr(studio: Studio) -> Any:
    return studio.client("emr", "sample")


@pytest.fixture(scope="module")
def started(studio: Studio, emr: Any) -> Iterator[tuple[list[str], dict[str, set[str]]]]:
    """Workspaces that were asked for at once, and what was said of each until it was ready."""
    said: dict[str, set[str]] = {}
    clients = [studio.client("emr", "sample") for _ in range(MANY)]

    def create(number: int) -> str:
        request = {"StudioId": studio.json["sample"]["studio_id"], "Name": f"many-{number}"}
        return str(clients[number].create_editor(**request)["EditorId"])

    def ready() -> bool:
        found = {e["EditorId"]: e for e in emr.list_editors(StudioId=studio.json["sample"]["studio_id"])["Editors"]}
        mine = [found[editor_id] for editor_id in editors]
        for editor in mine:
            said.setdefault(editor["EditorId"], set()).add(editor.get("StateChangeReason", {}).get("Message", ""))
        assert {e["Status"] for e in mine} <= {"Starting", "Ready"}, mine
        return all(e["Status"] == "Ready" for e in mine)

    with ThreadPoolExecutor(MANY) as pool:
        editors = list(pool.map(create, range(MANY)))
    until("all are ready", ready, 400)
    yield editors, said
    for editor_id in editors:
        emr.delete_editor(EditorId=editor_id)
    until("they are gone", lambda: not set(editors) & {e["EditorId"] for e in _pages(emr)})


def _pages(emr: Any) -> Iterator[dict[str, Any]]:
    marker: dict[str, str] = {}
    while True:
        page = emr.list_editors(**marker)
        yield from page["Editors"]
        if "Marker" not in page:
            return
        marker = {"Marker": page["Marker"]}


def test_all_that_are_asked_for_at_once_start(started: tuple[list[str], dict[str, set[str]]]) -> None:
    editors, said = started
    assert len(set(editors)) == MANY
    places = [text for texts in said.values() for text in texts if "before it" in text]
    assert all(text.startswith("waiting for its turn, ") for text in places), places


def test_an_idle_one_is_small(studio: Studio, started: tuple[list[str], dict[str, set[str]]]) -> None:
    editors, _said = started
    pids = [o.pid for o in LocalRuntime(studio.settings).list() if o.workload_id in editors]
    assert statistics.fmean(pss_megabytes([pid, *descendants(pid)]) for pid in pids) < LARGEST_MB


@pytest.mark.skipif(os.geteuid() != 0 or not disks.can_mount(), reason="no file system can be mounted here")
def test_one_that_fills_its_disk_says_so_and_the_others_go_on(
    studio: Studio, emr: Any, started: tuple[list[str], dict[str, set[str]]]
) -> None:
    attacker, neighbour = started[0][:2]
    inside = Workspace(emr.open_editor_in_console(EditorId=attacker)["Url"])
    beside = Workspace(emr.open_editor_in_console(EditorId=neighbour)["Url"])

    def reason() -> str:
        return str(emr.describe_editor(EditorId=attacker)["Editor"].get("StateChangeReason", {}).get("Code", ""))

    try:
        inside.origin.json("PUT", "/api/contents/kept.txt", json={"type": "file", "format": "text", "content": "kept"})
        # Below home, which is not copied to S3, and without writing 10 GB.
        said = shell(inside, "fallocate -l 9G ~/a; fallocate -l 900M ~/b; dd if=/dev/zero of=$HOME/c bs=64k 2>&1")
        assert "No space left" in said
        until("it says that its disk is full", lambda: reason() == "DISK_FULL")
        body = {"type": "file", "format": "text", "content": "x" * 4_000_000}
        refused = inside.origin.request("PUT", "/api/contents/more.txt", json=body)
        assert (refused.status_code, "disk is full" in refused.text) == (507, True)
        other = {"type": "file", "format": "text", "content": "all is well"}
        beside.origin.json("PUT", "/api/contents/note.txt", json=other)
        bucket, _, prefix = (
            emr.describe_editor(EditorId=attacker)["Editor"]["S3Location"].removeprefix("s3://").partition("/")
        )
        s3 = studio.client("s3")
        key = f"{prefix.rstrip('/')}/kept.txt"
        found = until("the mirror has it", lambda: s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents"))
        assert found[0]["Size"] == len("kept")
        shell(inside, "rm ~/a ~/b ~/c")
        until("it is well again", lambda: reason() == "")
        inside.origin.json("PUT", "/api/contents/more.txt", json=body)
    finally:
        inside.close()
        beside.close()
