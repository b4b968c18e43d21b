"""Sign-in put together, for `app.py` and for tests.

front = compose(settings, database, clock, authorizer)
routes += front.sign_in.routes()
decisions.register("workspace", front.workspace_edge); decisions.register("appui", front.app_ui_edge)
ports[Presigner] = front.presigned; sessions = front.sessions (aws.auth.SessionAuthenticator)
the agent's WorkspaceSpec.identity_public_key = front.issuer.public_key_pem
"""

from __future__ import annotations

from dataclasses import dataclass

from emr_studio.aws.context import Authorizer
from emr_studio.clock import Clock
from emr_studio.db import Database
from emr_studio.edge.identity import IdentityIssuer
from emr_studio.iam.sealing import Sealer
from emr_studio.settings import Settings
from emr_studio.signin.access import Access
from emr_studio.signin.app_ui_edge import AppUiEdge
from emr_studio.signin.attempts import Attempts, SignInRecorder
from emr_studio.signin.password_change import PasswordChange
from emr_studio.signin.presign import Presigned
from emr_studio.signin.routes import SignIn
from emr_studio.signin.second_factor import SecondFactor
from emr_studio.signin.sessions import ConsoleSessions
from emr_studio.signin.throttle import Throttle
from emr_studio.signin.workspace_edge import WorkspaceEdge


@dataclass(frozen=True)
class Front:
    """All that sign-in gives to the rest."""

    sign_in: SignIn
    sessions: ConsoleSessions
    presigned: Presigned
    workspace_edge: WorkspaceEdge
    app_ui_edge: AppUiEdge
    issuer: IdentityIssuer


def compose(
    settings: Settings,
    database: Database,
    clock: Clock,
    authorizer: Authorizer,
    *,
    recorder: SignInRecorder | None = None,
) -> Front:
    """Put sign-in together; `recorder` keeps the audit trail of it."""
    sessions = ConsoleSessions(settings, database, clock, Access(settings, clock, authorizer))
    presigned = Presigned(settings, clock)
    issuer = IdentityIssuer(settings)
    attempts = Attempts(settings, clock, recorder)
    passwords = PasswordChange(database, clock, settings.region)
    second_factor = SecondFactor(database, clock, Sealer.load(settings.keys_dir))
    sign_in = SignIn(settings, database, sessions, presigned, Throttle(clock), attempts, passwords, second_factor)
    edge = WorkspaceEdge(settings, database, clock, sessions, issuer)
    app_uis = AppUiEdge(settings, database, clock, sessions)
    return Front(sign_in, sessions, presigned, edge, app_uis, issuer)
