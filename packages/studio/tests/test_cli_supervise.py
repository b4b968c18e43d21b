"""`up` when something happens that nobody foresaw: no part stays behind without somebody who tends it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from emr_studio.runtime.relays import RelayControl
from emr_studio.settings import Settings
from tests.support.studio import processes_of, until

_SUPERVISE = """
import sys
from pathlib import Path
from emr_studio.cli import installation, parts, supervise
from emr_studio.runtime.contract import WorkloadState
from emr_studio.runtime.records import Record, RecordStore
from emr_studio.runtime.relays import RelayControl
from emr_studio.runtime.supervisor import Part
from emr_studio.settings import Settings

def fault():
    raise ValueError("nobody foresaw this")

settings = Settings(data_dir=Path(sys.argv[1]))
for folder in (settings.run_dir, settings.agent_dir, settings.logs_dir):
    folder.mkdir(parents=True)
if sys.argv[3:]:
    RecordStore(settings.agent_dir).save(Record({"workload_id": "e-1"}, WorkloadState[sys.argv[3]]))
RelayControl(settings).ensure()
ready, tell = (fault, lambda: None) if sys.argv[2] == "start" else (lambda: True, fault)
sleeper = Part("sleeper", (sys.executable, "-c", "import signal; signal.pause()"), ready)
parts.parts, parts.names = lambda settings: [sleeper], lambda settings: ("sleeper",)
installation.is_furnished = lambda settings: True
supervise.supervise(settings, print, tell)
"""


def supervised(*arguments: str) -> None:
    argv = [sys.executable, "-c", _SUPERVISE, *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "nobody foresaw this" in done.stderr


@pytest.mark.parametrize("when", ["start", "ready"])
def test_a_fault_of_ours_leaves_no_part(tmp_path: Path, when: str) -> None:
    supervised(str(tmp_path), when)
    until("no process is left", lambda: not processes_of(tmp_path))
    assert not list((tmp_path / "run").glob("supervisor.json"))


def test_helpers_of_an_agent_that_had_only_begun_are_ended(tmp_path: Path) -> None:
    supervised(str(tmp_path), "start", "EXITED")
    until("no process is left", lambda: not processes_of(tmp_path))


def test_helpers_of_a_workspace_that_runs_stay(tmp_path: Path) -> None:
    supervised(str(tmp_path), "start", "RUNNING")
    relay = RelayControl(Settings(data_dir=tmp_path))
    assert relay.pid
    relay.stop()
    until("no process is left", lambda: not processes_of(tmp_path))
