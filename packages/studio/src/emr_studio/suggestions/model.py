"""The model's server: asked by HTTP, for so long and for so much, by so many at a time."""

from __future__ import annotations

import json
import logging
import time
from threading import BoundedSemaphore
from typing import Any

import httpx

from emr_studio.clock import Clock
from emr_studio.loopback import certificates
from emr_studio.settings import Settings
from emr_studio.suggestions.errors import ModelAway, Throttled
from emr_studio.suggestions.prompt import IllFormed, Question, address, body, suggestions
from emr_studio.suggestions.turns import Turns

MOST_BYTES = 256 * 1024
"""Of an answer."""
AT_A_TIME = 8
"""Each holds a thread of the control plane while the model thinks."""
_ADVICE = "If that does not pass, an administrator looks at"
log = logging.getLogger(__name__)


class CodeModel:
    """What `suggestions_url` names; safe to be used by many threads."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._turns = Turns(clock, settings.suggestions_per_minute)
        self._free = BoundedSemaphore(AT_A_TIME)

    def take_turn(self, account_id: str, user_id: str) -> None:
        """Count one question of a user's.

        Raises:
            Throttled: if that is more than `suggestions_per_minute`.
        """
        if wait := self._turns.take(account_id, user_id):
            raise Throttled(f"You have asked for many suggestions. Ask again in {wait} s.")

    def suggest(self, question: Question, count: int) -> list[str]:
        """Ask the model; returns what it suggests, `suggestions_count` and `count` at most, perhaps nothing.

        Raises:
            Throttled: if too many are being asked for, here or there.
            ModelAway: if the server is not there, too slow, refuses, or answers in another form.
        """
        count = min(count, self._settings.suggestions_count)
        if not self._free.acquire(blocking=False):
            raise Throttled(f"{AT_A_TIME} suggestions are being made already. Ask again in a moment.")
        try:
            status, answer = self._ask(question, count)
        finally:
            self._free.release()
        if status != httpx.codes.OK:
            raise self._refused(status, answer)
        try:
            return suggestions(self._settings, question, json.loads(answer), count)
        except (ValueError, RecursionError) as error:
            what = str(error) if isinstance(error, IllFormed) else "it is not JSON"
            raise self._away(f"answered in another form: {what}", "suggestions_url and suggestions_api") from error

    def _ask(self, question: Question, count: int) -> tuple[int, bytes]:
        """Status and body."""
        settings = self._settings
        deadline = time.monotonic() + settings.suggestions_timeout_seconds
        try:
            client = httpx.Client(verify=certificates(), timeout=settings.suggestions_timeout_seconds)
            with client, client.stream("POST", address(settings), **self._request(question, count)) as reply:
                return reply.status_code, self._read(reply, deadline)
        except httpx.TimeoutException as error:
            raise self._slow() from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise self._away(f"cannot be reached ({type(error).__name__})", "suggestions_url") from error

    def _request(self, question: Question, count: int) -> dict[str, Any]:
        return {"json": body(self._settings, question, count), "headers": self._headers()}

    def _read(self, reply: httpx.Response, deadline: float) -> bytes:
        found = b""
        for chunk in reply.iter_bytes():
            found += chunk
            if len(found) > MOST_BYTES:
                raise self._away(f"answered with more than {MOST_BYTES} bytes", "suggestions_url and suggestions_model")
            if time.monotonic() > deadline:
                raise self._slow()
        return found

    def _headers(self) -> dict[str, str]:
        file = self._settings.suggestions_key_file
        if file is None:
            return {}
        try:  # anew each time: a key is changed without a restart
            key = file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise self._away("has a key that cannot be read", "suggestions_key_file") from error
        if not key.isascii() or not key.isprintable():
            raise self._away("has a key that is not one line of text", "suggestions_key_file")
        return {"authorization": f"Bearer {key}"}

    def _refused(self, status: int, answer: bytes) -> ModelAway | Throttled:
        log.warning("the model of code suggestions answered %d: %r", status, answer[:300])
        if status == httpx.codes.TOO_MANY_REQUESTS:
            return Throttled("The model of code suggestions has too much to do. Ask again in a moment.")
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return self._away(f"refuses the key (HTTP {status})", "suggestions_key_file")
        if status == httpx.codes.NOT_FOUND:
            return self._away("knows no such address or model (HTTP 404)", "suggestions_url and suggestions_model")
        return self._away(f"answered HTTP {status}", "its log, and suggestions_api")

    def _slow(self) -> ModelAway:
        seconds = self._settings.suggestions_timeout_seconds
        return self._away(f"did not answer within {seconds:g} s", "suggestions_timeout_seconds and its server's load")

    def _away(self, what: str, look: str) -> ModelAway:
        return ModelAway(f"The model of code suggestions {what}. {_ADVICE} {look}.")
