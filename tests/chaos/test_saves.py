"""Saves while the Workspace, the agent and the store are killed at random: none that was acknowledged is lost.

`SAVES=1000 pytest tests/chaos/test_saves.py` is the long run (`make soak`); `make test` has a short one.
"""

from __future__ import annotations

import os
import random
import signal
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from emr_studio.cli.demo.browser import BrowserError, Workspace
from emr_studio.runtime.client import LocalRuntime
from emr_studio.runtime.contract import RuntimeUnavailable
from tests.support.studio import Studio, until

SAVES = int(os.environ.get("SAVES", "80"))
SAVES_A_KILL = 20
NAMES = [f"note {number}.txt" for number in range(8)]
SEED = int(os.environ.get("SAVES_SEED", "20261126"))


@dataclass
class Writer:
    """Somebody who saves numbers into files, and remembers the last one that was acknowledged."""

    studio: Studio
    emr: Any
    editor_id: str
    workspace: Workspace
    saved: dict[str, int] = field(default_factory=dict)

    def save(self, name: str, number: int) -> bool:
        """Save as JupyterLab does; False where the answer was none or an error."""
        body = {"type": "file", "format": "text", "content": str(number)}
        try:
            self.workspace.origin.json("PUT", f"/api/contents/{name}", json=body)
        except (BrowserError, httpx.HTTPError):
            return False
        self.saved[name] = number
        return True

    def status(self) -> str:
        return str(self.emr.describe_editor(EditorId=self.editor_id)["Editor"]["Status"])

    def pid(self) -> int:
        """Process of the Workspace's server; 0 while nobody knows."""
        try:
            return LocalRuntime(self.studio.settings).observe(self.editor_id).pid
        except RuntimeUnavailable:
            return 0

    def kill(self, what: str) -> None:
        """kill -9, without waiting for anything to come back."""
        os.kill(
            until(f"{what} runs", lambda: self.pid() if what == "workspace" else self.studio.pid_of(what)),
            signal.SIGKILL,
        )

    def come_back(self) -> bool:
        """Start it again where it has ended, as its user would; True once it takes saves."""
        if self.status() == "Idle":
            self.emr.start_editor(EditorId=self.editor_id)
        return self.status() == "Ready" and self.save("probe.txt", 0)


def in_s3(writer: Writer) -> dict[str, int]:
    """What S3 has of the files, by name."""
    location = writer.emr.describe_editor(EditorId=writer.editor_id)["Editor"]["S3Location"]
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    s3 = writer.studio.client("s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]
    names = [name for name in NAMES if prefix + name in keys]
    return {name: int(s3.get_object(Bucket=bucket, Key=prefix + name)["Body"].read()) for name in names}


@pytest.mark.timeout(1200 + SAVES * 3)
def test_no_acknowledged_save_is_lost(studio: Studio) -> None:
    emr, chance = studio.client("emr", "sample"), random.Random(SEED)
    editor_id = emr.create_editor(StudioId=studio.json["sample"]["studio_id"], Name="saves")["EditorId"]
    until("it is ready", lambda: emr.describe_editor(EditorId=editor_id)["Editor"]["Status"] == "Ready")
    writer = Writer(studio, emr, editor_id, Workspace(emr.open_editor_in_console(EditorId=editor_id)["Url"]))
    deaths = ["workspace", "agent", "store"]
    for number in range(1, SAVES + 1):
        # The number is in the file only if this save or a later one reached it.
        if not writer.save(chance.choice(NAMES), number):
            until("it takes saves again", writer.come_back)
        if number % SAVES_A_KILL == SAVES_A_KILL // 2:
            writer.kill(deaths[number // SAVES_A_KILL % len(deaths)])
    until("all parts run", lambda: studio.status()["state"] == "running")
    until("it takes saves", writer.come_back)
    wanted = {name: number for name, number in writer.saved.items() if name in NAMES}
    assert len(wanted) == len(NAMES)

    def all_there() -> bool:
        found = in_s3(writer)
        return all(found.get(name, -1) >= number for name, number in wanted.items())

    until(f"S3 has {wanted}, not {in_s3(writer)}", all_there)

    def alike() -> bool:
        # One that was never acknowledged may be in the Workspace and still be on its way to S3.
        return {name: int(writer.workspace.read(name)["content"]) for name in NAMES} == in_s3(writer)

    until("S3 has what the Workspace has", alike)
    writer.workspace.close()
    emr.delete_editor(EditorId=editor_id)
