"""The end of a kernel's worker: every request is answered, and no task is left waiting."""

from __future__ import annotations

import json

from tests.support.workspace_python import in_workspace

_ENDS = """
import asyncio, json
from emr_studio_workspace.share import Answers
from emr_studio_workspace.worker import Execution, Surroundings, Worker

async def busy(_kernel_id):
    return False

async def end(asked, later):
    # The kernel's cluster is not attached: what is asked first fails at once, and then the worker waits.
    first, last = Execution("k", "1", {}, cluster_id="j-GONE"), Execution("k", "2", {})
    around = Surroundings(busy, lambda _sent: None, lambda _done: None, Answers())
    worker = Worker(first, around)
    for _ in range(20):
        await asyncio.sleep(0)
    assert first.result is not None
    if asked:
        worker.put(last)
    for _ in range(later):
        await asyncio.sleep(0)
    worker.end("the kernel was ended")
    for _ in range(20):
        await asyncio.sleep(0)
    left = len(asyncio.all_tasks() - {asyncio.current_task()})
    return {"answered": last.result is not None, "left": left}

print(json.dumps([asyncio.run(end(asked, later)) for asked in (False, True) for later in range(6)]))
"""


def test_whatever_the_moment_all_is_answered_and_nothing_is_left() -> None:
    done = in_workspace(_ENDS)
    ends = json.loads(done.stdout)
    assert [end["answered"] for end in ends] == [False] * 6 + [True] * 6
    assert [end["left"] for end in ends] == [0] * 12
    assert done.stderr == ""
