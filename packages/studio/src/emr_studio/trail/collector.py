"""From journals into the database: in batches, each line once, by whichever process comes first.

A batch is one statement: the database itself takes the lines apart (both of ours read JSON), so that
Python, whose threads answer requests meanwhile, has next to nothing to do. Lines that are there already
are passed over: a journal may be read again from its start.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import msgspec
from sqlalchemy import text
from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from emr_studio.db import Database
from emr_studio.trail.journal import Journal, abandoned, living, read_abandoned, read_on
from emr_studio.trail.lines import Line

_SECONDS = 1.0
_PAUSE_SECONDS = 0.005
"""Between two batches: requests that write come first."""
_MOST_BATCHES = 100
"""In one go: whoever waits for the next one (LookupEvents) waits a second at most, however busy it is."""
_COLUMNS = (
    *("event_id", "account_id", "moment", "event_name", "event_source", "username", "access_key_id"),
    *("is_read_only", "is_shown", "is_denied", "request_id", "authorization", "event"),
)
# Members that `Line` leaves out where they are as usual.
_USUAL = {"is_read_only": 0, "is_shown": 1, "is_denied": 0}
_NUMBERS = ("moment", *_USUAL)
log = logging.getLogger(__name__)


def _member(source: str, name: str, *, sqlite: bool) -> str:
    value = f"json_extract({source}, '$.{name}')" if sqlite else f"({source} ->> '{name}')"
    if not sqlite and name in _NUMBERS:
        value = f"CAST({value} AS bigint)"
    return f"coalesce({value}, {_USUAL[name]})" if name in _USUAL else value


def _statements(*, sqlite: bool) -> tuple[str, str]:
    lines = "json_each(:lines) AS line" if sqlite else "json_array_elements(CAST(:lines AS json)) AS line(value)"
    source = "line.value"
    values = ", ".join(_member(source, name, sqlite=sqlite) for name in _COLUMNS)
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    events = (
        f"INSERT INTO trail_event (batch, {names}) SELECT CAST(:batch AS integer), {values} FROM {lines} WHERE true "
        "ORDER BY 2 ON CONFLICT DO NOTHING"
    )
    if sqlite:
        named = "json_each(line.value, '$.resources') AS named"
        parts = "named.key, json_extract(named.value, '$[0]'), json_extract(named.value, '$[1]')"
    else:
        named = "json_array_elements(line.value -> 'resources') WITH ORDINALITY AS named(value, key)"
        parts = "named.key, named.value ->> 0, named.value ->> 1"
    wanted = [_member(source, name, sqlite=sqlite) for name in ("event_id", "account_id", "moment")]
    resources = (
        "INSERT INTO trail_resource (event_id, account_id, moment, position, type, name) "
        f"SELECT {', '.join(wanted)}, {parts} FROM {lines}, {named} WHERE true ORDER BY 1 ON CONFLICT DO NOTHING"
    )
    return events, resources


_BY_DIALECT = {True: _statements(sqlite=True), False: _statements(sqlite=False)}


class Collector:
    """Brings this process's journal, and those of ended processes, into the database."""

    def __init__(self, database: Database, folder: Path, journal: Journal | None = None) -> None:
        self._database = database
        self._folder = folder
        self._journal = journal
        self._others: dict[Path, int] = {}
        """Other processes' journals, and how far they were read here."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Collect every second, in a thread, until `close`."""
        self._thread = threading.Thread(target=self._run, name="trail", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(_SECONDS):
            self.collect(_PAUSE_SECONDS)

    def collect(self, pause: float = 0.0, *, all_processes: bool = False) -> bool:
        """Bring in what is there now. False if the database would not take it: it waits.

        `pause`: seconds between two batches. `all_processes`: also what others wrote down and have not brought in
        themselves yet, as for somebody who looks for what she just did.
        """
        try:
            with self._lock:
                self._own(pause)
                self._adopt(pause)
                if all_processes:
                    self._ahead()
        except (SQLAlchemyError, OSError):
            log.warning("the audit trail's journal waits: the database does not take it", exc_info=True)
            return False
        return True

    def _own(self, pause: float) -> None:
        for _ in range(_MOST_BATCHES):
            lines = self._journal.unread() if self._journal is not None else b""
            if self._journal is None or not lines:
                return
            self._insert(lines)
            self._journal.advance(len(lines))
            self._stop.wait(pause)

    def _adopt(self, pause: float) -> None:
        with abandoned(self._folder) as paths:
            for path in paths:
                for lines in read_abandoned(path):
                    self._insert(lines)
                    self._stop.wait(pause)
                path.unlink(missing_ok=True)

    def _ahead(self) -> None:
        """Read the journals of processes that live. They will bring these lines in again, and find them there."""
        known, self._others = self._others, {}
        for path in living(self._folder):
            if self._journal is not None and self._journal.has(path):
                continue
            start = known.get(path, 0)
            while lines := read_on(path, start):
                self._insert(lines)
                start += len(lines)
            self._others[path] = start

    def _insert(self, lines: bytes) -> None:
        try:
            self._write(lines)
        except DBAPIError as error:
            if not _is_about_data(error):
                raise
            # A line is torn (the machine lost power): the others are brought in without it.
            self._write(b"".join(line + b"\n" for line in lines.splitlines() if _is_whole(line)))

    def _write(self, lines: bytes) -> None:
        document = b"[" + lines.rstrip(b"\n").replace(b"\n", b",") + b"]"
        events, resources = _BY_DIALECT[self._database.engine.dialect.name == "sqlite"]
        with self._database.write() as session:
            values = {"lines": document.decode("utf-8", "replace")}
            session.execute(text(events), values | {"batch": next_batch(session)})
            session.execute(text(resources), values)

    def close(self) -> None:
        """Stop; bring in what is left."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.collect()
        if self._journal is not None:
            self._journal.close()


def next_batch(session: Session) -> int:
    """The number of the batch that this transaction brings; others wait for its commit."""
    session.execute(text("INSERT INTO trail_batch (id, last) VALUES (1, 0) ON CONFLICT DO NOTHING"))
    found: int = session.execute(
        text("UPDATE trail_batch SET last = last + 1 WHERE id = 1 RETURNING last")
    ).scalar_one()
    return found


def last_batch(session: Session) -> int:
    """The newest batch that is committed; 0 before the first."""
    found: int | None = session.execute(text("SELECT last FROM trail_batch WHERE id = 1")).scalar()
    return found or 0


def _is_about_data(error: DBAPIError) -> bool:
    """True if what was to be written is at fault, not the database's state."""
    return isinstance(error, DataError) or "malformed JSON" in str(error.orig)


def _is_whole(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=Line)
    except (msgspec.DecodeError, UnicodeError):
        log.error("a torn line of the audit trail is lost: %r", line[:200])
        return False
    return True
