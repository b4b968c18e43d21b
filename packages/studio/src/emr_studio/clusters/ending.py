"""How a cluster is asked to end, and what follows its states: its instances, and what is kept for it alone."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import delete
from sqlalchemy.orm import Session

from emr_studio.clusters.model import ENDED, USABLE, Cluster, Instance, Reason, State, Target, is_outside
from emr_studio.clusters.outside.model import OutsideCluster

TERMINATED_BY_USER = "Terminated by user request"
DEREGISTERED = "Deregistered by user request; the cluster itself goes on"


def end_at_request(cluster: Cluster, now: dt.datetime) -> bool:
    """Let the cluster end because a caller wants it; False if it ends already. One from outside is only forgotten."""
    if cluster.target != Target.RUNNING:
        return False
    cluster.target = Target.TERMINATED
    cluster.state, cluster.phase_since, cluster.state_code = State.TERMINATING, now, Reason.USER_REQUEST
    cluster.state_message = DEREGISTERED if is_outside(cluster) else TERMINATED_BY_USER
    return True


def mark(instances: list[Instance], state: State, now: dt.datetime) -> None:
    """States of instances follow that of their cluster."""
    for instance in instances:
        if state in ENDED:
            instance.state, instance.end_time = "TERMINATED", now
        elif state in USABLE:
            instance.state, instance.ready_time = "RUNNING", instance.ready_time or now
        elif state == State.BOOTSTRAPPING:
            instance.state = "BOOTSTRAPPING"


def forget_credentials(session: Session, cluster_id: str) -> None:
    """Delete those of a cluster from outside; call in a writing session."""
    session.execute(delete(OutsideCluster).where(OutsideCluster.cluster_id == cluster_id))
