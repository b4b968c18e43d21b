"""How many notebooks a cluster is meant for at once: a figure of its primary node's size, as EMR has it.

A kernel beyond it starts with a warning in its first cell, or is refused, as the studio's settings say.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from emr_studio_cluster.config import NodeConfig

VARIABLE = "EMR_STUDIO_CROWDED"
"""Tells a kernel what to say."""
REASON = "Resource Limit"
"""What a stock kernel gateway answers where it has a limit of its own."""
_REFUSE, _OFF = "refuse", "off"


class Crowded(Exception):
    """No further kernel may start; the text is for who wants it."""


def told(config: NodeConfig, running: int) -> str:
    """What is said of one more kernel; empty while there is room."""
    if config.notebook_limit == _OFF or not config.notebooks or running < config.notebooks:
        return ""
    return (
        f"This cluster's primary node ({config.instance_type}) is meant for {config.notebooks} notebooks at once, and "
        f"{running} run on it already: shut down what is not needed, or attach another cluster."
    )


def admit(config: NodeConfig, running: int, environment: Mapping[str, str] | None) -> dict[str, str] | None:
    """The environment of one more kernel; None: as it would be.

    Raises:
        Crowded: it may not start.
    """
    text = told(config, running)
    if text and config.notebook_limit == _REFUSE:
        raise Crowded(text)
    if not text:
        return dict(environment) if environment is not None else None
    return {**(os.environ if environment is None else environment), VARIABLE: text}


def announce(shell: Any) -> None:
    """Say it below the first cell."""
    text = os.environ.pop(VARIABLE, "")
    if not text:
        return

    def say(_info: Any) -> None:
        shell.events.unregister("pre_run_cell", say)
        print(text, file=sys.stderr)

    shell.events.register("pre_run_cell", say)
