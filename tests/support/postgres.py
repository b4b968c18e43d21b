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
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from emr_studio.settings import Settings


class Server:
    """One PostgreSQL server, run as the user `postgres` where we are root (it refuses root)."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._made: dict[str, Path] = {}
        self._data = self.folder / "data"
        self._user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            shutil.chown(self.folder, self._user)
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c fsync=off -c max_connections=500"
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
        name = f"t{hashlib.sha256(str(folder).encode()).hexdigest()[:24]}"
        if name not in self._made:
            self._make(name)
            self._made[name] = next(path for path in (folder, *folder.parents) if path.exists())
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def _make(self, name: str) -> None:
        # Eight megabytes each, a thousand in a run: those go whose test's folder went.
        gone = [known for known, folder in self._made.items() if not folder.exists()]
        with psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres", autocommit=True) as connection:
            for known in gone:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(known)))
                del self._made[known]
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if not connection.execute(query, [name]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder)


def _url_of(server: Server) -> Callable[[Settings], str]:
    return lambda settings: server.database(settings.data_dir.resolve())


def pytest_configure(config: pytest.Config) -> None:
    server = Server()
    config.add_cleanup(server.stop)
    Settings.sqlalchemy_url = property(_url_of(server))  # type: ignore[assignment,method-assign]


def pytest_report_header() -> str:
    return "database: PostgreSQL"
