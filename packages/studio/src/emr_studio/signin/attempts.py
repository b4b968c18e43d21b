"""Sign-ins on their way into the audit trail."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy.orm import Session

from emr_studio.aws.context import Caller
from emr_studio.clock import Clock
from emr_studio.iam.entities import find_by_name
from emr_studio.iam.model import Account, User
from emr_studio.iam.services import ROOT_NAME
from emr_studio.settings import Settings
from emr_studio.trail.signin_record import FAILED, ConsoleSignIn


class SignInRecorder(Protocol):
    """Keeps the audit trail; `trail.recorder` fulfils it."""

    def record_sign_in(self, sign_in: ConsoleSignIn) -> None: ...


class Attempts:
    """Says of each attempt to sign in with a name and a password what became of it."""

    def __init__(self, settings: Settings, clock: Clock, recorder: SignInRecorder | None) -> None:
        self._settings = settings
        self._clock = clock
        self._recorder = recorder

    def note(
        self,
        session: Session,
        url: str,
        given: tuple[str, str],
        client: tuple[str, str],
        *,
        caller: Caller | None,
        error: str = FAILED,
        event_name: str = "ConsoleLogin",
    ) -> None:
        """Record one attempt, before it is answered.

        Args:
            given: account and user name, as typed.
            client: its address and its user agent.
            caller: who is signed in now; None if it failed, because of `error`.
            event_name: `PasswordUpdated` where a new password was taken on the way.
        """
        if self._recorder is None:
            return
        account_id, name = given
        if session.get(Account, account_id) is None:
            account_id = self._settings.account_id
        known = name == ROOT_NAME or find_by_name(session, User, account_id, name) is not None
        attempt = ConsoleSignIn(
            time=self._clock.now(),
            account_id=caller.account_id if caller else account_id,
            url=url,
            source_ip=client[0],
            user_agent=client[1],
            caller=caller,
            known_name=name if known else None,
            error=error,
            event_name=event_name,
        )
        self._recorder.record_sign_in(attempt)
