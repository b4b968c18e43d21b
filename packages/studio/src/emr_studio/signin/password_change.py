"""A password that is right but must be changed before its owner may enter.

An administrator asks for it (`PasswordResetRequired`), or the account's password policy: the page then
shows fields for a new password and sends the old one again with it. As in AWS, the user needs
`iam:ChangePassword`, or a policy that lets all users change their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session
from starlette.responses import Response

from emr_studio.aws.context import Caller, Check, RequestInfo
from emr_studio.aws.errors import AccessDenied
from emr_studio.clock import Clock
from emr_studio.db import Database
from emr_studio.iam import password_policy
from emr_studio.iam.condition_keys import Circumstances
from emr_studio.iam.errors import PasswordPolicyViolation
from emr_studio.iam.password_policy import PasswordState
from emr_studio.signin.pages import json_response

REQUIRED = "PasswordChangeRequired"
VIOLATION = "PasswordPolicyViolation"
_EXPIRED = "Your password has expired. Ask your administrator to set a new one."
_CHANGE = "You must choose a new password to sign in."
_MAY_NOT = "You must choose a new password, but you are not authorized to perform iam:ChangePassword."


@dataclass(frozen=True)
class PasswordChange:
    """Decides at a sign-in whether the password is good enough, and takes the new one."""

    database: Database
    clock: Clock
    region: str

    def settle(
        self,
        session: Session,
        caller: Caller,
        new_password: str,
        client: RequestInfo,
        changed: Callable[[], None] = lambda: None,
    ) -> Response | None:
        """None: the caller may go on, with the new password if one was due. Else the answer that says why not.

        `changed` is called once the new password is kept.
        """
        state = password_policy.state(session, caller, self.clock.now())
        if state is PasswordState.GOOD:
            return None
        if state is PasswordState.EXPIRED:
            return _refused("PasswordExpired", _EXPIRED)
        if not self._may_change(session, caller, client):
            return _refused("AccessDenied", _MAY_NOT)
        if not new_password:
            return _refused(REQUIRED, _CHANGE)
        refusal = self._take(caller, new_password)
        if refusal is None:
            changed()
        return refusal

    def note(self, session: Session, caller: Caller) -> None:
        """Remember when the password was last used (in a writing session)."""
        password_policy.note_sign_in(session, caller, self.clock.now())

    def _may_change(self, session: Session, caller: Caller, client: RequestInfo) -> bool:
        circumstances = Circumstances(self.clock.now(), self.region, client)
        try:
            password_policy.refuse_change(session, caller, Check("iam:ChangePassword", caller.arn), circumstances)
        except AccessDenied:
            return False
        return True

    def _take(self, caller: Caller, new_password: str) -> Response | None:
        try:
            with self.database.write() as session:
                password_policy.set_own(session, caller, new_password, self.clock.now(), different=True)
        except PasswordPolicyViolation as error:
            return _refused(VIOLATION, error.message, 400)
        return None


def _refused(code: str, message: str, status: int = 403) -> Response:
    return json_response({"code": code, "message": message}, status)
