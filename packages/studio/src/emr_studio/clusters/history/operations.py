"""The EMR API's operations on application UIs: links that open the live Spark UI and the history of a cluster."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from emr_studio.aws.context import Check, Context
from emr_studio.aws.errors import InvalidRequest
from emr_studio.aws.registry import ChecksFunction, Request, Response, operation
from emr_studio.clusters.access import find, inside, on_cluster
from emr_studio.clusters.history.model import (
    KIND,
    HistoryServer,
    PersistentAppUi,
    ServerState,
    add_ui,
    find_ui,
    has_ended,
    is_kept,
    server_id,
    use_server,
)
from emr_studio.clusters.model import CLUSTERS, USABLE, Cluster, find_cluster
from emr_studio.clusters.security.documents import is_scoped
from emr_studio.controllers import Waker
from emr_studio.edge.presign import Presigner
from emr_studio.tagging import read_tags, tag_list

HISTORY_PATH = "/shs"
"""Where the history server is on the origin of a cluster's UIs, as EMR has it."""
_ARN = re.compile(r"arn:[\w-]+:elasticmapreduce:([\w-]+):(\d{12}):cluster/(j-[A-Z0-9]+)")
_ID = re.compile(r"j-[A-Z0-9]+")
_APPLICATION = re.compile(r"[A-Za-z0-9][\w-]{0,254}")
_ANY = "*"
_HISTORY, _LIVE = "SparkHistoryServer", "ApplicationMaster"


# Which cluster a request speaks of.


def _cluster_id(context: Context, request: Request) -> str:
    """The id in TargetResourceArn (or that itself); empty where it names no cluster of this account and region."""
    target = str(request["TargetResourceArn"])
    found = _ARN.fullmatch(target)
    if found is not None and (found[1], found[2]) == (context.region, context.account_id):
        return found[3]
    return target if _ID.fullmatch(target) else ""


def _on_target(context: Context, request: Request) -> Iterable[Check]:
    yield CLUSTERS.check(context, "elasticmapreduce:CreatePersistentAppUI", _cluster_id(context, request) or _ANY)


def _on_ui(name: str) -> ChecksFunction:
    def checks(context: Context, request: Request) -> Iterable[Check]:
        try:
            cluster_id = find_ui(context.session, context.account_id, request["PersistentAppUIId"]).cluster_id
        except InvalidRequest:
            # So that only those who may look at clusters learn that it is missing.
            cluster_id = _ANY
        role = request.get("ExecutionRoleArn")
        own = {"elasticmapreduce:ExecutionRoleArn": str(role)} if role else {}
        yield CLUSTERS.check(context, name, cluster_id, own)

    return checks


# Persistent UIs.


@operation("emr", "CreatePersistentAppUI", checks=_on_target)
def create_persistent_app_ui(context: Context, request: Request) -> Response:
    """Make a persistent UI of a cluster, which may have ended, and start its history server."""
    kind = request.get("ProfilerType") or "SHS"
    if kind != "SHS":
        raise InvalidRequest(f"ProfilerType {kind} is not available: clusters here have neither YARN nor Tez, but SHS.")
    if request.get("EMRContainersConfig"):
        raise InvalidRequest("EMRContainersConfig needs a virtual cluster of EMR on EKS as TargetResourceArn.")
    cluster_id = _cluster_id(context, request)
    if not cluster_id:
        raise InvalidRequest(f"TargetResourceArn '{request['TargetResourceArn']}' is not a cluster's of this account.")
    cluster = _kept(context, inside(find_cluster(context.session, context.account_id, cluster_id)))
    tags = read_tags(request.get("Tags"))
    row = add_ui(context.session, cluster, context.caller.user_id, tags, context.now())
    _wanted(context, cluster)
    return {"PersistentAppUIId": row.id, "RuntimeRoleEnabledCluster": is_scoped(cluster.security)}


@operation("emr", "DescribePersistentAppUI", checks=_on_ui("elasticmapreduce:DescribePersistentAppUI"))
def describe_persistent_app_ui(context: Context, request: Request) -> Response:
    """Describe a persistent UI; its status is that of the history server."""
    row = find_ui(context.session, context.account_id, request["PersistentAppUIId"])
    server = context.session.get(HistoryServer, server_id(row.cluster_id))
    return {"PersistentAppUI": _shape(row, server)}


def _shape(row: PersistentAppUi, server: HistoryServer | None) -> dict[str, Any]:
    shape = {
        "PersistentAppUIId": row.id,
        "PersistentAppUITypeList": ["SHS"],
        "PersistentAppUIStatus": server.state if server else ServerState.STOPPED.value,
        "AuthorId": row.author_id,
        "CreationTime": row.creation_time,
        "LastModifiedTime": row.modified_time,
        "Tags": tag_list(row.tags),
    }
    return shape | ({"LastStateChangeReason": server.reason} if server and server.reason else {})


@operation(
    "emr",
    "GetPersistentAppUIPresignedURL",
    checks=_on_ui("elasticmapreduce:GetPersistentAppUIPresignedURL"),
    read_only=False,
)
def get_persistent_app_ui_presigned_url(context: Context, request: Request) -> Response:
    """A link that opens the history of a cluster, once its server runs."""
    row = find_ui(context.session, context.account_id, request["PersistentAppUIId"])
    kind = request.get("PersistentAppUIType") or "SHS"
    if kind != "SHS":
        raise InvalidRequest(f"PersistentAppUIType {kind} is not available: there is SHS.")
    cluster = _kept(context, find_cluster(context.session, context.account_id, row.cluster_id))
    return _history_link(context, cluster, _application(request))


# On the cluster.


@operation(
    "emr",
    "GetOnClusterAppUIPresignedURL",
    checks=on_cluster("elasticmapreduce:GetOnClusterAppUIPresignedURL"),
    read_only=False,
)
def get_on_cluster_app_ui_presigned_url(context: Context, request: Request) -> Response:
    """A link that opens the live Spark UI of a running cluster, or its history server.

    Without a type: the history server if an application is named, else the live UI.
    """
    cluster = inside(find(context, request))
    if cluster.state not in USABLE:
        raise InvalidRequest(f"Cluster {cluster.id} is {cluster.state}: its on-cluster application UIs are not there.")
    application = _application(request)
    kind = request.get("OnClusterAppUIType") or (_HISTORY if application else _LIVE)
    if kind not in (_HISTORY, _LIVE):
        raise InvalidRequest(f"OnClusterAppUIType {kind} is not available: clusters here have {_HISTORY} and {_LIVE}.")
    if request.get("DryRun"):
        return {"PresignedURLReady": True}
    return _history_link(context, cluster, application) if kind == _HISTORY else _link(context, cluster, "/")


def _application(request: Request) -> str:
    name = request.get("ApplicationId") or ""
    if name and not _APPLICATION.fullmatch(name):
        raise InvalidRequest(f"ApplicationId '{name}' is not valid.")
    return str(name)


def _kept(context: Context, cluster: Cluster) -> Cluster:
    if not is_kept(cluster, context.now()):
        raise InvalidRequest(f"The application history of cluster {cluster.id} was kept for 30 days after its end.")
    return cluster


def _wanted(context: Context, cluster: Cluster) -> HistoryServer:
    server = use_server(context.session, cluster, context.now())
    waker, name = context.port(Waker), server.id
    context.after_commit(lambda: waker.wake(KIND, name))
    return server


def _history_link(context: Context, cluster: Cluster, application: str) -> Response:
    server = _wanted(context, cluster)
    # That of a cluster which has just ended is about to begin again, with what S3 has.
    if server.state != ServerState.RUNNING or server.archived != has_ended(cluster):
        return {"PresignedURLReady": False}
    place = f"{HISTORY_PATH}/history/{quote(application)}/jobs/" if application else f"{HISTORY_PATH}/"
    return _link(context, cluster, place)


def _link(context: Context, cluster: Cluster, landing: str) -> Response:
    url, _ = context.port(Presigner).presign_app_ui(context.session, context.caller, cluster.id, landing)
    return {"PresignedURLReady": True, "PresignedURL": url}
