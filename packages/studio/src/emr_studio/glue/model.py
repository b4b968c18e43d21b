"""Tables of the Data Catalog. Names are in lower case, as Hive wants them; `body` is what the caller gave."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ForeignKey, ForeignKeyConstraint, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from emr_studio import ids
from emr_studio.db import Base
from emr_studio.glue.errors import NotFound


class GlueDatabase(Base):
    """A database of an account."""

    __tablename__ = "glue_databases"
    __table_args__ = (UniqueConstraint("account_id", "name", name="uq_glue_databases_name"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=ids.glue_id)
    account_id: Mapped[str]
    name: Mapped[str]
    body: Mapped[dict[str, Any]]
    created: Mapped[dt.datetime]


class GlueTable(Base):
    """A table of a database."""

    __tablename__ = "glue_tables"
    __table_args__ = (UniqueConstraint("database_id", "name", name="uq_glue_tables_name"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=ids.glue_id)
    database_id: Mapped[str] = mapped_column(ForeignKey("glue_databases.id", ondelete="CASCADE"))
    name: Mapped[str]
    body: Mapped[dict[str, Any]]
    created_by: Mapped[str]
    created: Mapped[dt.datetime]
    updated: Mapped[dt.datetime]
    version: Mapped[int] = mapped_column(default=0)


class GluePartition(Base):
    """A partition of a table."""

    __tablename__ = "glue_partitions"
    __table_args__ = (
        ForeignKeyConstraint(["table_id"], ["glue_tables.id"], name="fk_glue_partitions_table", ondelete="CASCADE"),
    )

    table_id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    """Of its values: what finds it."""
    values: Mapped[list[str]]
    body: Mapped[dict[str, Any]]
    created: Mapped[dt.datetime]


def partition_key(values: Sequence[str]) -> str:
    """A key of fixed length; values may be long and hold anything."""
    return hashlib.sha256(json.dumps(list(values)).encode()).hexdigest()


def find_database(session: Session, account_id: str, name: str) -> GlueDatabase:
    """The account's database.

    Raises:
        NotFound: "Database x not found."
    """
    wanted = select(GlueDatabase).where(GlueDatabase.account_id == account_id, GlueDatabase.name == name.lower())
    found = session.scalars(wanted).first()
    if found is None:
        raise NotFound(f"Database {name.lower()} not found.")
    return found


def find_table(session: Session, account_id: str, database: str, name: str, *, lock: bool = False) -> GlueTable:
    """A table of the account's database; with `lock` nobody else changes it meanwhile.

    Raises:
        NotFound: "Table x not found." or its database is not there.
    """
    parent = find_database(session, account_id, database)
    wanted = select(GlueTable).where(GlueTable.database_id == parent.id, GlueTable.name == name.lower())
    found = session.scalars(wanted.with_for_update() if lock else wanted).first()
    if found is None:
        raise NotFound(f"Table {name.lower()} not found.")
    return found


def find_partition(session: Session, table: GlueTable, values: Sequence[str]) -> GluePartition:
    """A partition of a table.

    Raises:
        NotFound: "Cannot find partition."
    """
    found = session.get(GluePartition, (table.id, partition_key(values)))
    if found is None:
        raise NotFound("Cannot find partition.")
    return found
