"""The EMR API's operations on Spark Connect sessions. Each writes what is wanted; the controller makes it so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select

from emr_studio.aws.context import Check, Context
from emr_studio.aws.errors import InvalidRequest
from emr_studio.aws.pagination import paginate
from emr_studio.aws.registry import ChecksFunction, Request, Response, operation
from emr_studio.clusters.access import find, inside, on_cluster
from emr_studio.clusters.model import USABLE, Cluster, Target
from emr_studio.clusters.reading import check_configurations
from emr_studio.clusters.runtime_roles import check_runtime_role
from emr_studio.clusters.sessions import credentials, tokens
from emr_studio.clusters.sessions.controller import leave
from emr_studio.clusters.sessions.model import (
    ENDED,
    KIND,
    LIVING,
    SESSIONS,
    Purpose,
    SessionState,
    SparkSession,
    arn_of_id,
    find_session,
    new_session,
    session_arn,
)
from emr_studio.controllers import Waker
from emr_studio.iam.sealing import Sealer
from emr_studio.settings import Settings
from emr_studio.tagging import read_tags, register, request_tag_context, resource_tag_context, tag_list

DEFAULT_IDLE_MINUTES = 60
MOST_IDLE_MINUTES = 1440
_PAGE = 50
_CLASSIFICATION = "spark-defaults"
register("ss-", SESSIONS)
OTHERS = (credentials,)
"""Importing them registers what else can be called."""


def _on_start(context: Context, request: Request) -> Iterable[Check]:
    tags = request_tag_context(read_tags(request.get("Tags")))
    (check,) = on_cluster("elasticmapreduce:StartSession")(context, request)
    yield Check(check.action, check.resource, {**check.context, **tags})


def _on_session(action: str) -> ChecksFunction:
    """Checks of an operation on one session, with its tags if it is there."""

    def checks(context: Context, request: Request) -> Iterable[Check]:
        cluster_id, session_id = request["ClusterId"], request["SessionId"]
        try:
            row = find_session(context.session, context.account_id, session_id, cluster_id)
        except InvalidRequest:
            return [Check(action, arn_of_id(context.region, context.account_id, cluster_id, session_id))]
        return [Check(action, session_arn(row), resource_tag_context(row.tags))]

    return checks


# Start.


@operation("emr", "StartSession", checks=_on_start)
def start_session(context: Context, request: Request) -> Response:
    """Start a session; the same ClientRequestToken again returns the first one."""
    cluster = inside(find(context, request))
    before = _made_before(context, cluster, request.get("ClientRequestToken"))
    if before is not None:
        return _started(before)
    _check_cluster(cluster)
    role_arn = request.get("ExecutionRoleArn")
    if role_arn:
        check_runtime_role(context.session, context.clock, cluster, role_arn)
    if request.get("MonitoringConfiguration"):
        raise InvalidRequest("MonitoringConfiguration is not supported by this installation.")
    row = new_session(
        context.session,
        cluster,
        context.now(),
        creator_user_id=context.caller.user_id,
        name=request.get("Name"),
        execution_role_arn=role_arn,
        engine_configurations=_configurations(request),
        idle_minutes=_idle_minutes(request),
        client_token=request.get("ClientRequestToken"),
        tags=read_tags(request.get("Tags")),
    )
    _wake(context, row)
    return _started(row)


def _made_before(context: Context, cluster: Cluster, token: str | None) -> SparkSession | None:
    if not token:
        return None
    chosen = select(SparkSession).where(SparkSession.cluster_id == cluster.id, SparkSession.client_token == token)
    return context.session.scalars(chosen).first()


def _check_cluster(cluster: Cluster) -> None:
    if not cluster.details.get("SessionEnabled"):
        raise InvalidRequest(f"Sessions are not enabled on the cluster {cluster.id}: create it with SessionEnabled.")
    if cluster.target != Target.RUNNING or cluster.state not in USABLE:
        raise InvalidRequest(f"The cluster {cluster.id} is {cluster.state}; sessions need it to be RUNNING or WAITING.")


def _configurations(request: Request) -> list[Any]:
    given = check_configurations(request.get("EngineConfigurations"), "EngineConfigurations")
    for entry in given:
        if entry["Classification"] != _CLASSIFICATION or entry.get("Configurations"):
            raise InvalidRequest(
                f"EngineConfigurations: the classification {entry['Classification']} is no runtime configuration; "
                f"use {_CLASSIFICATION}."
            )
    return given


def _idle_minutes(request: Request) -> int:
    minutes = int(request.get("SessionIdleTimeoutInMinutes") or DEFAULT_IDLE_MINUTES)
    if not 1 <= minutes <= MOST_IDLE_MINUTES:
        raise InvalidRequest(f"SessionIdleTimeoutInMinutes must be between 1 and {MOST_IDLE_MINUTES}.")
    return minutes


def _started(row: SparkSession) -> dict[str, Any]:
    return {
        "Id": row.id,
        "ClusterId": row.cluster_id,
        "Arn": session_arn(row),
        "AccountId": row.account_id,
        "State": row.state,
    }


# Read.


@operation("emr", "GetSession", checks=_on_session("elasticmapreduce:GetSession"))
def get_session(context: Context, request: Request) -> Response:
    """Describe a session."""
    cluster, row = _find(context, request)
    return {"Session": session_shape(row, cluster)}


@operation("emr", "ListSessions", checks=on_cluster("elasticmapreduce:ListSessions"))
def list_sessions(context: Context, request: Request) -> Response:
    """List a cluster's sessions, newest first, 50 a page or as many as are asked for; by state."""
    cluster = find(context, request)
    states = request.get("SessionStates")
    chosen = select(SparkSession).where(SparkSession.cluster_id == cluster.id, SparkSession.purpose == Purpose.CLIENTS)
    if states:
        chosen = chosen.where(SparkSession.state.in_(states))
    page, marker = paginate(
        context,
        chosen,
        (SparkSession.created_at, SparkSession.id),
        request.get("MaxResults") or _PAGE,
        request.get("NextToken"),
        bound_to=f"ListSessions {cluster.id} {sorted(states or ())}",
        descending=True,
    )
    answer: dict[str, Any] = {"Sessions": [session_shape(row, cluster) for row in page]}
    return answer if marker is None else {**answer, "NextToken": marker}


@operation("emr", "GetSessionEndpoint", checks=_on_session("elasticmapreduce:GetSessionEndpoint"))
def get_session_endpoint(context: Context, request: Request) -> Response:
    """Give the address of a session's Spark Connect and a token for an hour.

    `SparkSession.builder.remote(f"{Endpoint};token={AuthToken}")` is how pyspark uses them.
    """
    _, row = _find(context, request)
    if row.state not in LIVING:
        raise InvalidRequest(f"The session {row.id} is {row.state}; it must be STARTED, IDLE or BUSY.")
    token, expires = tokens.issue(context.port(Sealer), row.id, context.now())
    endpoint = connect_url(context.port(Settings))
    return {"Endpoint": endpoint, "AuthToken": token, "AuthTokenExpirationTime": expires}


def connect_url(settings: Settings) -> str:
    """`sc://localhost:8080/`; with TLS `sc://studio.example.com:443/;use_ssl=true`."""
    if settings.scheme == "http":
        return f"sc://{settings.host_port}/"
    host = settings.host_port if ":" in settings.host_port else f"{settings.host_port}:443"
    return f"sc://{host}/;use_ssl=true"


# End.


@operation("emr", "TerminateSession", checks=_on_session("elasticmapreduce:TerminateSession"))
def terminate_session(context: Context, request: Request) -> Response:
    """End a session and its Spark. Of one that has ended, say so."""
    _, row = _find(context, request)
    if row.state not in (SessionState.TERMINATING, *ENDED):
        leave(row, SessionState.TERMINATED, "Terminated by user request", context.now())
        _wake(context, row)
    return {"ClusterId": row.cluster_id, "SessionId": row.id, "State": row.state}


def _find(context: Context, request: Request) -> tuple[Cluster, SparkSession]:
    cluster = find(context, request)
    return cluster, find_session(context.session, context.account_id, request["SessionId"], cluster.id)


def _wake(context: Context, row: SparkSession) -> None:
    waker, session_id = context.port(Waker), row.id
    context.after_commit(lambda: waker.wake(KIND, session_id))


def session_shape(row: SparkSession, cluster: Cluster) -> Mapping[str, Any]:
    """`Session` of GetSession and ListSessions."""
    shape = {
        **_started(row),
        "Name": row.name,
        "StateChangeReason": row.message or None,
        "ReleaseLabel": cluster.release_label,
        "ExecutionRoleArn": row.execution_role_arn,
        "CreatedAt": row.created_at,
        "UpdatedAt": row.updated_at,
        "StartedAt": row.started_at,
        "EndedAt": row.ended_at,
        "IdleSince": row.idle_since,
        "EngineConfigurations": row.engine_configurations or None,
        "SessionIdleTimeoutInMinutes": row.idle_minutes,
        "Tags": tag_list(row.tags),
    }
    return {name: value for name, value in shape.items() if value is not None}
