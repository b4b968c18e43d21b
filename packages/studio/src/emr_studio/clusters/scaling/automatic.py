"""Automatic scaling: the groups that have a policy follow its rules; `Resizing` makes it so."""

from __future__ import annotations

import datetime as dt

from sqlalchemy.orm import Session

from emr_studio.clusters.model import InstanceGroup, groups_of
from emr_studio.clusters.nodes import Layout
from emr_studio.clusters.scaling.rules import Sample, metrics, wanted, window_of
from emr_studio.clusters.tools import Tools

TURN_SECONDS = 5.0


class AutomaticScaling:
    """Watches the load of clusters; what it has seen is this process's own, another begins to watch anew."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._seen: dict[str, list[Sample]] = {}

    def turn(self, layout: Layout) -> float | None:
        """Look at the load; seconds until the next look, None without a policy."""
        cluster_id = layout.cluster.id
        with self._tools.database.read() as session:
            governed = _governed(session, cluster_id)
        if not governed or not layout.workers:
            self._seen.pop(cluster_id, None)
            return None
        load, now = self._tools.probe.load(layout.cluster, layout.primary), self._tools.clock.now()
        # What does not answer is no data: the window has a hole, not a wrong value.
        if load is not None:
            window = max(window_of(group.auto_scaling) for group in governed)
            self._note(cluster_id, (now, metrics(load, len(layout.workers))), window)
            self._adjust(cluster_id, now)
        return TURN_SECONDS

    def _note(self, cluster_id: str, sample: Sample, window: dt.timedelta) -> None:
        kept = self._seen.setdefault(cluster_id, [])
        kept.append(sample)
        # The last one before the window shows that all of it was watched.
        while len(kept) > 1 and kept[1][0] <= sample[0] - window:
            kept.pop(0)

    def _adjust(self, cluster_id: str, now: dt.datetime) -> None:
        with self._tools.database.write() as session:
            for group in _governed(session, cluster_id):
                if group.cooled_at is not None and now < group.cooled_at:
                    continue
                count, cool_down = wanted(group.auto_scaling, group.requested_count, self._seen[cluster_id], now)
                if count != group.requested_count:
                    group.requested_count, group.cooled_at = count, now + dt.timedelta(seconds=cool_down)


def _governed(session: Session, cluster_id: str) -> list[InstanceGroup]:
    return [group for group in groups_of(session, cluster_id) if group.auto_scaling and not group.suspended]
