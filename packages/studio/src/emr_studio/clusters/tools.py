"""What every part of the clusters' controller works with."""

from __future__ import annotations

from dataclasses import dataclass

from emr_studio.clock import Clock
from emr_studio.clusters.probe import Probe
from emr_studio.db import Database
from emr_studio.runtime.contract import Runtime
from emr_studio.settings import Settings


@dataclass(frozen=True)
class Tools:
    """Database, time, host, settings, and eyes on running clusters."""

    database: Database
    clock: Clock
    runtime: Runtime
    settings: Settings
    probe: Probe
