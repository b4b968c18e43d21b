"""Who may pass to a session's Spark Connect server: the answer to the edge's question of kind `spark`.

The token of GetSessionEndpoint names the session, and the session's server is its alone: whatever
`session_id` or `user_id` a client writes into its messages, it finds no other session's Spark there. On
the way the token is replaced by the server's own, which no client ever has.

A client shows it as `Authorization: Bearer` (pyspark's `token=`) or as `X-Aws-Proxy-Auth`: pyspark sends
`token=` over TLS and to `localhost` only, any other parameter of its connection string always.
"""

from __future__ import annotations

import datetime as dt
import logging

from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import Headers

from emr_studio.clock import Clock
from emr_studio.clusters.sessions import tokens
from emr_studio.clusters.sessions.model import LIVING, SessionState, SparkSession
from emr_studio.db import Database
from emr_studio.edge.decisions import DELETE, EdgeAnswer, EdgeRequest
from emr_studio.iam.sealing import BadSeal, Sealer
from emr_studio.network.model import CONNECT_PORT

log = logging.getLogger(__name__)

PROXY_TOKEN = "X-Aws-Proxy-Auth"
NOTED = dt.timedelta(seconds=5)
"""That a session is used is noted so often at most."""
_UNAUTHENTICATED, _UNAVAILABLE = 16, 14  # gRPC's status codes


class SparkEdge:
    """The resolver of kind `spark`."""

    def __init__(self, database: Database, clock: Clock, sealer: Sealer) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer

    def __call__(self, request: EdgeRequest) -> EdgeAnswer:
        """Decide about one call."""
        now = self._clock.now()
        try:
            claims = tokens.read(self._sealer, token_of(request.headers))
        except BadSeal:
            return refusal(_UNAUTHENTICATED, "The token is missing or not valid. GetSessionEndpoint gives one.")
        if now.timestamp() >= claims.expires:
            return refusal(_UNAUTHENTICATED, "The token has expired. GetSessionEndpoint gives a new one.")
        with self._database.read() as session:
            row = session.get(SparkSession, claims.session)
        if row is None:
            return refusal(_UNAUTHENTICATED, "The session of this token does not exist.")
        if row.state not in LIVING:
            going = row.state in (SessionState.SUBMITTED, SessionState.STARTING)
            return refusal(_UNAVAILABLE if going else _UNAUTHENTICATED, f"The session {row.id} is {row.state}.")
        self._note_use(row, now)
        headers = {"Authorization": f"Bearer {row.connect_token}", PROXY_TOKEN: DELETE, "Cookie": DELETE}
        return EdgeAnswer(upstream=f"{row.bind_ip}:{CONNECT_PORT}", headers=headers)

    def _note_use(self, row: SparkSession, now: dt.datetime) -> None:
        if row.used_at is not None and now - row.used_at < NOTED:
            return
        try:
            with self._database.write() as session:
                session.get_one(SparkSession, row.id).used_at = now
        except SQLAlchemyError:
            log.warning("that %s is used could not be noted", row.id, exc_info=True)


def token_of(headers: Headers) -> str:
    """The token that a client shows; empty if it shows none."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else headers.get(PROXY_TOKEN, "")


def refusal(status: int, message: str) -> EdgeAnswer:
    """An answer of gRPC's form that has a status and nothing else."""
    headers = {"Grpc-Status": str(status), "Grpc-Message": message}
    return EdgeAnswer(200, content_type="application/grpc", response_headers=headers, final=True)
