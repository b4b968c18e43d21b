"""Transactions of operations: what is kept, what is rolled back, what is tried again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import String, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from emr_studio.aws.context import Context
from emr_studio.aws.errors import InvalidRequest
from emr_studio.aws.pipeline import AwsApplication, is_aws_request
from emr_studio.aws.registry import Operation, Registry, Request, Response, action
from emr_studio.aws.wire import WireResponse
from emr_studio.clock import SystemClock
from emr_studio.db import Database
from tests.support.wire_world import Cookies, Keys, OneForbidden, json_call, sign


class _Base(DeclarativeBase):
    pass


class Row(_Base):
    __tablename__ = "rows"
    id: Mapped[str] = mapped_column(String, primary_key=True)


class Desk:
    """One operation at a time over a real database."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "desk.sqlite"
        self.database = Database(f"sqlite:///{self.path}")
        _Base.metadata.create_all(self.database.engine)

    def call(self, function: Callable[[Context, Request], Response], name: str = "CreateEditor") -> WireResponse:
        registry = Registry()
        registry.add(Operation("emr", name, function, action("a:b"), name.startswith("List")))
        application = AwsApplication(
            self.database,
            SystemClock(),
            registry,
            credentials=Keys(),
            sessions=Cookies(),
            authorizer=OneForbidden(),
            ports={str: "a port"},
        )
        body = b'{"StudioId": "es-1", "Name": "n"}'
        return application.answer(sign(json_call(f"ElasticMapReduce.{name}", body), "elasticmapreduce"))

    def count(self) -> int:
        with self.database.read() as session:
            return session.scalar(select(func.count()).select_from(Row)) or 0


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_write_is_committed_and_only_then_what_follows_it(desk: Desk) -> None:
    seen: list[int] = []

    def write(context: Context, request: Request) -> Response:
        context.session.add(Row(id="a"))
        context.after_commit(lambda: seen.append(desk.count()))
        assert context.port(str) == "a port"
        return {"EditorId": "a"}

    assert desk.call(write).status == 200
    assert (seen, desk.count()) == ([1], 1)


def test_an_error_leaves_nothing_behind(desk: Desk) -> None:
    followed: list[str] = []

    def write(context: Context, request: Request) -> Response:
        context.session.add(Row(id="a"))
        context.session.flush()
        context.after_commit(lambda: followed.append("never"))
        raise InvalidRequest("No.")

    assert desk.call(write).status == 400
    assert (desk.count(), followed) == (0, [])


def test_a_reading_operation_keeps_nothing(desk: Desk) -> None:
    def read(context: Context, request: Request) -> Response:
        context.session.add(Row(id="a"))
        context.session.flush()
        return {"Editors": []}

    assert desk.call(read, "ListEditors").status == 200
    assert desk.count() == 0


def test_what_fails_after_the_commit_does_not_undo_it(desk: Desk) -> None:
    def write(context: Context, request: Request) -> Response:
        context.session.add(Row(id="a"))
        context.after_commit(lambda: next(iter(())))
        return {"EditorId": "a"}

    assert desk.call(write).status == 200
    assert desk.count() == 1


def test_a_lost_race_is_run_again(desk: Desk) -> None:
    with desk.database.write() as session:
        session.add(Row(id="taken"))
    tries: list[str] = []

    def write(context: Context, request: Request) -> Response:
        tries.append("taken" if not tries else "free")
        context.session.add(Row(id=tries[-1]))
        return {"EditorId": tries[-1]}

    assert desk.call(write).body == b'{"EditorId":"free"}'
    assert (tries, desk.count()) == (["taken", "free"], 2)


def test_a_conflict_that_stays_is_a_fault_of_ours(desk: Desk) -> None:
    with desk.database.write() as session:
        session.add(Row(id="taken"))

    def write(context: Context, request: Request) -> Response:
        context.session.add(Row(id="taken"))
        return None

    response = desk.call(write)
    assert (response.status, b"InternalFailure" in response.body) == (500, True)


def test_a_locked_database_is_a_call_to_try_again(desk: Desk) -> None:
    def impatient(context: Context, request: Request) -> Response:
        context.session.connection().exec_driver_sql("PRAGMA busy_timeout = 1")
        other = sqlite3.connect(desk.path, timeout=0.01)
        try:
            other.execute("BEGIN IMMEDIATE")
            context.session.add(Row(id="a"))
            context.session.flush()
        finally:
            other.close()
        return None

    response = desk.call(impatient, "ListEditors")
    assert (response.status, b"ServiceUnavailable" in response.body) == (503, True)


@pytest.mark.parametrize(
    ("scope", "ours"),
    [
        ({"method": "POST", "path": "/"}, True),
        ({"method": "GET", "path": "/"}, False),
        ({"method": "GET", "path": "/", "query_string": b"Action=X&X-Amz-Algorithm=AWS4-HMAC-SHA256"}, True),
        ({"method": "GET", "path": "/tags/x", "headers": [(b"authorization", b"AWS4-HMAC-SHA256 C")]}, True),
        ({"method": "GET", "path": "/assets/a.js", "headers": [(b"authorization", b"Bearer x")]}, False),
    ],
)
def test_what_is_for_the_api(scope: dict[str, Any], ours: bool) -> None:
    assert is_aws_request({"query_string": b"", "headers": []} | scope) is ours
