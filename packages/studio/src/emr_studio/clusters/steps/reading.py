"""What a request may say of steps, and the rows that come of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select

from emr_studio import ids
from emr_studio.aws.context import Context
from emr_studio.aws.errors import InvalidRequest, ValidationError
from emr_studio.clusters.model import Cluster
from emr_studio.clusters.runtime_roles import check_runtime_role
from emr_studio.clusters.steps.model import UNFINISHED, OnFailure, Step

MOST_UNFINISHED = 256
"""Steps that are PENDING or RUNNING (EMR: "You can submit up to 256 steps")."""
_FOLDERS = ("s3://", "s3a://", "s3n://")
COMMAND_RUNNER = "command-runner.jar"
SCRIPT_RUNNER = "script-runner.jar"


def add_steps(
    context: Context, cluster: Cluster, given: Sequence[Mapping[str, Any]], role_arn: str | None = None
) -> list[Step]:
    """Add steps behind those that are there; with a runtime role, if one is named.

    Raises:
        ValidationError: naming what is wrong; none is added then.
    """
    if role_arn:
        _check_role(context, cluster, role_arn)
    for config in given:
        _check(cluster, config)
    session = context.session
    waiting = select(func.count()).where(Step.cluster_id == cluster.id, Step.state.in_(UNFINISHED))
    if session.scalar(waiting) + len(given) > MOST_UNFINISHED:  # type: ignore[operator]
        raise ValidationError(
            f"Maximum number of active steps(State = 'Running', 'Pending' or 'Cancel_Pending') for "
            f"cluster exceeded: {MOST_UNFINISHED}."
        )
    last = session.scalar(select(func.max(Step.position)).where(Step.cluster_id == cluster.id))
    first = 0 if last is None else last + 1
    steps = [_row(context, cluster, config, first + number) for number, config in enumerate(given)]
    for step in steps:
        step.execution_role_arn = role_arn
    session.add_all(steps)
    session.flush()
    return steps


def _check_role(context: Context, cluster: Cluster, role_arn: str) -> None:
    try:
        check_runtime_role(context.session, context.clock, cluster, role_arn)
    except InvalidRequest as error:
        raise ValidationError(error.message) from error


def _row(context: Context, cluster: Cluster, config: Mapping[str, Any], position: int) -> Step:
    jar = config["HadoopJarStep"]
    return Step(
        id=ids.step_id(),
        cluster_id=cluster.id,
        position=position,
        name=config["Name"],
        jar=jar["Jar"],
        main_class=jar.get("MainClass"),
        arguments=list(jar.get("Args") or ()),
        properties={pair["Key"]: pair.get("Value") or "" for pair in jar.get("Properties") or ()},
        action_on_failure=config.get("ActionOnFailure") or OnFailure.TERMINATE_CLUSTER,
        creation_time=context.now(),
    )


def _check(cluster: Cluster, config: Mapping[str, Any]) -> None:
    name, jar = config["Name"], config["HadoopJarStep"]["Jar"]
    action = config.get("ActionOnFailure") or OnFailure.TERMINATE_CLUSTER
    if config.get("StepMonitoringConfiguration"):
        raise ValidationError("StepMonitoringConfiguration is not supported by this installation.")
    if step_concurrency(cluster) > 1 and action != OnFailure.CONTINUE:
        raise ValidationError(
            f"Step '{name}': ActionOnFailure {action} is not valid on a cluster whose StepConcurrencyLevel is greater "
            "than 1; use CONTINUE."
        )
    if jar.rpartition("/")[2] in (COMMAND_RUNNER, SCRIPT_RUNNER):
        if not config["HadoopJarStep"].get("Args"):
            raise ValidationError(f"Step '{name}': {jar} needs Args.")
    elif not jar.startswith(_FOLDERS):
        raise ValidationError(f"Step '{name}': the Jar {jar} is neither {COMMAND_RUNNER} nor an object in S3.")
    if any("Key" not in pair for pair in config["HadoopJarStep"].get("Properties") or ()):
        raise ValidationError(f"Step '{name}': Properties must have a Key.")


def step_concurrency(cluster: Cluster) -> int:
    """How many steps run at a time."""
    return int(cluster.details.get("StepConcurrencyLevel") or 1)
