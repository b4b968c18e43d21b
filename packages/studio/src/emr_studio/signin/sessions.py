"""Console sessions: made at sign-in, found by cookie, ended by 15 idle minutes.

A session belongs to one origin. Its cookie (`__Host-emr-studio`: Secure, HttpOnly, host-only) holds
256 random bits of which the database keeps the hash. A new one is made at every sign-in, so a cookie
that somebody planted beforehand is worth nothing. The caller is read anew at each use: a deleted user
or a changed policy acts at once.
"""

from __future__ import annotations

import datetime as dt
import hmac
import logging
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import delete, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from starlette.requests import cookie_parser

from emr_studio.aws.context import Caller
from emr_studio.aws.errors import AccessDenied
from emr_studio.clock import Clock
from emr_studio.db import Database
from emr_studio.settings import Settings
from emr_studio.signin.access import Access
from emr_studio.signin.model import ConsoleSession, caller_facts, caller_of, hash_token, new_token
from emr_studio.signin.origins import Kind, Origin, parse_host, source_ip

log = logging.getLogger(__name__)

COOKIE = "__Host-emr-studio"
COOKIE_ATTRIBUTES = "; Path=/; Secure; HttpOnly; SameSite=Lax"
CSRF_HEADER = "x-csrf-token"
TOUCH_SECONDS = 10
"""A session's last use is written down at most so often; it may end that much too early."""
LONGEST = dt.timedelta(hours=12)
"""A session ends then however busy it is, as AWS's console sessions do."""


@dataclass(frozen=True)
class SignedIn:
    """A session that is valid now, with its caller as he is now."""

    token: str
    origin: Origin
    caller: Caller
    studio_id: str | None

    @property
    def csrf_token(self) -> str:
        """Known to the page alone: other origins can send the cookie, but not read this."""
        return csrf_token(self.token)


def csrf_token(token: str) -> str:
    """Derived from the session's token, so it needs no column and changes with the session."""
    return hmac.new(token.encode(), b"csrf", sha256).hexdigest()


def cookie_of(headers: Mapping[str, str]) -> str | None:
    """The session's token of a request."""
    return cookie_parser(headers.get("cookie", "")).get(COOKIE) or None


class ConsoleSessions:
    """Makes, finds and ends sessions; `aws.auth.SessionAuthenticator` for the API."""

    def __init__(self, settings: Settings, database: Database, clock: Clock, access: Access) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self.access = access
        # Its own thread: a request in a writing transaction holds SQLite's one write lock.
        self._toucher = ThreadPoolExecutor(1, thread_name_prefix="session-touch")
        self._touched: dict[str, dt.datetime] = {}

    def create(self, session: Session, caller: Caller, origin: Origin, studio_id: str | None = None) -> SignedIn:
        """Make a session in `session` (a writing one), and drop those that are over for good.

        One that is only idle lets nobody in, but says who has a Workspace's websockets open (`presence.py`).
        """
        now = self._clock.now()
        session.execute(delete(ConsoleSession).where(ConsoleSession.created < now - LONGEST))
        token = new_token()
        row = ConsoleSession(
            token_hash=hash_token(token),
            origin=origin.host,
            account_id=caller.account_id,
            caller=caller_facts(caller),
            studio_id=origin.resource_id if origin.kind == Kind.STUDIO else studio_id,
            resource_id=origin.resource_id,
            created=now,
            last_used=now,
        )
        session.add(row)
        session.flush()
        return SignedIn(token, origin, caller, row.studio_id)

    def find(self, session: Session, origin: Origin, token: str | None) -> SignedIn | None:
        """The session of that cookie at that origin, if it lives and its user still is."""
        row = session.get(ConsoleSession, hash_token(token)) if token else None
        if token is None or row is None or row.origin != origin.host:
            return None
        now = self._clock.now()
        if now - max(row.last_used, self._touched.get(row.token_hash, row.last_used)) > self._idle:
            return None
        found = self.as_now(session, row, origin, token)
        if found is not None:
            self._touch(row, now)
        return found

    def as_now(self, session: Session, row: ConsoleSession, origin: Origin, token: str = "") -> SignedIn | None:
        """The session of `row` at `origin`, however idle; None if its time is over or its user is gone."""
        if self._clock.now() - row.created > LONGEST:
            return None
        caller = self.access.refresh(session, caller_of(row.caller))
        return None if caller is None else SignedIn(token, origin, caller, row.studio_id)

    def end(self, session: Session, token: str | None) -> None:
        """Sign out (in a writing session); an unknown token is fine."""
        if token:
            session.execute(delete(ConsoleSession).where(ConsoleSession.token_hash == hash_token(token)))

    def authenticate(self, session: Session, headers: Mapping[str, str]) -> Caller | None:
        """The caller of an API request of a console page; None if no session says who it is.

        Raises:
            AccessDenied: the session is good, but the request does not show its CSRF token, or the
                caller may no longer be in this Studio.
        """
        origin = parse_host(self._settings, headers.get("host", ""))
        if origin is None or origin.kind not in (Kind.CONSOLE, Kind.STUDIO):
            return None
        found = self.find(session, origin, cookie_of(headers))
        if found is None:
            return None
        if not hmac.compare_digest(headers.get(CSRF_HEADER, "").encode(), found.csrf_token.encode()):
            raise AccessDenied("The request does not carry this session's X-Csrf-Token.")
        if not self.access.may_enter(session, found.caller, origin, source_ip(headers)):
            raise AccessDenied("You are not assigned to this Studio.")
        return found.caller

    @property
    def _idle(self) -> dt.timedelta:
        return dt.timedelta(seconds=self._settings.session_idle_seconds)

    def _touch(self, row: ConsoleSession, now: dt.datetime) -> Future[None] | None:
        last = max(row.last_used, self._touched.get(row.token_hash, row.last_used))
        if (now - last).total_seconds() < TOUCH_SECONDS:
            return None
        self._touched = {key: when for key, when in self._touched.items() if now - when < self._idle}
        self._touched[row.token_hash] = now
        return self._toucher.submit(self._write_touch, row.token_hash, now)

    def _write_touch(self, token_hash: str, now: dt.datetime) -> None:
        try:
            with self._database.write() as session:
                statement = update(ConsoleSession).where(ConsoleSession.token_hash == token_hash)
                session.execute(statement.values(last_used=now))
        except SQLAlchemyError:
            log.exception("a session's last use could not be written")

    def close(self) -> None:
        """Write what is still to be written, and stop."""
        self._toucher.shutdown(wait=True)
