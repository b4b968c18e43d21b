"""The audit trail put together, for `app.py` and for tests."""

from __future__ import annotations

from dataclasses import dataclass

from emr_studio.db import Database
from emr_studio.settings import Settings
from emr_studio.trail.collector import Collector
from emr_studio.trail.journal import Journal
from emr_studio.trail.recorder import DataInterest, TrailRecorder


@dataclass(frozen=True)
class AuditTrail:
    """What a process that answers requests has of the trail."""

    recorder: TrailRecorder
    collector: Collector
    journal: Journal

    @classmethod
    def open(cls, settings: Settings, database: Database) -> AuditTrail:
        """The trail of this process; its journal is made with the first record."""
        journal = Journal(settings.trail_dir)
        collector = Collector(database, settings.trail_dir, journal)
        return cls(TrailRecorder(settings, journal, DataInterest(database)), collector, journal)
