"""Who is asking: every request carries the edge's signed token, or it goes no further.

The gate stands before Jupyter's own application, so that nothing, not even a static file or a
handler of an extension, answers a request without one. The token is short-lived and names this
Workspace as its audience, so a token seen by another Workspace is of no use here.
"""

from __future__ import annotations

import hmac
import json
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from jupyter_server.auth.identity import IdentityProvider, User
from tornado.httputil import HTTPMessageDelegate, HTTPServerRequest
from tornado.routing import Router
from tornado.web import Application, RequestHandler

from emr_studio_workspace.presence import Presence

HEADER = "X-Emr-Studio-Identity"
AGENT_HEADER = "X-Emr-Studio-Agent"
RELEASE_PATH = "/api/emr-studio/release"
ACTIVITY_PATH = "/api/emr-studio/activity"
GIT_PATH = "/api/emr-studio/git"
AGENT_PATHS = (RELEASE_PATH, ACTIVITY_PATH, GIT_PATH)
"""The addresses that the agent may use, and nobody else."""
_ISSUER = "emr-studio"
_ALGORITHM = "EdDSA"
# Jupyter calls every handler's user "anonymous" where none is set; a private name cannot clash.
_ATTRIBUTE = "emr_studio_user"


class Refused(Exception):
    """Why a request may not come in; `str()` is shown to the caller."""


class Verifier:
    """Checks identity tokens for one Workspace (signature, issuer, audience, expiry)."""

    def __init__(self, public_key_pem: str, audience: str, agent_secret: str = "") -> None:
        self._agent_secret = agent_secret
        self._key = OKPKey.import_key(public_key_pem)
        self._rules = jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": _ISSUER},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    def user(self, token: str) -> User:
        """The user that the token names.

        Raises:
            Refused: no valid token for this Workspace, or the account's root user.
        """
        if not token:
            raise Refused("Open this Workspace from its Studio.")
        try:
            claims = jwt.decode(token, self._key, algorithms=[_ALGORITHM]).claims
            self._rules.validate(claims)
        except (JoseError, ValueError, TypeError) as error:
            raise Refused("The identity token is not valid for this Workspace.") from error
        return _user(claims)

    def agent(self, secret: str) -> User:
        """The host agent, if it knows the secret.

        Raises:
            Refused: it does not.
        """
        if not self._agent_secret or not hmac.compare_digest(secret.encode(), self._agent_secret.encode()):
            raise Refused("Only the host agent may do this.")
        return User(username="agent", name="Host agent", display_name="Host agent")


def _user(claims: dict[str, Any]) -> User:
    if str(claims.get("arn", "")).endswith(":root"):
        raise Refused("The root user of an account cannot use Workspaces.")
    name = str(claims.get("name") or claims["sub"])
    return User(username=str(claims["sub"]), name=name, display_name=name, initials=name[:2].upper())


class IdentityGate(Router):
    """Lets through what has a valid identity; refuses all else with 403."""

    def __init__(self, application: Application, verifier: Verifier, presence: Presence) -> None:
        self._application = application
        self._verifier = verifier
        self._presence = presence

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate:
        """Tornado's question for each request: who handles it."""
        try:
            user = self._user(request)
        except Refused as refusal:
            arguments = {"reason_text": str(refusal)}
            return self._application.get_handler_delegate(request, _RefusedHandler, arguments)
        setattr(request, _ATTRIBUTE, user)
        return self._application.find_handler(request, **kwargs)

    def _user(self, request: HTTPServerRequest) -> User:
        if request.path in AGENT_PATHS:
            return self._verifier.agent(request.headers.get(AGENT_HEADER, ""))
        tokens = request.headers.get_list(HEADER)
        # Two headers are an attempt to confuse somebody.
        token = tokens[0] if len(tokens) == 1 else ""
        user = self._verifier.user(token)
        self._presence.opened(request, token)
        return user


class _RefusedHandler(RequestHandler):
    def initialize(self, reason_text: str) -> None:
        self._reason_text = reason_text

    def check_xsrf_cookie(self) -> None:
        """The answer is a refusal whatever the cookie says."""

    def prepare(self) -> None:
        self.set_status(403)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps({"message": self._reason_text, "reason": None}))


class WorkspaceIdentityProvider(IdentityProvider):
    """Hands Jupyter the user that the gate has verified."""

    def get_user(self, handler: RequestHandler) -> User | None:
        """The verified user of this request."""
        user: User | None = getattr(handler.request, _ATTRIBUTE, None)
        return user

    @property
    def auth_enabled(self) -> bool:
        """There is always a user; keeps Jupyter from warning about an open server."""
        return True

    @property
    def login_available(self) -> bool:
        """Sign-in is the Studio's, not this server's."""
        return False
