"""Credentials for a cluster's Livy, and the edge's question about them (kind `livy`).

`GetClusterSessionCredentials` without a role gives a user name and a password for `<endpoint>/_livy/<cluster>`. On the
way the edge puts in their place what opens Livy's own port, which no client ever has.
"""

from __future__ import annotations

import base64
import datetime as dt

from emr_studio.aws.errors import InvalidRequest
from emr_studio.clock import Clock
from emr_studio.clusters.model import USABLE, Cluster, Target, primary_of
from emr_studio.clusters.nodes import has_livy
from emr_studio.clusters.sessions.passwords import NOT_VALID, Claims, claims_of, no_browsers, refusal, seal_claims
from emr_studio.clusters.ui_keys import livy_token
from emr_studio.db import Database
from emr_studio.edge.decisions import DELETE, EdgeAnswer, EdgeRequest
from emr_studio.iam.sealing import Sealer
from emr_studio.network.model import LIVY_PORT

PATH = "/_livy/"
_PURPOSE = "emr:livy-credentials"


class LivyClaims(Claims, frozen=True):
    """`user` is whom Livy shows as owner."""

    cluster: str
    user: str


def issue(sealer: Sealer, cluster: Cluster, user: str, expires: dt.datetime) -> str:
    """A password for the cluster's Livy.

    Raises:
        InvalidRequest: it has none.
    """
    if not has_livy(cluster):
        why = f"Livy is not among the applications of the cluster {cluster.id}."
        raise InvalidRequest(f"ExecutionRoleArn is required: without it the credentials are for Livy, and {why}")
    claims = LivyClaims(cluster.id, user, expires=int(expires.timestamp()))
    return seal_claims(sealer, claims, _PURPOSE)


class LivyEdge:
    """The resolver of kind `livy`: who may pass to a cluster's Livy. For programs, not for pages."""

    def __init__(self, database: Database, clock: Clock, sealer: Sealer) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer

    def __call__(self, request: EdgeRequest) -> EdgeAnswer:
        """Decide about one request."""
        if no_browsers(request.headers):
            return refusal(403, "Livy is for programs, not for pages.")
        cluster_id, _, rest = request.uri.removeprefix(PATH).partition("/")
        claims = claims_of(request.headers, self._sealer, _PURPOSE, LivyClaims, self._clock.now())
        if claims is None or claims.cluster != cluster_id:
            return refusal(401, NOT_VALID)
        with self._database.read() as session:
            cluster = session.get_one(Cluster, cluster_id)
            address = primary_of(session, cluster_id).bind_ip
        if cluster.target != Target.RUNNING or cluster.state not in USABLE:
            return refusal(503, f"The cluster {cluster_id} is {cluster.state}.")
        shown = base64.b64encode(f"{claims.user}:{livy_token(cluster.secret)}".encode()).decode()
        headers = {"Authorization": f"Basic {shown}", "Cookie": DELETE}
        return EdgeAnswer(upstream=f"{address}:{LIVY_PORT}", uri=f"/{rest}", headers=headers)
