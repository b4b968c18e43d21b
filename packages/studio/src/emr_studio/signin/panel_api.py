"""What a Workspace's page may ask of the AWS API: a few operations, as its user, about this Workspace.

    GET  /_studio/api               who is here, and what the panels may offer
    GET  /_studio/api/unfit         which clusters can never be attached to this Workspace, and why
    GET  /_studio/api/sql           whether the attached compute has what the SQL explorer needs, and if not, why
    GET  /_studio/api/versions?path=        what S3 keeps of a file of this Workspace
    GET  /_studio/api/version?path=&id=     the content of one of them
    POST /_studio/api/<Operation>   an operation of EMR; JSON in and out as in AWS JSON 1.1
    POST /_studio/api/secret        a new secret with a Git repository's credentials (`panel_secrets.py`)
    POST /_studio/api/suggestions   code for the place of the caret: CodeWhisperer's GenerateRecommendations

Why so narrow. The page runs whatever a notebook's trusted output holds, and is served by a server that
is its users' own code; a script in it can do all that the page can. So the page has the session's cookie
(which no script and no Workspace's server ever sees), but not the API: with the cookie it may do what is
listed in `OWN`, always and only to the Workspace whose origin it is, read what clusters there are,
get a link to the Spark UI of the cluster that it is attached to, ask the model for code, and register the account's Git
repositories with new secrets, of which it can read none. It cannot make or stop anything else, touch IAM,
S3 or another Workspace, or pass a member that is not listed. IAM and the session's policies decide about
each as for the CLI, and the trail has each.

Why only this page. A browser sends the cookie along with what other origins ask, so the request must
say (`Origin`, `Sec-Fetch-Site`) that it comes from the Workspace's own; without `Origin` nothing changes.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from emr_studio.aws.context import Caller, Check
from emr_studio.aws.wire import WireRequest, WireResponse
from emr_studio.bodies import short_body
from emr_studio.clock import Clock
from emr_studio.db import Database
from emr_studio.runtime.contract import RuntimeUnavailable
from emr_studio.settings import Settings
from emr_studio.signin import panel_secrets
from emr_studio.signin.model import ConsoleSession, caller_of
from emr_studio.signin.origins import Kind, Origin, from_own_page, parse_host, source_ip
from emr_studio.signin.pages import SECURITY_HEADERS, json_response
from emr_studio.signin.sessions import ConsoleSessions, cookie_of
from emr_studio.signin.visitors import NotAdmitted, Visitor, Visitors, in_use
from emr_studio.storage.versions import FileVersion
from emr_studio.tagging import resource_tag_context
from emr_studio.workspaces.compute import unfit
from emr_studio.workspaces.model import Editor, display_name, editor_arn
from emr_studio.workspaces.sql_explorer import refusal

PATH = "/_studio/api"
OWN: Mapping[str, frozenset[str]] = {
    "DescribeEditor": frozenset(),
    "AttachEditor": frozenset({"ExecutionEngine"}),
    "DetachEditor": frozenset(),
    "UpdateEditor": frozenset({"CollaborationEnabled"}),
    "ListWorkspaceAccessIdentities": frozenset({"Marker"}),
    "PutWorkspaceAccess": frozenset({"IdentityName", "IdentityType"}),
    "DeleteWorkspaceAccess": frozenset({"IdentityName"}),
    "LinkRepository": frozenset({"RepositoryName"}),
    "UnlinkRepository": frozenset({"RepositoryName"}),
}
"""Operations on this Workspace, and the members that the page gives beside the `EditorId`."""
READ: Mapping[str, frozenset[str]] = {
    "ListClusters": frozenset({"ClusterStates", "Marker"}),
    "DescribeCluster": frozenset({"ClusterId"}),
}
ACCOUNT: Mapping[str, frozenset[str]] = {
    "ListRepositories": frozenset({"Marker"}),
    "CreateRepository": frozenset({"RepositoryName", "GitUrl", "Branch", "SecretArn"}),
    "UpdateRepository": frozenset({"RepositoryName", "SecretArn"}),
    "DeleteRepository": frozenset({"RepositoryName"}),
}
"""Git repositories, which are all Studios'."""
ATTACHED: Mapping[str, frozenset[str]] = {"GetOnClusterAppUIPresignedURL": frozenset({"OnClusterAppUIType"})}
"""On the cluster that this Workspace is attached to, whose Spark its kernels reach anyhow."""
COLLABORATION = ("UpdateEditor", "PutWorkspaceAccess", "DeleteWorkspaceAccess", "ListWorkspaceAccessIdentities")
"""Who may do all of these is shown the Collaboration panel (emr-studio.md 18.2)."""
HERE = dt.timedelta(seconds=60)
"""Who used the Workspace so lately is said to be here."""
SUGGEST = Check("codewhisperer:GenerateRecommendations")
_MAX_BODY = 8192
_MAX_CODE = 65_536
"""What stands near a caret, in JSON, which may take six octets for a character."""
T = TypeVar("T")
Answer = Callable[[WireRequest, Caller], WireResponse]


class Backups(Protocol):
    """Where earlier contents of a Workspace's files are asked for: the runtime, which saves them."""

    def versions(self, workload_id: str, path: str) -> list[FileVersion]: ...

    def version(self, workload_id: str, path: str, version_id: str) -> bytes: ...


class _Refused(Exception):
    """An answer in AWS's form: HTTP status, code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True)
class PanelApi:
    """`answer` runs an operation for a caller (`AwsApplication.answer`)."""

    settings: Settings
    database: Database
    clock: Clock
    sessions: ConsoleSessions
    answer: Answer
    backups: Backups

    def routes(self) -> list[BaseRoute]:
        """The addresses above."""
        return [
            Route(PATH, self._describe, methods=["GET"]),
            Route(PATH + "/unfit", self._unfit, methods=["GET"]),
            Route(PATH + "/sql", self._sql, methods=["GET"]),
            Route(PATH + "/versions", self._versions, methods=["GET"]),
            Route(PATH + "/version", self._version, methods=["GET"]),
            Route(PATH + "/secret", self._secret, methods=["POST"]),
            Route(PATH + "/suggestions", self._suggest, methods=["POST"]),
            Route(PATH + "/{operation}", self._call, methods=["POST"]),
        ]

    async def _describe(self, request: Request) -> Response:
        return await _answered(self._described, request)

    async def _call(self, request: Request) -> Response:
        return await _answered_with_body(self._called, request)

    async def _secret(self, request: Request) -> Response:
        return await _answered_with_body(self._made_secret, request)

    async def _suggest(self, request: Request) -> Response:
        return await _answered_with_body(self._suggested, request, _MAX_CODE)

    async def _unfit(self, request: Request) -> Response:
        return await _answered(self._judged, request)

    async def _sql(self, request: Request) -> Response:
        return await _answered(self._asked_for_sql, request)

    async def _versions(self, request: Request) -> Response:
        return await _answered(self._listed, request)

    async def _version(self, request: Request) -> Response:
        return await _answered(self._read, request)

    # What the panels begin with.

    def _described(self, request: Request) -> Response:
        origin = self._origin(request)
        with self.database.read() as session:
            visitor = self._visitor(session, request, origin)
            caller, editor = visitor.signed_in.caller, session.get_one(Editor, visitor.target.editor_id)

            def may(check: Check) -> bool:
                return self.sessions.access.allows(session, caller, check, origin, source_ip(request.headers))

            tags, arn = resource_tag_context(editor.tags), editor_arn(editor)
            collaborate = all(may(Check(f"elasticmapreduce:{name}", arn, tags)) for name in COLLABORATION)
            suggest = bool(self.settings.suggestions_url) and may(SUGGEST)
            here = sorted(set(self._here(session, origin)))
        described = {
            "EditorId": editor.id,
            "UserName": display_name(caller),
            "StudioUrl": self.settings.studio_url(editor.studio_id),
            "MayCollaborate": collaborate,
            "MayGetSuggestions": suggest,
            "Here": here,
        }
        return json_response(described)

    def _here(self, session: Session, origin: Origin) -> Iterable[str]:
        """Names of all who used this Workspace within the last minute."""
        lately = ConsoleSession.last_used >= self.clock.now() - HERE
        found = session.scalars(select(ConsoleSession.caller).where(ConsoleSession.origin == origin.host, lately))
        return (display_name(caller_of(facts)) for facts in found)

    # Which clusters the panel offers. Whoever may list clusters may know why one does not fit.

    def _judged(self, request: Request) -> Response:
        origin = self._origin(request)
        with self.database.read() as session:
            visitor = self._visitor(session, request, origin)
            listing = Check("elasticmapreduce:ListClusters")
            may = self.sessions.access.allows(
                session, visitor.signed_in.caller, listing, origin, source_ip(request.headers)
            )
            found = unfit(session, session.get_one(Editor, visitor.target.editor_id)) if may else {}
        return json_response({"Unfit": found})

    def _asked_for_sql(self, request: Request) -> Response:
        origin = self._origin(request)
        with self.database.read() as session:
            visitor = self._visitor(session, request, origin)
            refused = refusal(session, session.get_one(Editor, visitor.target.editor_id))
        if refused is None:
            return json_response({"Available": True})
        told: dict[str, object] = {
            "Code": refused.code,
            "Title": refused.title,
            "Reason": refused.reason,
            "Advice": refused.advice,
        }
        return json_response(told | {"Available": False})

    # The time machine: who may be in a Workspace may read its files, the earlier ones too.

    def _listed(self, request: Request) -> Response:
        editor_id, path = self._editor_id(request), request.query_params.get("path", "")
        found = _kept(lambda: self.backups.versions(editor_id, path))
        return json_response({"Versions": [_shown(version) for version in found]})

    def _read(self, request: Request) -> Response:
        editor_id, asked = self._editor_id(request), request.query_params
        body = _kept(lambda: self.backups.version(editor_id, asked.get("path", ""), asked.get("id", "")))
        # A file of a user's: it is never a page of this origin.
        headers = SECURITY_HEADERS | {"Content-Disposition": "attachment"}
        return Response(body, 200, headers, "application/octet-stream")

    def _editor_id(self, request: Request) -> str:
        origin = self._origin(request)
        with self.database.read() as session:
            return self._visitor(session, request, origin).target.editor_id

    # Operations.

    def _called(self, request: Request, body: bytes) -> Response:
        origin = self._origin(request)
        _require_own_page(request, origin)
        operation = request.path_params["operation"]
        given = _input(operation, body)
        with self.database.read() as session:
            visitor = self._visitor(session, request, origin)
            given |= _target(session.get_one(Editor, visitor.target.editor_id), operation)
        reply = self.answer(_wire(request, f"ElasticMapReduce.{operation}", given), visitor.signed_in.caller)
        return Response(reply.body, reply.status, SECURITY_HEADERS, reply.content_type)

    def _user(self, request: Request) -> Caller:
        """Who asks, from this Workspace's own page."""
        origin = self._origin(request)
        _require_own_page(request, origin)
        with self.database.read() as session:
            return self._visitor(session, request, origin).signed_in.caller

    def _suggested(self, request: Request, body: bytes) -> Response:
        caller = self._user(request)
        reply = self.answer(_wire(request, "AmazonCodeWhispererService.GenerateRecommendations", _json(body)), caller)
        return Response(reply.body, reply.status, SECURITY_HEADERS, reply.content_type)

    def _made_secret(self, request: Request, body: bytes) -> Response:
        caller = self._user(request)
        try:
            given = panel_secrets.new_secret(body, caller.user_id)
        except ValueError as error:
            raise _Refused(400, "ValidationException", str(error)) from error
        reply = self.answer(_wire(request, "secretsmanager.CreateSecret", given), caller)
        return Response(reply.body, reply.status, SECURITY_HEADERS, reply.content_type)

    def _origin(self, request: Request) -> Origin:
        origin = parse_host(self.settings, request.headers.get("host", ""))
        if origin is None or origin.kind != Kind.WORKSPACE:
            raise _Refused(404, "NotFound", "There is nothing at this address.")
        if not from_own_page(request.headers, origin):
            raise _Refused(403, "AccessDeniedException", "Another page may not use this Workspace on your behalf.")
        return origin

    def _visitor(self, session: Session, request: Request, origin: Origin) -> Visitor:
        visitors = Visitors(self.settings, self.clock, self.sessions)
        try:
            visitor = visitors.admit(session, origin, cookie_of(request.headers), source_ip(request.headers))
        except NotAdmitted as refusal:
            raise _Refused(refusal.status, "AccessDeniedException", refusal.text) from refusal
        if visitor.holder is not None:
            raise _Refused(403, "AccessDeniedException", in_use(visitor.holder))
        return visitor


async def _answered_with_body(
    work: Callable[[Request, bytes], Response], request: Request, most: int = _MAX_BODY
) -> Response:
    body = await short_body(request, most)
    if body is None:
        return _refusal(_Refused(413, "RequestEntityTooLarge", f"The request is larger than {most} bytes."))
    return await _answered(work, request, body)


async def _answered(work: Callable[..., Response], *arguments: Any) -> Response:
    try:
        return await run_in_threadpool(work, *arguments)
    except _Refused as refusal:
        return _refusal(refusal)


def _refusal(refusal: _Refused) -> Response:
    return json_response({"__type": refusal.code, "Message": refusal.message}, refusal.status)


def _kept(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except ValueError as error:
        raise _Refused(404, "NoSuchVersion", "S3 keeps no such version of that file, or it is too large.") from error
    except RuntimeUnavailable as error:
        raise _Refused(503, "ServiceUnavailable", str(error)) from error


def _shown(version: FileVersion) -> dict[str, object]:
    return {
        "VersionId": version.version_id,
        "LastModified": version.saved.timestamp(),
        "Size": version.size,
        "IsLatest": version.latest,
        "Author": version.author,
    }


def _require_own_page(request: Request, origin: Origin) -> None:
    """Every browser sends `Origin` with a POST, and asks first before it sends JSON to another origin."""
    if request.headers.get("origin") != origin.url:
        raise _Refused(403, "AccessDeniedException", "The request does not say that this Workspace's page made it.")
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise _Refused(415, "SerializationException", "Send the input as application/json.")


def _target(editor: Editor, operation: str) -> dict[str, str]:
    """What the operation is about: never said by the page where it can be known."""
    if operation in OWN:
        return {"EditorId": editor.id}
    if operation in ATTACHED:
        if editor.attached_cluster_id is None:
            raise _Refused(400, "InvalidRequestException", "This Workspace is not attached to a cluster.")
        return {"ClusterId": editor.attached_cluster_id}
    return {}


def _input(operation: str, body: bytes) -> dict[str, Any]:
    members = {**OWN, **READ, **ACCOUNT, **ATTACHED}.get(operation)
    if members is None:
        raise _Refused(404, "UnknownOperationException", f"A Workspace's page cannot call {operation}.")
    given = _json(body)
    if other := sorted(set(given) - members):
        raise _Refused(400, "ValidationException", f"A Workspace's page cannot give {other[0]} to {operation}.")
    return given


def _json(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise _Refused(400, "SerializationException", "The input is not JSON.") from error
    if not isinstance(given, dict):
        raise _Refused(400, "SerializationException", "The input is not a JSON object.")
    return given


def _wire(request: Request, target: str, given: Mapping[str, Any]) -> WireRequest:
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": target,
        "host": request.headers.get("host", ""),
        "user-agent": request.headers.get("user-agent", ""),
    }
    secure = request.headers.get("x-forwarded-proto", "") == "https"
    return WireRequest("POST", "/", "", headers, json.dumps(given).encode(), source_ip(request.headers), secure)
