"""A crowd of Workspaces: 50 starts asked for at once, 100 idle ones with their memory. Targets, no peer.

`python -m bench.crowd [starts [idle]]`, on a studio of its own. Fails where a start fails, where nobody was told
a place in the queue, or where an idle Workspace takes more than 40 MB.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.processes import descendants, pss_megabytes
from emr_studio.runtime.client import LocalRuntime
from tests.support.studio import Studio, running

STARTS, IDLE = 50, 100
TARGET_MB = 40
_SECONDS = 200.0
_CALLERS = 10


def main() -> None:
    starts, idle = (int(text) for text in (sys.argv[1:3] + [str(STARTS), str(IDLE)][len(sys.argv[1:3]) :]))
    with tempfile.TemporaryDirectory(prefix="crowd-") as folder, running(Path(folder) / "studio") as studio:
        told, took = _start(studio, starts)
        median = statistics.median(took)
        print(f"{starts} starts at once: ready after {took[0]:.2f} s, median {median:.2f} s, last {took[-1]:.2f} s")
        print(f"told their place in the queue meanwhile: {told} of {starts}")
        if idle > starts:
            _start(studio, idle - starts)
        sizes = _memory(studio)
        mean, largest = statistics.fmean(sizes), max(sizes)
        print(f"{len(sizes)} idle: {mean:.1f} MB PSS each, the largest {largest:.1f} MB, together {sum(sizes):.0f} MB")
        assert len(sizes) == max(idle, starts), "not all of them run"
        assert largest < TARGET_MB, f"more than {TARGET_MB} MB"


def _start(studio: Studio, count: int) -> tuple[int, list[float]]:
    """Create so many at once; how many were told a place, and seconds until each was ready, sorted."""
    studio_id = studio.json["sample"]["studio_id"]
    clients = [studio.client("emr", "sample") for _ in range(_CALLERS)]

    def create(number: int) -> str:
        return str(clients[number % _CALLERS].create_editor(StudioId=studio_id, Name=f"crowd-{number}")["EditorId"])

    begun = time.monotonic()
    with ThreadPoolExecutor(_CALLERS) as pool:
        waiting = set(pool.map(create, range(count)))
    told, took, emr = set[str](), list[float](), clients[0]
    while waiting:
        for editor in _editors(emr, studio_id):
            editor_id, reason = editor["EditorId"], editor.get("StateChangeReason", {}).get("Message", "")
            if editor_id not in waiting:
                continue
            if "before it" in reason:
                told.add(editor_id)
            if editor["Status"] == "Ready":
                waiting.discard(editor_id)
                took.append(time.monotonic() - begun)
            assert editor["Status"] in ("Starting", "Ready"), editor
        assert time.monotonic() - begun < _SECONDS, f"{len(waiting)} have not started"
    return len(told), sorted(took)


def _editors(emr: Any, studio_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    marker: dict[str, str] = {}
    while True:
        page = emr.list_editors(StudioId=studio_id, **marker)
        found += page["Editors"]
        if "Marker" not in page:
            return found
        marker = {"Marker": page["Marker"]}


def _memory(studio: Studio) -> list[float]:
    pids = [o.pid for o in LocalRuntime(studio.settings).list() if o.workload_id.startswith("e-") and o.pid]
    return [pss_megabytes([pid, *descendants(pid)]) for pid in pids]


if __name__ == "__main__":
    main()
