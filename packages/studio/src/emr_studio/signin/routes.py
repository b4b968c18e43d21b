"""Sign-in's addresses.

    POST   /_signin            {accountId?, userName, password, newPassword?, mfaCode?}   console and Studio origins
    GET    /_signin            who is signed in here, or 401
    DELETE /_signin            sign out
    GET    /_signin/presigned  ?token=   a link of CreateStudioPresignedUrl (Studio origins)
    GET    /_studio/open       ?token=   a link of OpenEditorInConsole or of an application UI (their origins)
    GET    /_studio/signout    end the Workspace origin's session, back to the Studio

All answers are alike for an unknown account, an unknown user and a wrong password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial

import anyio
import msgspec
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from emr_studio.aws.context import Caller, RequestInfo
from emr_studio.bodies import short_body
from emr_studio.db import Database
from emr_studio.iam.services import verify_password
from emr_studio.settings import Settings
from emr_studio.signin.access import Access
from emr_studio.signin.attempts import Attempts
from emr_studio.signin.origins import Kind, Origin, from_own_page, parse_host, source_ip
from emr_studio.signin.pages import (
    json_response,
    page,
    page_response,
    redirect,
    refused,
    with_cookie,
    without_cookie,
)
from emr_studio.signin.password_change import PasswordChange
from emr_studio.signin.presign import OPEN_PATH, STUDIO_PATH, Presigned
from emr_studio.signin.second_factor import SecondFactor
from emr_studio.signin.sessions import ConsoleSessions, SignedIn, cookie_of
from emr_studio.signin.throttle import Throttle
from emr_studio.studios.model import Studio
from emr_studio.workspaces.model import edge_target

WRONG = "Your authentication information is incorrect. Please try again."
NOT_ASSIGNED = "You are not assigned to this Studio. Ask its administrator for access."
_MAX_BODY = 8192
_LONGEST_NAME = 64
# One check of a password takes 64 MiB and a core, by design; the rest of the API goes on meanwhile.
_AT_ONCE = 2
_OPEN_WAIT_SECONDS = 8.0
_OPEN_POLL_SECONDS = 0.04
_ACCOUNT = re.compile(r"\d{12}")


class Credentials(msgspec.Struct, rename="camel"):
    """Body of `POST /_signin`."""

    user_name: str
    password: str
    account_id: str = ""
    new_password: str = ""
    """Where the password must be changed first."""
    mfa_code: str = ""
    """Of users with an MFA device."""


@dataclass(frozen=True)
class SignIn:
    """Sign-in of one installation; `routes()` are for the control plane."""

    settings: Settings
    database: Database
    sessions: ConsoleSessions
    presigned: Presigned
    throttle: Throttle
    attempts: Attempts
    passwords: PasswordChange
    second_factor: SecondFactor
    at_once: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(_AT_ONCE))

    def routes(self) -> list[BaseRoute]:
        """The addresses above."""
        return [
            Route("/_signin", self._sign_in, methods=["POST"]),
            Route("/_signin", self._who, methods=["GET"]),
            Route("/_signin", self._sign_out, methods=["DELETE"]),
            Route(STUDIO_PATH, self._enter_studio, methods=["GET"]),
            Route(OPEN_PATH, self._open_workspace, methods=["GET"]),
            Route("/_studio/signout", self._leave_workspace, methods=["GET", "POST"]),
        ]

    # Sign in, who, sign out.

    async def _sign_in(self, request: Request) -> Response:
        origin = self._origin(request, Kind.CONSOLE, Kind.STUDIO)
        if origin is None:
            return refused(404, "There is no sign-in at this address.")
        if not from_own_page(request.headers, origin):
            return refused(403, "Sign in on the studio's own page.")
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return refused(415, "Send the credentials as application/json.")
        try:
            credentials = msgspec.json.decode(await short_body(request, _MAX_BODY) or b"", type=Credentials)
        except msgspec.DecodeError:
            return refused(400, "The credentials cannot be read: send userName and password.")
        client = source_ip(request.headers), request.headers.get("user-agent", "")
        check = partial(self._check_password, origin, credentials, client)
        return await anyio.to_thread.run_sync(check, limiter=self.at_once)

    def _check_password(self, origin: Origin, given: Credentials, client: tuple[str, str]) -> Response:
        source_ip = client[0]
        account = given.account_id or self.settings.account_id
        key = (origin.resource_id or "", account[:12], given.user_name.lower()[:_LONGEST_NAME], source_ip)
        if wait := self.throttle.wait_seconds(*key):
            return refused(429, f"Too many failed attempts. Try again in {wait} s.", {"Retry-After": str(wait)})
        with self.database.read() as session:
            caller = self._verified(session, origin, given)
            typed = (self._account(session, origin, given) or account, given.user_name)
            note = partial(self.attempts.note, session, origin.url, typed, client)
            if caller is None:
                self.throttle.failed(*key)
                note(caller=None)
                return refused(401, WRONG)
            self.throttle.succeeded(*key)
            if not self._access.may_enter(session, caller, origin, source_ip):
                note(caller=None, error="Not assigned to this Studio")
                return refused(403, NOT_ASSIGNED)
            info = RequestInfo(source_ip, client[1], secure=origin.scheme == "https", host=origin.host)
            # Whether a new password is due is said first: with it comes the code, which is good once.
            due = None if given.new_password else self.passwords.settle(session, caller, "", info)
            shown = due or self.second_factor.show(session, caller, given.mfa_code)
            if isinstance(shown, Response):
                note(caller=None, error="The password must be changed" if due else "MFA code required or wrong")
                return shown
            caller = shown
            changed = partial(note, caller=caller, event_name="PasswordUpdated")
            if refusal := self.passwords.settle(session, caller, given.new_password, info, changed):
                note(caller=None, error="The password must be changed")
                return refusal
            note(caller=caller)
        with self.database.write() as session:
            self.passwords.note(session, caller)
            signed_in = self.sessions.create(session, caller, origin)
            description = self._describe(session, signed_in)
        return with_cookie(json_response(description), signed_in.token)

    def _verified(self, session: Session, origin: Origin, given: Credentials) -> Caller | None:
        account_id = self._account(session, origin, given)
        caller = verify_password(session, account_id, given.user_name, given.password)
        return None if caller is None else self._access.refresh(session, caller)

    def _account(self, session: Session, origin: Origin, given: Credentials) -> str:
        """The account to look in; one that does not exist where the form's cannot be meant."""
        if origin.kind == Kind.STUDIO:
            studio = session.get(Studio, origin.resource_id)
            own = studio.account_id if studio else ""
            return own if given.account_id in ("", own) else ""
        account_id = given.account_id or self.settings.account_id
        return account_id if _ACCOUNT.fullmatch(account_id) else ""

    async def _who(self, request: Request) -> Response:
        return await run_in_threadpool(self._who_now, request)

    def _who_now(self, request: Request) -> Response:
        origin = self._origin(request, Kind.CONSOLE, Kind.STUDIO)
        if origin is None:
            return refused(404, "There is no sign-in at this address.")
        with self.database.read() as session:
            found = self.sessions.find(session, origin, cookie_of(request.headers))
            if found is None:
                return refused(401, "Nobody is signed in here.")
            if not self._access.may_enter(session, found.caller, origin, source_ip(request.headers)):
                return refused(401, NOT_ASSIGNED)
            return json_response(self._describe(session, found))

    def _describe(self, session: Session, signed_in: SignedIn) -> dict[str, object]:
        caller, origin = signed_in.caller, signed_in.origin
        described: dict[str, object] = {
            "userName": caller.user_name or caller.session_name or ("root" if caller.kind == "root" else ""),
            "accountId": caller.account_id,
            "arn": caller.arn,
            "csrfToken": signed_in.csrf_token,
            "region": self.settings.region,
        }
        studio = session.get(Studio, origin.resource_id) if origin.kind == Kind.STUDIO else None
        if studio is not None:
            described["studio"] = {"studioId": studio.id, "name": studio.name, "url": studio.url}
        return described

    async def _sign_out(self, request: Request) -> Response:
        # No CSRF token: another origin cannot send DELETE without asking first, and is never allowed to.
        await run_in_threadpool(self._end, cookie_of(request.headers))
        return without_cookie(json_response({}))

    def _end(self, token: str | None) -> None:
        with self.database.write() as session:
            self.sessions.end(session, token)

    # Links.

    async def _enter_studio(self, request: Request) -> Response:
        origin = self._origin(request, Kind.STUDIO)
        return await run_in_threadpool(self._use_link, request, origin)

    async def _open_workspace(self, request: Request) -> Response:
        origin = self._origin(request, Kind.WORKSPACE, Kind.APP_UI)
        response = await run_in_threadpool(self._use_link, request, origin)
        if response.status_code == 302 and origin is not None and origin.kind == Kind.WORKSPACE:
            await self._until_running(origin)
        return response

    def _use_link(self, request: Request, origin: Origin | None) -> Response:
        if request.method != "GET":
            # A HEAD of a chat program's preview must not use the link up.
            return Response(status_code=405)
        if origin is None:
            return page_response(404, page("Not found", "There is nothing at this address."))
        with self.database.write() as session:
            link = self.presigned.use(session, origin, request.query_params.get("token", ""))
            caller = self._access.refresh(session, link.caller) if link else None
            if link is None or caller is None:
                return self._bad_link(origin)
            if origin.kind == Kind.WORKSPACE and caller.kind == "root":
                return page_response(403, page("403: Forbidden", "The root user cannot use Workspaces."))
            if not self._access.may_enter(session, caller, origin, source_ip(request.headers)):
                return page_response(403, page("Access denied", "Your permissions no longer allow this."))
            # Who opens a Workspace without access to its Studio (an administrator, by the CLI) is none of its users.
            shut_out = self._access.is_shut_out(session, caller, link.studio_id, origin, source_ip(request.headers))
            signed_in = self.sessions.create(session, caller, origin, None if shut_out else link.studio_id)
            return with_cookie(redirect(link.landing), signed_in.token)

    def _bad_link(self, origin: Origin) -> Response:
        text = "This link was used already, or is older than a minute. Open it again from the Studio."
        link = (self.settings.endpoint_url, "Go to the console") if origin.kind != Kind.STUDIO else ("/", "Sign in")
        return page_response(403, page("This link is no longer valid", text, link=link))

    async def _until_running(self, origin: Origin) -> None:
        """Hold the answer while the Workspace starts, so that the browser opens it in one go."""
        with anyio.move_on_after(_OPEN_WAIT_SECONDS):
            while not await run_in_threadpool(self._has_address, origin):
                await anyio.sleep(_OPEN_POLL_SECONDS)

    def _has_address(self, origin: Origin) -> bool:
        with self.database.read() as session:
            target = edge_target(session, origin.resource_id or "")
        return target is None or bool(target.address)

    async def _leave_workspace(self, request: Request) -> Response:
        origin = self._origin(request, Kind.WORKSPACE, Kind.APP_UI)
        if origin is None or not from_own_page(request.headers, origin):
            return refused(403, "Sign out from the Workspace's own page.")
        url = await run_in_threadpool(self._leave, origin, cookie_of(request.headers))
        return without_cookie(redirect(url))

    def _leave(self, origin: Origin, token: str | None) -> str:
        with self.database.write() as session:
            found = self.sessions.find(session, origin, token)
            self.sessions.end(session, token)
        return self.settings.studio_url(found.studio_id) if found and found.studio_id else self.settings.endpoint_url

    # Small things.

    @property
    def _access(self) -> Access:
        return self.sessions.access

    def _origin(self, request: Request, *kinds: Kind) -> Origin | None:
        origin = parse_host(self.settings, request.headers.get("host", ""))
        return origin if origin is not None and origin.kind in kinds else None
