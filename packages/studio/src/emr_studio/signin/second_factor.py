"""The code of an MFA device at sign-in: asked of whoever has one, once the password was right."""

from __future__ import annotations

import dataclasses

from sqlalchemy.orm import Session
from starlette.responses import Response

from emr_studio.aws.context import Caller
from emr_studio.clock import Clock
from emr_studio.db import Database
from emr_studio.iam import mfa
from emr_studio.iam.sealing import Sealer
from emr_studio.signin.pages import json_response

REQUIRED = "MfaCodeRequired"
WRONG = "MfaCodeWrong"
_ASK = "Enter the code that your MFA device shows."
_NOT_RIGHT = "The code is not right, or was used before. Wait for the next one."
_TOO_MANY = "Too many wrong codes. Wait a moment, then enter the next one."


@dataclasses.dataclass(frozen=True)
class SecondFactor:
    """Asks for a code and uses it up."""

    database: Database
    clock: Clock
    sealer: Sealer

    def show(self, session: Session, caller: Caller, code: str) -> Caller | Response:
        """The caller, who showed a code if she has a device; else the answer that asks for one."""
        if caller.kind != "user" or not mfa.devices_of(session, caller.user_id):
            return caller
        if not code:
            return _refused(REQUIRED, _ASK)
        now = self.clock.now()
        # A transaction of its own: the code is used up, or the failure counted, whatever follows.
        with self.database.write() as writing:
            outcome = mfa.use_any_code(writing, self.sealer, caller.user_id, code.strip(), now=now)
        if outcome is mfa.Outcome.RIGHT:
            return dataclasses.replace(caller, mfa_at=now)
        return _refused(WRONG, _TOO_MANY if outcome is mfa.Outcome.TOO_MANY else _NOT_RIGHT)


def _refused(code: str, message: str) -> Response:
    return json_response({"code": code, "message": message}, 403)
