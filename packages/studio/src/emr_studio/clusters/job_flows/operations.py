"""The EMR API's DescribeJobFlows."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeVar

from sqlalchemy import select

from emr_studio.aws.context import Check, Context
from emr_studio.aws.errors import ValidationError
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.clusters.job_flows.shapes import JobFlow, job_flow_shape, old_state
from emr_studio.clusters.model import CLUSTERS, ENDED, Cluster, Instance, InstanceGroup, is_outside
from emr_studio.clusters.steps.model import Step
from emr_studio.tagging import emr_arn

_ACTION = "elasticmapreduce:DescribeJobFlows"
_MOST = 512
_SHOWN = dt.timedelta(days=61)
"""None that is older is shown ("two months")."""
_SHOWN_ENDED = dt.timedelta(days=14)
"""Without parameters, none that ended and is older."""
_FILTERS = ("JobFlowIds", "JobFlowStates", "CreatedAfter", "CreatedBefore")
_Row = TypeVar("_Row", Instance, InstanceGroup, Step)


def _checks(context: Context, request: Request) -> Iterable[Check]:
    named = dict.fromkeys(request.get("JobFlowIds") or ())
    if not named:
        return [Check(_ACTION, emr_arn(context.region, context.account_id, "cluster/*"))]
    return [CLUSTERS.check(context, _ACTION, cluster_id) for cluster_id in named]


@operation("emr", "DescribeJobFlows", checks=_checks)
def describe_job_flows(context: Context, request: Request) -> Response:
    """Describe clusters with their instance groups, steps and bootstrap actions, newest first, at most 512."""
    clusters = [cluster for cluster in _found(context, request) if _has_state(cluster, request)][:_MOST]
    return {"JobFlows": [job_flow_shape(flow) for flow in _flows(context, clusters)]}


def _found(context: Context, request: Request) -> Sequence[Cluster]:
    now, ids = context.now(), list(dict.fromkeys(request.get("JobFlowIds") or ()))
    statement = select(Cluster).where(
        Cluster.account_id == context.account_id,
        Cluster.region == context.region,
        Cluster.creation_time > now - _SHOWN,
    )
    if not any(request.get(name) for name in _FILTERS):
        recent = Cluster.creation_time > now - _SHOWN_ENDED
        statement = statement.where(recent | Cluster.state.not_in(ENDED))
    if ids:
        statement = statement.where(Cluster.id.in_(ids))
    if request.get("CreatedAfter"):
        statement = statement.where(Cluster.creation_time > request["CreatedAfter"])
    if request.get("CreatedBefore"):
        statement = statement.where(Cluster.creation_time < request["CreatedBefore"])
    _check_ids(context, ids)
    return context.session.scalars(statement.order_by(Cluster.creation_time.desc(), Cluster.id.desc())).all()


def _check_ids(context: Context, ids: Iterable[str]) -> None:
    for cluster_id in ids:
        cluster = context.session.get(Cluster, cluster_id)
        if cluster is None or cluster.account_id != context.account_id:
            raise ValidationError("Specified job flow ID does not exist.")


def _has_state(cluster: Cluster, request: Request) -> bool:
    states = request.get("JobFlowStates")
    # One from outside is no job flow.
    return not is_outside(cluster) and (not states or old_state(cluster) in states)


def _flows(context: Context, clusters: Sequence[Cluster]) -> list[JobFlow]:
    ids = [cluster.id for cluster in clusters]
    groups = _by_cluster(context, InstanceGroup, ids)
    nodes = _by_cluster(context, Instance, ids)
    steps = _by_cluster(context, Step, ids)
    return [JobFlow(one, groups[one.id], nodes[one.id], steps[one.id]) for one in clusters]


def _by_cluster(context: Context, kind: type[_Row], ids: Sequence[str]) -> dict[str, list[_Row]]:
    """Rows that belong to these clusters, each cluster's in their order."""
    found: dict[str, list[_Row]] = defaultdict(list)
    for row in context.session.scalars(select(kind).where(kind.cluster_id.in_(ids)).order_by(kind.position)):
        found[row.cluster_id].append(row)
    return found
