"""The generation of an account: exact invalidation of what replicas keep in memory.

A flush that adds, changes or removes a `Governed` row bumps the number of its account in the same
transaction; nobody has to remember to. Readers ask for the number once a transaction (one look-up by
primary key) and keep what they compiled for as long as it stands.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, event, select, update
from sqlalchemy.orm import Session

from emr_studio.db.known import remembered
from emr_studio.iam.model import Account, Governed

_SELECT = select(Account.generation).where(Account.account_id == bindparam("account"))
_MEMO = "iam_generation"


def current(session: Session, account_id: str) -> int:
    """The account's generation as this transaction sees it; 0 for an account that is not there."""
    return remembered(session, (_MEMO, account_id), lambda: _read(session, account_id))


def _read(session: Session, account_id: str) -> int:
    transaction = session.get_transaction()
    memo = session.info.get(_MEMO)
    if memo is not None and memo[0] is transaction and memo[1] == account_id:
        return int(memo[2])
    found = session.connection().execute(_SELECT, {"account": account_id}).scalar()
    session.info[_MEMO] = (session.get_transaction(), account_id, found or 0)
    return found or 0


def _bump(session: Session, _context: Any, _instances: Any) -> None:
    changed = {
        row.account_id
        for rows in (session.new, session.dirty, session.deleted)
        for row in rows
        if isinstance(row, Governed) and (row not in session.dirty or session.is_modified(row))
    }
    if not changed:
        return
    session.info.pop(_MEMO, None)
    statement = update(Account).where(Account.account_id.in_(sorted(changed)))
    session.connection().execute(statement.values(generation=Account.generation + 1))


event.listen(Session, "before_flush", _bump)
