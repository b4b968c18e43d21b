"""Workspaces are forks of one process: what is drawn at random in one must not be drawn in another."""

from __future__ import annotations

import json

from tests.support.workspace_python import in_workspace

_FORKS = """
import json, os
from emr_studio_workspace import warmup

warmup.import_all()
import pycrdt

def child():
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, json.dumps([pycrdt.Doc().client_id for _ in range(3)]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        return json.loads(answer.read())

print(json.dumps([child() for _ in range(6)]))
"""


def test_no_two_workspaces_write_as_the_same_client() -> None:
    """Yjs takes the edits of two clients of one id for one history: documents would silently differ.

    The id is drawn by a generator that lives in the library from its first use on, so nothing that the
    zygote imports may make a document before the fork.
    """
    drawn = [client for ids in json.loads(in_workspace(_FORKS).stdout) for client in ids]
    assert len(set(drawn)) == len(drawn) == 18
