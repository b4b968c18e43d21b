"""`up` when something happens that nobody foresaw: no part stays behind without somebody who tends it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.studio import processes_of, until

_SUPERVISE = """
import sys
from pathlib import Path
from emr_studio.cli import installation, parts, supervise
from emr_studio.runtime.supervisor import Part
from emr_studio.settings import Settings

def fault():
    raise ValueError("nobody foresaw this")

settings = Settings(data_dir=Path(sys.argv[1]))
settings.run_dir.mkdir(parents=True)
ready, tell = (fault, lambda: None) if sys.argv[2] == "start" else (lambda: True, fault)
sleeper = Part("sleeper", (sys.executable, "-c", "import signal; signal.pause()"), ready)
parts.parts, parts.names = lambda settings: [sleeper], lambda settings: ("sleeper",)
installation.is_furnished = lambda settings: True
supervise.supervise(settings, print, tell)
"""


@pytest.mark.parametrize("when", ["start", "ready"])
def test_a_fault_of_ours_leaves_no_part(tmp_path: Path, when: str) -> None:
    argv = [sys.executable, "-c", _SUPERVISE, str(tmp_path), when]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "nobody foresaw this" in done.stderr
    until("no process is left", lambda: not processes_of(tmp_path))
    assert not list((tmp_path / "run").glob("supervisor.json"))
