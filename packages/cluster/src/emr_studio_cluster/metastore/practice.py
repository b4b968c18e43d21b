"""What the metastore serves: the Data Catalog, and a database in which Spark practises.

Spark's first table costs seconds: Hive's classes, the way to the metastore, the metastore's own libraries. The
warm-up (`warming.py`) and the recording of class data (`archives.py`) therefore use tables of `PRACTICE`, a database
that is in no catalog and in no list: its tables are in this process's memory, what they hold lies in this program's
folder, and no role is needed for them. A warm spare has none.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, CredentialRetrievalError, NoCredentialsError

from emr_studio_cluster.config import PRACTICE
from emr_studio_cluster.metastore import data
from emr_studio_cluster.metastore.handler import DEFAULT, Handler
from emr_studio_cluster.metastore.interface import HIVE


class Served(Handler):
    """The catalog's calls, with those that speak of the practice database answered here."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._place = (folder / "practice").absolute().as_uri()
        self._practised: dict[str, Any] = {}

    def get_ready(self) -> None:
        """Read now what the first call would read: a client's model, without the credentials that may not be there."""
        # Whoever calls is told what is wrong.
        with suppress(BotoCoreError):
            self._session.create_client("glue", aws_access_key_id="none", aws_secret_access_key="none")

    def get_database(self, name: str) -> Any:
        """A database; without any credentials, as in a spare, Spark still finds the default one: it begins there."""
        if name == PRACTICE:
            return self._made_up(PRACTICE)
        try:
            return super().get_database(name)
        except HIVE.MetaException as error:
            if name != DEFAULT or not isinstance(error.__cause__, CredentialRetrievalError | NoCredentialsError):
                raise
            return self._made_up(DEFAULT)

    def _made_up(self, name: str) -> Any:
        return HIVE.Database(name=name, description="", locationUri=self._place, parameters={})

    def get_table(self, database: str, name: str) -> Any:
        """A table."""
        if database != PRACTICE:
            return super().get_table(database, name)
        if name not in self._practised:
            raise HIVE.NoSuchObjectException(f"{database}.{name} does not exist")
        return self._practised[name]

    def get_tables_by_type(self, database: str, pattern: str, kind: str) -> list[str]:
        """Names of tables."""
        return list(self._practised) if database == PRACTICE else super().get_tables_by_type(database, pattern, kind)

    def create_table(self, table: Any) -> None:
        """A new table."""
        if table.dbName != PRACTICE:
            return super().create_table(table)
        table.sd.location = table.sd.location or f"{self._place}/{table.tableName}"
        self._practised[table.tableName] = table
        return None

    def alter_table(self, database: str, name: str, table: Any) -> None:
        """Another definition in its place."""
        if database != PRACTICE:
            return super().alter_table(database, name, table)
        self._practised[name] = table
        return None

    def drop_table(self, database: str, name: str, delete_data: bool) -> None:
        """Forget it, and delete what it holds."""
        if database != PRACTICE:
            return super().drop_table(database, name, delete_data)
        self._practised.pop(name, None)
        data.delete_folder(self._place)
        return None
