"""GetClusterSessionCredentials: a user name and a password for kernels with a runtime role on a cluster.

They open a kernel gateway that only their holder has, at `<endpoint>/_gateway/<cluster>` of the edge, to any
Jupyter client (`jupyter lab --gateway-url`). Its kernels run as a user of their own with the role's
credentials alone, as those of a Workspace that is attached with the role. It ends with the credentials.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt

import msgspec
from starlette.datastructures import Headers

from emr_studio.aws.context import Context
from emr_studio.aws.errors import InvalidRequest
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.clock import Clock
from emr_studio.clusters.access import find, on_cluster
from emr_studio.clusters.model import USABLE, Target
from emr_studio.clusters.runtime_roles import check_kernels_role
from emr_studio.clusters.sessions.attachments import new_attachment, newest_attachment
from emr_studio.clusters.sessions.model import KIND, LIVING, WANTED, Purpose, SparkSession
from emr_studio.controllers import Waker
from emr_studio.db import Database
from emr_studio.edge.decisions import DELETE, EdgeAnswer, EdgeRequest
from emr_studio.iam.sealing import BadSeal, Sealer
from emr_studio.network.model import GATEWAY_PORT

LIFETIME = dt.timedelta(hours=12)
PATH = "/_gateway/"
_PURPOSE = "emr:cluster-session-credentials"
_LONGEST = 1024
_NO_BROWSERS = ("origin", "sec-fetch-site", "sec-fetch-mode")


class Claims(msgspec.Struct, frozen=True):
    """What a password says; `expires` is in seconds since 1970."""

    session: str
    expires: int


@operation(
    "emr",
    "GetClusterSessionCredentials",
    checks=on_cluster("elasticmapreduce:GetClusterSessionCredentials"),
    read_only=False,
)
def get_cluster_session_credentials(context: Context, request: Request) -> Response:
    """Give credentials for kernels with a runtime role; the gateway that they open starts, if it does not run."""
    cluster, role_arn = find(context, request), request.get("ExecutionRoleArn")
    if not role_arn:
        raise InvalidRequest("ExecutionRoleArn is required.")
    if cluster.target != Target.RUNNING or cluster.state not in USABLE:
        raise InvalidRequest(f"The cluster {cluster.id} is {cluster.state}; it must be RUNNING or WAITING.")
    check_kernels_role(context.session, context.clock, cluster, role_arn)
    now, holder = context.now(), f"{context.caller.user_id}/{role_arn}"
    row = newest_attachment(context.session, cluster.id, holder)
    if row is None or row.state not in WANTED:
        user_id = context.caller.user_id
        row = new_attachment(context.session, cluster, role_arn, holder=holder, user_id=user_id, now=now)
        waker, session_id = context.port(Waker), row.id
        context.after_commit(lambda: waker.wake(KIND, session_id))
    expires = row.expires_at = (now + LIFETIME).replace(microsecond=0)
    password = seal(context.port(Sealer), Claims(row.id, int(expires.timestamp())))
    pair = {"Username": context.caller.user_name or context.caller.session_name or "user", "Password": password}
    return {"Credentials": {"UsernamePassword": pair}, "ExpiresAt": expires}


def seal(sealer: Sealer, claims: Claims) -> str:
    """The password that says this."""
    return base64.urlsafe_b64encode(sealer.seal(msgspec.msgpack.encode(claims), _PURPOSE)).decode().rstrip("=")


def _open(sealer: Sealer, password: str) -> Claims:
    """What a password says.

    Raises:
        BadSeal: it was not made here.
    """
    try:
        sealed = base64.b64decode((password + "=" * (-len(password) % 4))[:_LONGEST], altchars=b"-_", validate=True)
        return msgspec.msgpack.decode(sealer.open(sealed, _PURPOSE), type=Claims)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise BadSeal("not a password of this installation") from None


class GatewayEdge:
    """The resolver of kind `gateway`: who may pass to a kernel gateway, and where it is.

    For programs: what a browser sends on behalf of a page is refused, whatever password it remembers.
    """

    def __init__(self, database: Database, clock: Clock, sealer: Sealer) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer

    def __call__(self, request: EdgeRequest) -> EdgeAnswer:
        """Decide about one request."""
        if any(name in request.headers for name in _NO_BROWSERS):
            return _refusal(403, "A kernel gateway is for Jupyter clients, not for pages.")
        cluster_id, _, rest = request.uri.removeprefix(PATH).partition("/")
        row = self._row(_password(request.headers))
        if row is None or row.cluster_id != cluster_id or row.purpose != Purpose.KERNELS:
            return _refusal(401, "The credentials are not valid any more. GetClusterSessionCredentials gives new ones.")
        if row.state in LIVING:
            headers = {"Authorization": f"token {row.gateway_token}", "Cookie": DELETE}
            return EdgeAnswer(upstream=f"{row.bind_ip}:{GATEWAY_PORT}", uri=f"/{rest}", headers=headers)
        if row.state in WANTED:
            return _refusal(503, f"The kernel gateway is {row.state}. Try again in a moment.")
        return _refusal(401, row.message or "The kernel gateway has ended.")

    def _row(self, password: str) -> SparkSession | None:
        try:
            claims = _open(self._sealer, password)
        except BadSeal:
            return None
        if self._clock.now().timestamp() >= claims.expires:
            return None
        with self._database.read() as session:
            return session.get(SparkSession, claims.session)


def _password(headers: Headers) -> str:
    """The password of Basic authentication, or where Jupyter's clients have a token (`GatewayClient.auth_token`)."""
    kind, _, given = headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return given.strip() if kind.lower() == "token" else ""
    try:
        return base64.b64decode(given.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _refusal(status: int, message: str) -> EdgeAnswer:
    headers = {401: {"WWW-Authenticate": 'Basic realm="kernels"'}, 503: {"Retry-After": "1"}}.get(status, {})
    body = msgspec.json.encode({"message": message, "reason": message})
    return EdgeAnswer(status, body=body, content_type="application/json", response_headers=headers)
