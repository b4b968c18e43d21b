"""Auto-termination: a cluster that nobody has used for so long ends.

Used is a cluster with a step, a kernel (so a notebook that is attached and live), a session (which has an
idle timeout of its own), a Spark job, or an instance that comes or goes (emr-studio.md 5.7).
"""

from __future__ import annotations

import datetime as dt

from emr_studio.clusters.model import Cluster
from emr_studio.clusters.nodes import Layout
from emr_studio.clusters.sessions.model import is_in_use
from emr_studio.clusters.tools import Tools

TURN_SECONDS = 5.0


class IdleWatch:
    """Notes since when a cluster is idle, and says when that is too long."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def turn(self, layout: Layout) -> tuple[float | None, str]:
        """Seconds until the next look (None: never), and why the cluster must end, if it must."""
        cluster = layout.cluster
        if cluster.idle_timeout is None or cluster.termination_protected:
            return None, ""
        now = self._tools.clock.now()
        if self._is_used(layout):
            self._note(cluster, None)
            return TURN_SECONDS, ""
        since = cluster.idle_since or now
        if cluster.idle_since is None:
            self._note(cluster, now)
        left = cluster.idle_timeout - (now - since).total_seconds()
        if left > 0:
            return min(TURN_SECONDS, left), ""
        return None, f"Cluster was idle for {cluster.idle_timeout} seconds (auto-termination policy)"

    def _is_used(self, layout: Layout) -> bool:
        """Whether somebody uses it; what does not answer is taken for used."""
        if is_in_use(self._tools.database, layout.cluster.id):
            return True
        kernels = self._tools.probe.kernels(layout.cluster, layout.primary)
        load = self._tools.probe.load(layout.cluster, layout.primary)
        return kernels is None or kernels > 0 or load is None or load.is_busy

    def _note(self, cluster: Cluster, since: dt.datetime | None) -> None:
        if cluster.idle_since == since:
            return
        with self._tools.database.write() as session:
            session.get_one(Cluster, cluster.id).idle_since = since
