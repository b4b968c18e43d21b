"""The EMR API's operations on steps. Each writes what is wanted; the clusters' controller makes it so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from emr_studio.aws.context import Context
from emr_studio.aws.errors import InvalidRequest
from emr_studio.aws.pagination import paginate
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.clusters.access import changeable, find, on_cluster, wake
from emr_studio.clusters.model import Cluster
from emr_studio.clusters.steps.model import AT_WORK, Step, StepState, find_step
from emr_studio.clusters.steps.reading import add_steps

_PAGE = 50
_MOST_LISTED_IDS = 10
_FORCED = "TERMINATE_PROCESS"


@operation("emr", "AddJobFlowSteps", checks=on_cluster("elasticmapreduce:AddJobFlowSteps", "JobFlowId"))
def add_job_flow_steps(context: Context, request: Request) -> Response:
    """Add steps; all of them or, if one is wrong, none."""
    cluster = changeable(find(context, request, "JobFlowId"))
    steps = add_steps(context, cluster, request["Steps"], request.get("ExecutionRoleArn"))
    wake(context, cluster)
    return {"StepIds": [step.id for step in steps]}


@operation("emr", "ListSteps", checks=on_cluster("elasticmapreduce:ListSteps"))
def list_steps(context: Context, request: Request) -> Response:
    """List a cluster's steps, newest first, 50 a page; by state, or up to ten by id."""
    cluster = find(context, request)
    wanted, states = request.get("StepIds"), request.get("StepStates")
    if wanted and states:
        raise InvalidRequest("Cannot specify both StepIds and StepStates.")
    if len(wanted or ()) > _MOST_LISTED_IDS:
        raise InvalidRequest(f"StepIds may name at most {_MOST_LISTED_IDS} steps.")
    chosen = select(Step).where(Step.cluster_id == cluster.id)
    if wanted:
        chosen = chosen.where(Step.id.in_(wanted))
    if states:
        chosen = chosen.where(Step.state.in_(states))
    page, marker = paginate(
        context,
        chosen,
        (Step.position, Step.id),
        _PAGE,
        request.get("Marker"),
        bound_to=f"ListSteps {cluster.id} {sorted(wanted or ())} {sorted(states or ())}",
        descending=True,
    )
    answer: dict[str, Any] = {"Steps": [step_shape(step) for step in page]}
    return answer if marker is None else {**answer, "Marker": marker}


@operation("emr", "DescribeStep", checks=on_cluster("elasticmapreduce:DescribeStep"))
def describe_step(context: Context, request: Request) -> Response:
    """Describe a step."""
    cluster = find(context, request)
    return {"Step": step_shape(find_step(context.session, cluster.id, request["StepId"]))}


@operation("emr", "CancelSteps", checks=on_cluster("elasticmapreduce:CancelSteps"))
def cancel_steps(context: Context, request: Request) -> Response:
    """Cancel steps that wait or run; says of each whether that was taken up."""
    cluster = find(context, request)
    forced = request.get("StepCancellationOption") == _FORCED
    answers = [_cancel(context, cluster, step_id, forced) for step_id in dict.fromkeys(request["StepIds"])]
    wake(context, cluster)
    return {"CancelStepsInfoList": answers}


def _cancel(context: Context, cluster: Cluster, step_id: str, forced: bool) -> Mapping[str, str]:
    step = context.session.get(Step, step_id, with_for_update=True)
    if step is None or step.cluster_id != cluster.id:
        return {"StepId": step_id, "Status": "FAILED", "Reason": f"Step {step_id} does not exist."}
    if step.state == StepState.PENDING:
        step.state, step.end_time, step.message = StepState.CANCELLED, context.now(), "Cancelled by user"
    elif step.state in AT_WORK:
        step.state, step.forced = StepState.CANCEL_PENDING, step.forced or forced
    else:
        reason = f"Cannot cancel step {step_id} because it is {step.state}."
        return {"StepId": step_id, "Status": "FAILED", "Reason": reason}
    return {"StepId": step_id, "Status": "SUBMITTED", "Reason": ""}


def step_shape(step: Step) -> dict[str, Any]:
    """`Step` of DescribeStep, and `StepSummary` of ListSteps, which is as much."""
    times = {"CreationDateTime": step.creation_time, "StartDateTime": step.start_time, "EndDateTime": step.end_time}
    config = {"Jar": step.jar, "Properties": step.properties, "MainClass": step.main_class, "Args": step.arguments}
    status: dict[str, Any] = {
        "State": step.state,
        "StateChangeReason": {"Message": step.message} if step.message else {},
        "Timeline": {name: value for name, value in times.items() if value is not None},
    }
    if step.failure:
        status["FailureDetails"] = step.failure
    shape = {
        "Id": step.id,
        "Name": step.name,
        "Config": {name: value for name, value in config.items() if value is not None},
        "ActionOnFailure": step.action_on_failure,
        "Status": status,
    }
    return shape | ({"ExecutionRoleArn": step.execution_role_arn} if step.execution_role_arn else {})
