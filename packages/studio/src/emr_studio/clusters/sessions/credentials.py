"""GetClusterSessionCredentials: a user name and a password for kernels with a runtime role on a cluster, or its Livy.

Without a role they are for Livy (`clusters/livy`). With one they open a kernel gateway that only their holder has,
at `<endpoint>/_gateway/<cluster>` of the edge, to any Jupyter client (`jupyter lab --gateway-url`). Its kernels run as
a user of their own with the role's credentials alone, as those of a Workspace that is attached with the role. It ends
with the credentials.
"""

from __future__ import annotations

import datetime as dt

from emr_studio.aws.context import Context
from emr_studio.aws.errors import InvalidRequest
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.clock import Clock
from emr_studio.clusters.access import find, inside, on_cluster
from emr_studio.clusters.livy import credentials as livy
from emr_studio.clusters.model import USABLE, Cluster, Target
from emr_studio.clusters.runtime_roles import check_kernels_role
from emr_studio.clusters.sessions.attachments import new_attachment, newest_attachment
from emr_studio.clusters.sessions.model import KIND, LIVING, WANTED, Purpose, SparkSession
from emr_studio.clusters.sessions.passwords import NOT_VALID, Claims, claims_of, no_browsers, refusal, seal_claims
from emr_studio.controllers import Waker
from emr_studio.db import Database
from emr_studio.edge.decisions import DELETE, EdgeAnswer, EdgeRequest
from emr_studio.iam.sealing import Sealer
from emr_studio.network.model import GATEWAY_PORT

LIFETIME = dt.timedelta(hours=12)
PATH = "/_gateway/"
_PURPOSE = "emr:cluster-session-credentials"


class GatewayClaims(Claims, frozen=True):
    """`session` is the attachment whose gateway it opens."""

    session: str


@operation(
    "emr",
    "GetClusterSessionCredentials",
    checks=on_cluster("elasticmapreduce:GetClusterSessionCredentials"),
    read_only=False,
)
def get_cluster_session_credentials(context: Context, request: Request) -> Response:
    """Give credentials for kernels with a runtime role, whose gateway starts if it does not run; without, for Livy."""
    cluster, role_arn = inside(find(context, request)), request.get("ExecutionRoleArn")
    if cluster.target != Target.RUNNING or cluster.state not in USABLE:
        raise InvalidRequest(f"The cluster {cluster.id} is {cluster.state}; it must be RUNNING or WAITING.")
    expires = (context.now() + LIFETIME).replace(microsecond=0)
    user = context.caller.user_name or context.caller.session_name or "user"
    if role_arn:
        password = _for_kernels(context, cluster, role_arn, expires)
    else:
        password = livy.issue(context.port(Sealer), cluster, user, expires)
    return {"Credentials": {"UsernamePassword": {"Username": user, "Password": password}}, "ExpiresAt": expires}


def _for_kernels(context: Context, cluster: Cluster, role_arn: str, expires: dt.datetime) -> str:
    check_kernels_role(context.session, context.clock, cluster, role_arn)
    now, holder = context.now(), f"{context.caller.user_id}/{role_arn}"
    row = newest_attachment(context.session, cluster.id, holder)
    if row is None or row.state not in WANTED:
        user_id = context.caller.user_id
        row = new_attachment(context.session, cluster, role_arn, holder=holder, user_id=user_id, now=now)
        waker, session_id = context.port(Waker), row.id
        context.after_commit(lambda: waker.wake(KIND, session_id))
    row.expires_at = expires
    return seal(context.port(Sealer), GatewayClaims(row.id, expires=int(expires.timestamp())))


def seal(sealer: Sealer, claims: GatewayClaims) -> str:
    """The password that says this."""
    return seal_claims(sealer, claims, _PURPOSE)


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
        if no_browsers(request.headers):
            return refusal(403, "A kernel gateway is for Jupyter clients, not for pages.")
        cluster_id, _, rest = request.uri.removeprefix(PATH).partition("/")
        row = self._row(request)
        if row is None or row.cluster_id != cluster_id or row.purpose != Purpose.KERNELS:
            return refusal(401, NOT_VALID)
        if row.state in LIVING:
            headers = {"Authorization": f"token {row.gateway_token}", "Cookie": DELETE}
            return EdgeAnswer(upstream=f"{row.bind_ip}:{GATEWAY_PORT}", uri=f"/{rest}", headers=headers)
        if row.state in WANTED:
            return refusal(503, f"The kernel gateway is {row.state}. Try again in a moment.")
        return refusal(401, row.message or "The kernel gateway has ended.")

    def _row(self, request: EdgeRequest) -> SparkSession | None:
        claims = claims_of(request.headers, self._sealer, _PURPOSE, GatewayClaims, self._clock.now())
        if claims is None:
            return None
        with self._database.read() as session:
            return session.get(SparkSession, claims.session)
