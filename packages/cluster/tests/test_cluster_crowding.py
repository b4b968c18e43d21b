"""Notebooks beyond what a cluster's primary node is meant for: a warning, no start, or nothing, as settings say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.events import EventManager

from emr_studio_cluster import crowding
from emr_studio_cluster.config import NodeConfig


def config(limit: str, notebooks: int = 8) -> NodeConfig:
    return NodeConfig(
        cluster_id="j-1",
        address="127.31.1.1",
        primary_address="127.31.1.1",
        local_mode=True,
        secret="",
        connect_token="",
        instance_type="m5.xlarge",
        notebooks=notebooks,
        notebook_limit=limit,
    )


@pytest.mark.parametrize("limit", ["warn", "refuse", "off"])
def test_while_there_is_room_nothing_is_said(limit: str) -> None:
    assert crowding.admit(config(limit), 7, {"FRUIT": "pear"}) == {"FRUIT": "pear"}
    assert crowding.admit(config(limit), 7, None) is None
    assert crowding.admit(config(limit, notebooks=0), 100, None) is None


def test_one_more_is_refused_with_the_figures() -> None:
    with pytest.raises(crowding.Crowded, match=r"\(m5\.xlarge\) is meant for 8 notebooks at once, and 8 run"):
        crowding.admit(config("refuse"), 8, None)
    assert crowding.admit(config("off"), 8, None) is None


def test_one_more_is_warned_below_its_first_cell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = crowding.admit(config("warn"), 9, {"FRUIT": "pear"})
    assert given is not None
    assert given["FRUIT"] == "pear"
    whole = crowding.admit(config("warn"), 9, None)
    assert whole is not None
    assert "PATH" in whole
    monkeypatch.setenv(crowding.VARIABLE, given[crowding.VARIABLE])
    shell: Any = SimpleNamespace()
    shell.events = EventManager(shell, {"pre_run_cell": lambda _info: None})
    crowding.announce(shell)
    shell.events.trigger("pre_run_cell", None)
    assert "and 9 run on it already" in capsys.readouterr().err
    shell.events.trigger("pre_run_cell", None)
    assert capsys.readouterr().err == ""


def test_who_has_room_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(crowding.VARIABLE, raising=False)
    crowding.announce(SimpleNamespace())
