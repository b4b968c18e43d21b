"""When a cluster may begin to start: in its turn, and where the machine has memory for it.

Ten clusters that start at once on two processors are all late, and some too late; two at a time, in the order in which
they were asked for, are ready one after the other. Whose turn it is follows from the rows alone: a cluster that is
under way has addresses and has not been ready yet. Bootstrap actions may take an hour, so they hold no place, and
neither does the building of an environment. Warm spares come last.
"""

from __future__ import annotations

import os
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from emr_studio.clusters.bootstrapping import RUNNING_ACTIONS
from emr_studio.clusters.failure import Failure
from emr_studio.clusters.model import COMING, Cluster, Instance, Reason, State, Target, living_instances_of
from emr_studio.clusters.nodes import Layout
from emr_studio.clusters.preparing import BUILDING
from emr_studio.clusters.spares import is_spare, make_room
from emr_studio.clusters.tools import Tools

AT_ONCE = max(2, os.cpu_count() or 1)
"""So many clusters start at the same time; two at least, so that one that hangs does not keep all others waiting."""
QUEUED = "Waiting for its turn to start"
"""How the reason of a cluster begins that waits for others."""


class Admission:
    """Lets clusters begin to start."""

    def __init__(self, tools: Tools) -> None:
        self._database = tools.database
        self._probe = tools.probe

    def turn(self, layout: Layout) -> bool:
        """True if the cluster may take its addresses now; else its reason tells what it waits for.

        Raises:
            Failure: it needs more memory than there is.
        """
        with self._database.read() as session:
            first = _before(session, layout.cluster)
            others = [Layout(one, living_instances_of(session, one.id)) for one in first]
        if len(others) >= AT_ONCE:
            return self._tell(layout.cluster, f"{QUEUED}: {len(others)} before it.")
        return self._has_room(layout, others)

    def _has_room(self, layout: Layout, others: list[Layout]) -> bool:
        """Whether there is memory for it, beside those that have not taken theirs yet; spares give way."""
        needed, free = layout.needed_memory(), self._probe.free_memory()
        if free < needed:
            if not is_spare(layout.cluster) and make_room(self._database):
                return False
            raise Failure(
                Reason.INSTANCE_FAILURE,
                f"The machine has too little memory: {len(layout.instances)} instance(s) need about {needed} MB, "
                f"{free} MB are free. Terminate another cluster or use fewer instances.",
            )
        if others and free < needed + sum(one.needed_memory() for one in others):
            return self._tell(layout.cluster, f"{QUEUED}: others before it may need the memory that is free.")
        return True

    def _tell(self, seen: Cluster, message: str) -> bool:
        if seen.state_message != message:
            with self._database.write() as session:
                cluster = session.get(Cluster, seen.id, with_for_update=True)
                if cluster is not None and (cluster.target, cluster.state) == (seen.target, seen.state):
                    cluster.state_message = message
        return False


def _before(session: Session, cluster: Cluster) -> list[Cluster]:
    """Those that start, and those that wait and come before it."""
    has_address = exists().where(Instance.cluster_id == Cluster.id, Instance.bind_ip != "")
    wanted = select(Cluster).where(
        Cluster.state.in_(COMING), Cluster.target == Target.RUNNING, Cluster.id != cluster.id
    )
    coming = [one for one in session.scalars(wanted.where(has_address)) if one.state_message != RUNNING_ACTIONS]
    early = session.scalars(wanted.where(Cluster.state == State.STARTING, ~has_address))
    waiting = [one for one in early if not (one.state_message or "").startswith(BUILDING)]
    return coming + [one for one in waiting if _place(one) < _place(cluster)]


def _place(cluster: Cluster) -> tuple[Any, ...]:
    return is_spare(cluster), cluster.creation_time, cluster.id
