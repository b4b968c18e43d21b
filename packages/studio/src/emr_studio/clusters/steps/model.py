"""The table of steps and their states.

    PENDING ──> RUNNING ──> COMPLETED
       │           ├──────> FAILED            its ActionOnFailure says what becomes of the others
       │           ├──────> INTERRUPTED       the cluster ended under it
       └──> CANCELLED <── CANCEL_PENDING      asked for, or another step failed

Rows stay after the cluster's end, as EMR keeps them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, exists, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from emr_studio.aws.errors import InvalidRequest
from emr_studio.clusters.model import Cluster
from emr_studio.db import Base


class StepState(StrEnum):
    """What DescribeStep shows."""

    PENDING = "PENDING"
    CANCEL_PENDING = "CANCEL_PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"


class OnFailure(StrEnum):
    """What a failed step does to its cluster."""

    TERMINATE_JOB_FLOW = "TERMINATE_JOB_FLOW"
    """The old word for TERMINATE_CLUSTER."""
    TERMINATE_CLUSTER = "TERMINATE_CLUSTER"
    CANCEL_AND_WAIT = "CANCEL_AND_WAIT"
    CONTINUE = "CONTINUE"


ENDS_CLUSTER = (OnFailure.TERMINATE_JOB_FLOW, OnFailure.TERMINATE_CLUSTER)
AT_WORK = (StepState.RUNNING, StepState.CANCEL_PENDING)
UNFINISHED = (StepState.PENDING, *AT_WORK)


class Step(Base):
    """A step. `position` is the order in which a cluster was given its steps, from 0."""

    __tablename__ = "cluster_steps"
    __table_args__ = (Index("ix_cluster_steps_order", "cluster_id", "position"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    cluster_id: Mapped[str] = mapped_column(ForeignKey("clusters.id"))
    position: Mapped[int]
    name: Mapped[str]
    jar: Mapped[str]
    main_class: Mapped[str | None] = mapped_column(default=None)
    arguments: Mapped[list[str]] = mapped_column(default=list)
    properties: Mapped[dict[str, str]] = mapped_column(default=dict)
    action_on_failure: Mapped[str]

    state: Mapped[str] = mapped_column(default=StepState.PENDING)
    message: Mapped[str] = mapped_column(default="")
    """`StateChangeReason.Message`."""
    failure: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """`FailureDetails` of the API, as it is."""
    launched: Mapped[bool] = mapped_column(default=False)
    """Its program was started: what is gone then has ended, and is not started a second time."""
    forced: Mapped[bool] = mapped_column(default=False)
    """It is to be cancelled by SIGKILL at once (StepCancellationOption TERMINATE_PROCESS)."""
    creation_time: Mapped[dt.datetime]
    start_time: Mapped[dt.datetime | None] = mapped_column(default=None)
    end_time: Mapped[dt.datetime | None] = mapped_column(default=None)

    execution_role_arn: Mapped[str | None] = mapped_column(default=None)
    """The runtime role that it has instead of the cluster's."""
    tenant: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """User, grant and secret of one with a runtime role while it runs: `{"uid", "role_token", "secret"}`."""

    @property
    def workload_id(self) -> str:
        """`j-…/s-…/step`."""
        return f"{self.cluster_id}/{self.id}/step"


def find_step(session: Session, cluster_id: str, step_id: str) -> Step:
    """Return the cluster's step.

    Raises:
        InvalidRequest: "Step id 's-X' is not valid."
    """
    step = session.get(Step, step_id)
    if step is None or step.cluster_id != cluster_id:
        raise InvalidRequest(f"Step id '{step_id}' is not valid.")
    return step


def steps_of(session: Session, cluster_id: str, states: Iterable[StepState] = UNFINISHED) -> list[Step]:
    """The cluster's steps in these states, in the order in which they were given."""
    chosen = select(Step).where(Step.cluster_id == cluster_id, Step.state.in_(tuple(states)))
    return list(session.scalars(chosen.order_by(Step.position)))


def has_unfinished_steps() -> ColumnElement[bool]:
    """A condition on clusters: there is work for them."""
    return exists().where(Step.cluster_id == Cluster.id, Step.state.in_(UNFINISHED))
