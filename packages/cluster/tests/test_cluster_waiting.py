"""Interrupts of cells that wait for Spark before they run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from emr_studio_cluster.waiting import Gate


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InteractiveShell:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    # A history has a thread of its own, which writes into a folder that goes with the test.
    return InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))


def broken(_info: Any) -> None:
    """As py4j, whose error takes the interrupt's place."""
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        raise ConnectionError("the answer is empty")  # noqa: B904


def interrupted(_info: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("prepare", [interrupted, broken])
@pytest.mark.parametrize("cell", ["ran = 1", "%%capture\nran = 1", "\n# spark", "if 1:\n    ran = await spark"])
def test_a_cell_that_is_interrupted_while_it_waits_does_not_run(
    shell: InteractiveShell, prepare: Any, cell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    waits = [prepare]
    Gate(shell, lambda info: waits.pop()(info) if waits else None)
    result = shell.run_cell(cell)
    assert isinstance(result.error_in_exec, KeyboardInterrupt)
    assert "ran" not in shell.user_ns
    assert "KeyboardInterrupt" in capsys.readouterr().out
    assert shell.run_cell("ran = 2").success
    assert shell.user_ns["ran"] == 2


def test_an_interrupt_hits_no_other_cell(shell: InteractiveShell) -> None:
    """Not the one after a cell that could not be read."""
    waits = [interrupted]
    Gate(shell, lambda info: waits.pop()(info) if waits else None)
    assert isinstance(shell.run_cell("ran =").error_before_exec, SyntaxError)
    assert shell.run_cell("ran = 2").success


def test_another_failure_of_waiting_lets_the_cell_run(shell: InteractiveShell) -> None:
    def fails(_info: Any) -> None:
        raise OSError("no Spark")

    Gate(shell, fails)
    assert shell.run_cell("ran = 2").success
