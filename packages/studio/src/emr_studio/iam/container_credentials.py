"""`GET /_credentials`: what SDKs inside Workspaces, nodes and kernels ask (container credentials).

AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:<port>/_credentials
AWS_CONTAINER_AUTHORIZATION_TOKEN=<token of grant_role>
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from emr_studio.clock import Clock
from emr_studio.db import Database
from emr_studio.iam.decisions import iso
from emr_studio.iam.sealing import Sealer
from emr_studio.iam.services import find_grant
from emr_studio.iam.sessions import SessionOptions, issue_role_session

SESSION_SECONDS = 900
_NO_STORE = {"Cache-Control": "no-store"}


def container_credentials(database: Database, clock: Clock, sealer: Sealer) -> Callable[[Request], Response]:
    """Return the endpoint; Starlette runs it in a worker thread."""

    def endpoint(request: Request) -> Response:
        token = request.headers.get("authorization", "").strip()
        with database.read() as session:
            found = find_grant(session, token) if token else None
            if found is None:
                body = {"code": "AccessDenied", "message": "The authorization token is not valid."}
                return JSONResponse(body, 403, _NO_STORE)
            grant, role = found
            options = SessionOptions(policies=(grant.session_policy,) if grant.session_policy else ())
            made = issue_role_session(
                sealer, role, grant.session_name, now=clock.now(), seconds=SESSION_SECONDS, options=options
            )
        body = {
            "AccessKeyId": made.access_key_id,
            "SecretAccessKey": made.secret_access_key,
            "Token": made.session_token,
            "Expiration": iso(made.expiration),
            "RoleArn": role.arn,
        }
        return JSONResponse(body, headers=_NO_STORE)

    return endpoint
