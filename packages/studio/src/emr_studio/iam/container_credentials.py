"""`GET /_credentials`: what SDKs inside Workspaces, nodes and kernels ask (container credentials).

AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:<port>/_credentials
AWS_CONTAINER_AUTHORIZATION_TOKEN=<token of grant_role>

Each question is answered with a new session of the grant's role, narrowed by the grant's session policy;
it lives `credentials_seconds`, and no longer than the grant. The form of answers and errors is that of
ECS's and EKS's agents ("Container credential provider", AWS SDKs reference).
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from emr_studio.clock import Clock
from emr_studio.db import Database
from emr_studio.iam.condition_keys import iso
from emr_studio.iam.model import Role, RoleGrant
from emr_studio.iam.sealing import Sealer
from emr_studio.iam.services import find_grant
from emr_studio.iam.sessions import SessionOptions, TemporaryCredentials, issue_role_session

_NO_STORE = {"Cache-Control": "no-store"}
_DENIED = {"code": "AccessDenied", "message": "The authorization token is not valid."}


def container_credentials(
    database: Database, clock: Clock, sealer: Sealer, seconds: int = 900
) -> Callable[[Request], Response]:
    """Return the endpoint; Starlette runs it in a worker thread. `seconds`: the life of what it gives out."""

    def endpoint(request: Request) -> Response:
        token = request.headers.get("authorization", "").strip()
        with database.read() as session:
            found = find_grant(session, token) if token else None
            if found is None:
                return JSONResponse(_DENIED, 403, _NO_STORE)
            return JSONResponse(_shape(*_issue(sealer, clock, seconds, *found)), headers=_NO_STORE)

    return endpoint


def _issue(
    sealer: Sealer, clock: Clock, seconds: int, grant: RoleGrant, role: Role
) -> tuple[TemporaryCredentials, Role]:
    policies = (grant.session_policy,) if grant.session_policy else ()
    options = SessionOptions(policies=policies, grant=grant.token_hash)
    made = issue_role_session(sealer, role, grant.session_name, now=clock.now(), seconds=seconds, options=options)
    return made, role


def _shape(made: TemporaryCredentials, role: Role) -> dict[str, str]:
    return {
        "AccessKeyId": made.access_key_id,
        "SecretAccessKey": made.secret_access_key,
        "Token": made.session_token,
        "Expiration": iso(made.expiration),
        "RoleArn": role.arn,
        "AccountId": role.account_id,
    }
