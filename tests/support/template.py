"""A test's world is made once in a process and copied for each test: making it takes longer than most tests.

    database, people = copied(settings, furnish)

`furnish` is called with the settings of an empty folder, where the tables are, and fills it. Whoever asks again gets
a copy of that database and of the keys, and the same answer.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine
from sqlalchemy.util import LRUCache

from emr_studio.db import Base, Database
from emr_studio.settings import Settings

T = TypeVar("T")
_STATEMENTS = 3000
Furnish = Callable[[Settings, Database], T]


@dataclass(frozen=True)
class _Template:
    settings: Settings
    answer: Any
    engine: Engine


def _copy_file(template: Settings, to: Settings) -> None:
    source, target = (Path(one.sqlalchemy_url.removeprefix("sqlite:///")) for one in (template, to))
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


copy_database: Callable[[Settings, Settings], None] = _copy_file
"""Copies a database that nobody has open to one that is not there yet; `tests.support.postgres` has its own."""
_templates: dict[tuple[Any, frozenset[str]], _Template] = {}


def copied(settings: Settings, furnish: Furnish[T]) -> tuple[Database, T]:
    """A new database, with its keys, as `furnish` fills them, and what that answered; the caller closes it."""
    # A file of tests may know more tables than the one before it.
    key = (furnish, frozenset(Base.metadata.tables))
    if key not in _templates:
        _templates[key] = _make(furnish)
    template = _templates[key]
    copy_database(template.settings, settings)
    if template.settings.keys_dir.exists():
        shutil.copytree(template.settings.keys_dir, settings.keys_dir, dirs_exist_ok=True)
    answer: T = template.answer
    database = Database(settings.sqlalchemy_url)
    _share_statements(template.engine, database.engine)
    return database, answer


def _share_statements(known: Engine, new: Engine) -> None:
    # An engine compiles each statement once; a test that has its own spends half its time on that.
    new.dialect = known.dialect
    new.pool._dialect = known.dialect
    new._compiled_cache = known._compiled_cache


def _make(furnish: Furnish[Any]) -> _Template:
    folder = Path(tempfile.mkdtemp(prefix="template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    settings = Settings(data_dir=folder)
    database = Database(settings.sqlalchemy_url)
    Base.metadata.create_all(database.engine)
    answer = furnish(settings, database)
    database.dispose()
    database.engine._compiled_cache = LRUCache(_STATEMENTS)
    return _Template(settings, answer, database.engine)
