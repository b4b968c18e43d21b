"""A pytest plugin: the suites that make their own database make it on PostgreSQL.

    pytest -p tests.support.postgres tests/api packages/studio

Starts Debian's PostgreSQL on a unix socket in a temporary folder. Each data folder that a test uses gets
a database of its own, as it gets an SQLite file of its own otherwise.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from emr_studio.settings import Settings
from tests.support import template

# Nothing of it need outlive the run.
_OPTIONS = (
    "-c fsync=off -c full_page_writes=off -c synchronous_commit=off -c wal_level=minimal -c max_wal_senders=0 "
    "-c max_wal_size=64MB"
)
_SHARED, _ROOM = Path("/dev/shm"), 4 << 30


def _in_memory() -> Path | None:
    """Where databases need no disk, if there is room: making and dropping one writes out all that others changed."""
    return _SHARED if _SHARED.is_dir() and shutil.disk_usage(_SHARED).free > _ROOM else None


class Server:
    """One PostgreSQL server, run as the user `postgres` where we are root (it refuses root)."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir=_in_memory()))
        self._made: dict[str, Path] = {}
        self._data = self.folder / "data"
        self._user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            shutil.chown(self.folder, self._user)
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"{_OPTIONS} -c listen_addresses='' -c unix_socket_directories={self.folder} -c max_connections=500"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", log, "-o", options, "start")

    def _run(self, program: str, *arguments: str) -> None:
        found = max(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), default=None)
        assert found, "PostgreSQL is missing: apt-get install postgresql"
        argv = [str(found), *arguments]
        if os.geteuid() == 0:
            argv = ["setpriv", f"--reuid={self._user}", f"--regid={self._user}", "--init-groups", *argv]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/")
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"

    def database(self, folder: Path) -> str:
        """SQLAlchemy URL of the database that stands for this data folder, made where it is not there."""
        name = self._name(folder)
        if name not in self._made:
            self._make(name, "template1")
            self._made[name] = next(path for path in (folder, *folder.parents) if path.exists())
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def copy(self, source: Path, folder: Path) -> None:
        """Make the database of `folder` as that of `source` is, which nobody has open."""
        name = self._name(folder)
        assert name not in self._made, f"{folder} has a database already"
        self._make(name, self._name(source))
        self._made[name] = next(path for path in (folder, *folder.parents) if path.exists())

    def _name(self, folder: Path) -> str:
        return f"t{hashlib.sha256(str(folder).encode()).hexdigest()[:24]}"

    def _make(self, name: str, source: str) -> None:
        # Eight megabytes each, a thousand in a run: those go whose test's folder went.
        gone = [known for known, folder in self._made.items() if not folder.exists()]
        with psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres", autocommit=True) as connection:
            for known in gone:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(known)))
                del self._made[known]
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if not connection.execute(query, [name]).fetchone():
                # From 15 on it writes each page to its log too if not told otherwise: three times as long.
                how = " STRATEGY FILE_COPY" if connection.info.server_version >= 150_000 else ""
                made = sql.SQL("CREATE DATABASE {} TEMPLATE {}" + how)
                connection.execute(made.format(sql.Identifier(name), sql.Identifier(source)))

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder)


def pytest_configure(config: pytest.Config) -> None:
    @cache
    def server() -> Server:
        # When a test asks: the process that only hands out the work has none.
        made = Server()
        config.add_cleanup(made.stop)
        return made

    def url(settings: Settings) -> str:
        return server().database(settings.data_dir.resolve())

    def copy(source: Settings, to: Settings) -> None:
        server().copy(source.data_dir.resolve(), to.data_dir.resolve())

    Settings.sqlalchemy_url = property(url)  # type: ignore[assignment,method-assign]
    template.copy_database = copy


def pytest_report_header() -> str:
    return "database: PostgreSQL"
