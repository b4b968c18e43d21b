"""What a request to Livy means: a method, a path and a body in, a status and a document out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from emr_studio_cluster.config import NodeConfig
from emr_studio_cluster.livy import batches, sessions
from emr_studio_cluster.livy.asked import Refused, batch_of, body_of, session_of
from emr_studio_cluster.livy.batches import Batch, BatchTools
from emr_studio_cluster.livy.config import LivyConfig
from emr_studio_cluster.livy.sessions import Kernels, Session, Tools
from emr_studio_cluster.livy.statements import Statement

VERSION = "0.8.0"
_PAGE = 100
_MOST_PAGE = 10_000


@dataclass(frozen=True)
class Call:
    """A request. `owner` is who asks, by the name that he gave."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    owner: str = "livy"

    def number(self, name: str, otherwise: int) -> int:
        """A number of the query.

        Raises:
            Refused: it is none.
        """
        text = self.query.get(name, "")
        if not text:
            return otherwise
        if not text.lstrip("-").isascii() or not text.lstrip("-").isdigit():
            raise Refused(f"{name} must be a number.")
        return max(-1, min(int(text[:20]), 2**31))


@dataclass(frozen=True)
class Answer:
    """What the client gets."""

    status: int
    document: Any
    location: str = ""


One = TypeVar("One", Session, Batch)


class Api:
    """All sessions and batches of a cluster."""

    def __init__(
        self, node: NodeConfig, folder: Path, kernels: Kernels, clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._config = config = LivyConfig.of(node.livy_conf)
        self._session_tools = Tools(kernels, config, folder / "sessions", clock)
        self._batch_tools = BatchTools(node, config, folder / "batches", clock)
        self.sessions: dict[int, Session] = {}
        self.batches: dict[int, Batch] = {}
        self._numbers = folder / "numbers"

    def take_over(self) -> None:
        """Go on with what a program before this one had; call it once, before the first request."""
        for entry in _entries(self._session_tools.folder):
            session = sessions.load(entry, self._session_tools)
            if session is not None:
                self.sessions[session.number] = session
                if session.state != sessions.DEAD:
                    session.begin()
        for entry in _entries(self._batch_tools.folder):
            batch = batches.load(entry, self._batch_tools)
            if batch is not None:
                self.batches[batch.number] = batch

    async def tend(self) -> None:
        """End and forget what is over; call it now and then."""
        now = self._clock()
        for number in [number for number, one in self.sessions.items() if one.is_over(now)]:
            await self.sessions.pop(number).end()
        for number in [number for number, one in self.batches.items() if one.is_over(now)]:
            await self.batches.pop(number).end()

    async def answer(self, call: Call) -> Answer:
        """Answer one request; never raises."""
        try:
            return await self._route(call)
        except Refused as refused:
            return Answer(refused.status, {"msg": str(refused)})

    async def _route(self, call: Call) -> Answer:
        parts = tuple(part for part in call.path.split("/") if part)
        if parts == ("version",):
            return Answer(200, {"version": VERSION, "url": "", "branch": "", "revision": "", "date": "", "user": ""})
        if parts[:1] == ("sessions",):
            return await self._of_sessions(call, parts[1:])
        if parts[:1] == ("batches",):
            return await self._of_batches(call, parts[1:])
        raise Refused(f"There is nothing at {call.path[:200]}.", 404)

    # Sessions.

    async def _of_sessions(self, call: Call, parts: tuple[str, ...]) -> Answer:
        if not parts:
            return self._create_session(call) if _is_post(call, "GET") else _page(call, self.sessions)
        session = _find(self.sessions, parts[0], "Session")
        session.seen = self._clock()
        if parts[1:2] == ("statements",):
            return await self._of_statements(call, session, parts[2:])
        if parts[1:] == ("completion",) and _is_post(call):
            return await _completion(call, session)
        if parts[1:] == ("connect",) and _is_post(call):
            return Answer(200, session.shown())
        if not parts[1:] and call.method == "DELETE":
            await self.sessions.pop(session.number).end()
            return Answer(200, {"msg": "deleted"})
        return _look(call, session, parts[1:])

    def _create_session(self, call: Call) -> Answer:
        asked = session_of(body_of(call.body), call.owner)
        active = [one for one in self.sessions.values() if one.state != sessions.DEAD]
        if len(active) >= self._config.most_sessions:
            raise Refused("Rejected, too many sessions are being created!", 429)
        session = Session(self._next("sessions"), call.owner, asked, self._session_tools)
        self.sessions[session.number] = session
        session.begin()
        return Answer(201, session.shown(), f"/sessions/{session.number}")

    async def _of_statements(self, call: Call, session: Session, parts: tuple[str, ...]) -> Answer:
        if not parts:
            return _submit(call, session) if _is_post(call, "GET") else _list_statements(call, session)
        found = session.statements.get(int(parts[0])) if _is_number(parts[0]) else None
        if found is None:
            raise Refused("Statement not found", 404)
        if parts[1:] == ("cancel",) and _is_post(call):
            await session.cancel(found)
            return Answer(200, {"msg": "canceled"})
        if parts[1:]:
            raise Refused(f"There is nothing at {call.path[:200]}.", 404)
        _only(call, "GET")
        return Answer(200, _statement(session, found))

    # Batches.

    async def _of_batches(self, call: Call, parts: tuple[str, ...]) -> Answer:
        if not parts:
            return self._create_batch(call) if _is_post(call, "GET") else _page(call, self.batches)
        batch = _find(self.batches, parts[0], "Session")
        if not parts[1:] and call.method == "DELETE":
            await self.batches.pop(batch.number).end()
            return Answer(200, {"msg": "deleted"})
        return _look(call, batch, parts[1:])

    def _create_batch(self, call: Call) -> Answer:
        asked = batch_of(body_of(call.body), call.owner)
        if sum(one.is_going for one in self.batches.values()) >= self._config.most_sessions:
            raise Refused("Rejected, too many sessions are being created!", 429)
        batch = Batch(self._next("batches"), call.owner, asked, self._batch_tools)
        self.batches[batch.number] = batch
        batch.begin()
        return Answer(201, batch.shown(), f"/batches/{batch.number}")

    def _next(self, what: str) -> int:
        """Numbers go on after a restart: no client mistakes a new session for its old one."""
        path = self._numbers.with_name(f"{self._numbers.name}-{what}")
        number = int(path.read_text()) if path.exists() else 0
        scratch = path.with_suffix(".new")
        scratch.write_text(str(number + 1))
        scratch.rename(path)
        return number


def _submit(call: Call, session: Session) -> Answer:
    body = body_of(call.body)
    code = body.get("code")
    if not isinstance(code, str):
        raise Refused("code must be a text.")
    statement = session.submit(code, body.get("kind"))
    return Answer(201, _statement(session, statement), f"/sessions/{session.number}/statements/{statement.id}")


def _list_statements(call: Call, session: Session) -> Answer:
    every = list(session.statements.values())
    if call.query.get("order") == "desc":
        every.reverse()
    first, size = max(0, call.number("from", 0)), call.number("size", _MOST_PAGE)
    chosen = every[first : first + max(0, size)]
    return Answer(200, {"total_statements": len(every), "statements": [_statement(session, one) for one in chosen]})


async def _completion(call: Call, session: Session) -> Answer:
    body = body_of(call.body)
    code, cursor = body.get("code"), body.get("cursor")
    if not isinstance(code, str):
        raise Refused("code must be a text.")
    if cursor is None:
        cursor = len(code)
    if not isinstance(cursor, int) or isinstance(cursor, bool):
        raise Refused("cursor must be a number.")
    try:
        found = await session.complete(code, body.get("kind"), max(0, min(cursor, len(code))))
    except sessions.KernelGone as gone:
        raise Refused(str(gone)) from gone
    return Answer(200, {"candidates": found})


def _statement(session: Session, statement: Statement) -> dict[str, Any]:
    return statement.shown(session.progress(statement))


def _look(call: Call, one: Session | Batch, parts: Sequence[str]) -> Answer:
    """The answers that sessions and batches have in common."""
    _only(call, "GET")
    if not parts:
        return Answer(200, one.shown())
    if tuple(parts) == ("state",):
        return Answer(200, {"id": one.number, "state": one.state})
    if tuple(parts) == ("log",):
        return _log(call, one)
    raise Refused(f"There is nothing at {call.path[:200]}.", 404)


def _log(call: Call, one: Session | Batch) -> Answer:
    lines = one.log_lines()
    size = max(0, min(call.number("size", _PAGE), _MOST_PAGE))
    first = call.number("from", -1)
    if first < 0:
        first = max(0, len(lines) - size)
    # sparkmagic asks for everything by `from=0` and no size.
    chosen = lines[first:] if "from" in call.query and "size" not in call.query else lines[first : first + size]
    return Answer(200, {"id": one.number, "from": first, "total": len(lines), "log": chosen})


def _page(call: Call, found: Mapping[int, Session] | Mapping[int, Batch]) -> Answer:
    first, size = max(0, call.number("from", 0)), max(0, call.number("size", _PAGE))
    every: list[Session | Batch] = [found[number] for number in sorted(found)]
    shown = [one.shown() for one in every[first : first + size]]
    return Answer(200, {"from": first, "total": len(every), "sessions": shown})


def _find(found: Mapping[int, One], name: str, what: str) -> One:
    """By number, or by the name that it was given.

    Raises:
        Refused: there is none.
    """
    one = found.get(int(name)) if _is_number(name) else next((x for x in found.values() if x.asked.name == name), None)
    if one is None:
        raise Refused(f"{what} '{name[:100]}' not found.", 404)
    return one


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _is_post(call: Call, *others: str) -> bool:
    """True for POST.

    Raises:
        Refused: it is neither that nor one of the others.
    """
    _only(call, "POST", *others)
    return call.method == "POST"


def _only(call: Call, *methods: str) -> None:
    if call.method not in methods:
        raise Refused(f"{call.method} is not served at {call.path[:200]}.", 405)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
