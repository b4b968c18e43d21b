"""Stock clients of Livy, run by the environment that has them: `python livy_play.py URL USER PASSWORD`.

sparkmagic makes a session of PySpark and works in it, pylivy goes on with it; what they saw is printed as JSON.
"""

from __future__ import annotations

import json
import sys
import warnings
from argparse import Namespace
from typing import Any

import pandas as pd
from livy import LivySession as PyLivySession
from livy import SessionKind, SparkRuntimeError
from livy.models import StatementKind, StatementState
from sparkmagic.auth.basic import Basic
from sparkmagic.livyclientlib.command import Command
from sparkmagic.livyclientlib.endpoint import Endpoint
from sparkmagic.livyclientlib.livyreliablehttpclient import LivyReliableHttpClient
from sparkmagic.livyclientlib.livysession import LivySession
from sparkmagic.livyclientlib.sqlquery import SQLQuery
from sparkmagic.utils import configuration


class Display:
    """What a notebook would show."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def writeln(self, text: str) -> None:
        self.said.append(text)

    def html(self, text: str) -> None:
        self.said.append("html")

    def display(self, _widget: Any) -> None:
        """A bar of progress."""

    def send_error(self, text: str) -> None:
        self.said.append(f"error: {text}")


def sparkmagic_works(url: str, auth: Basic) -> tuple[LivySession, dict[str, Any]]:
    client = LivyReliableHttpClient.from_endpoint(Endpoint(url, auth))
    display = Display()
    # Its own minute is soon over on a machine that has other work.
    configuration.override("livy_session_startup_timeout_seconds", 400)
    session = LivySession(client, {"kind": "pyspark", "name": "magic"}, display)
    session.start()
    rows = SQLQuery("SELECT id, id * 2 AS twice FROM range(3)").execute(session)
    return session, {
        "said": display.said[-1],
        "command": Command("print(spark.range(5).count())").execute(session)[:2],
        "failed": Command("1/0").execute(session)[:2],
        "rows": rows.to_dict("records"),
        "app": session.get_app_id(),
        "log": bool(session.get_logs()),
    }


def pylivy_works(url: str, session_id: int, auth: tuple[str, str]) -> dict[str, Any]:
    session = PyLivySession(url, session_id, auth, kind=SessionKind.PYSPARK, echo=False)
    session.wait()
    session.upload("people", pd.DataFrame({"name": ["ann", "bob"], "age": [31, 42]}))
    session.run("people.createOrReplaceTempView('people')")
    try:
        session.run("undefined")
        error = "none"
    except SparkRuntimeError as raised:
        error = f"{raised.ename}: {raised.evalue}"
    return {
        "error": error,
        "downloaded": session.download("people").sort_values("age").to_dict("records"),
        "sql": output_of(session, "SELECT name, age FROM people ORDER BY age", StatementKind.SQL),
        "scala": output_of(session, 'println(spark.table("people").count())', StatementKind.SPARK),
        "sum": session.run("sc.parallelize(range(10)).sum()").text,
        "version": version_of(session),
        "sessions": [one.state.value for one in session.client.list_sessions()],
    }


def version_of(session: PyLivySession) -> str:
    """What the server says that it is."""
    found = session.client.server_version()
    return f"{found.major}.{found.minor}.{found.dot}"


def output_of(session: PyLivySession, code: str, kind: StatementKind) -> Any:
    """Run a statement of a kind of its own."""
    statement = session.client.create_statement(session.session_id, code, kind)
    while statement.state in (StatementState.WAITING, StatementState.RUNNING):
        statement = session.client.get_statement(session.session_id, statement.statement_id)
    return statement.output.json or statement.output.text


def main(url: str, user: str, password: str) -> None:
    """Work with both."""
    warnings.simplefilter("ignore")
    magic, found = sparkmagic_works(url, Basic(Namespace(url=url, user=user, password=password)))
    print(json.dumps({"id": magic.id, "sparkmagic": found, "pylivy": pylivy_works(url, magic.id, (user, password))}))


if __name__ == "__main__":
    main(*sys.argv[1:])
