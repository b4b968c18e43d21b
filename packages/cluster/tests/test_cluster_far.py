"""Spark that is not ours, without it: what Livy's answers become, the life of a session, what gRPC's refusals mean."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from emr_studio_cluster import far_connect
from emr_studio_cluster.config import LIVY, NodeConfig
from emr_studio_cluster.far_livy import client
from emr_studio_cluster.far_livy.client import FarSession, Livy, LivyError, Opened, SessionGone
from emr_studio_cluster.far_livy.outputs import shown
from emr_studio_cluster.far_livy.progress import Progress

CONFIG = NodeConfig("j-1", "127.0.0.1", "127.0.0.1", True, "", "", gateway_token="ours", outside=LIVY)


class PlayLivy:
    """Answers by a script: `states` of the session, `statements` of the one statement, one after the other."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any, dict[str, str]]] = []
        self.session = ["starting", "idle"]
        self.statement: list[dict[str, Any]] = [{"state": "available", "output": {"status": "ok"}}]
        self.status, self.refusal = 200, b""

    def answer(self, method: str, path: str) -> Any:
        if path.endswith("/log?size=20"):
            return {"log": ["no memory"]}
        if path.endswith("/completion"):
            return {"candidates": ["range"]}
        if "/statements" in path:
            if method == "POST":
                return {"id": 7}
            return self.statement.pop(0) if len(self.statement) > 1 else self.statement[0]
        state = self.session.pop(0) if len(self.session) > 1 else self.session[0]
        return {"id": 5, "state": state}


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Iterator[PlayLivy]:
    made = PlayLivy()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")
            made.asked.append((self.command, self.path, body, dict(self.headers)))
            data = made.refusal if made.status != 200 else json.dumps(made.answer(self.command, self.path)).encode()
            self.send_response(made.status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = _serve

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(client, "LIVY_PORT", server.server_address[1])
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def session(play: PlayLivy) -> FarSession:
    return FarSession(Livy(CONFIG), "j-1", "pyspark", sleep=lambda _seconds: None)


def requests(play: PlayLivy, method: str) -> list[tuple[str, Any]]:
    return [(path, body) for one, path, body, _ in play.asked if one == method]


def test_a_session_is_made_once_and_ended(play: PlayLivy, session: FarSession) -> None:
    session.settings = {"conf": {"a": "b"}}
    assert session.open() is Opened.NEW
    assert session.open() is Opened.THERE
    ((path, body),) = requests(play, "POST")
    assert path == "/sessions"
    assert body.pop("name").startswith("emr-studio-j-1-")
    assert body == {"kind": "pyspark", "heartbeatTimeoutInSecond": 120, "conf": {"a": "b"}}
    headers = play.asked[0][3]
    assert (headers["Authorization"], headers["X-Requested-By"]) == ("token ours", "emr-studio")
    session.end()
    session.end()
    assert requests(play, "DELETE") == [("/sessions/5", None)]


def test_one_that_does_not_start_says_why(play: PlayLivy, session: FarSession) -> None:
    play.session = ["starting", "dead"]
    with pytest.raises(SessionGone, match=r"(?s)is dead.*no memory"):
        session.open()
    assert not session.exists


def test_one_that_has_ended_is_made_again(play: PlayLivy, session: FarSession) -> None:
    session.open()
    play.session = ["dead", "idle"]
    assert session.open() is Opened.AGAIN
    session.end()


def test_a_statement_is_waited_for(play: PlayLivy, session: FarSession) -> None:
    session.open()
    done: list[float] = []
    output = {"status": "ok", "data": {"text/plain": "1"}}
    play.statement = [{"state": "waiting"}, {"state": "running", "progress": 0.5}]
    play.statement.append({"state": "available", "output": output})
    assert session.run("1", "spark", done.append) == output
    assert done == [0.0, 0.5]
    assert requests(play, "POST")[-1] == ("/sessions/5/statements", {"code": "1", "kind": "spark"})
    assert session.complete("ran", 3) == ["range"]
    session.end()


def test_an_interrupt_cancels_the_statement(play: PlayLivy, session: FarSession) -> None:
    session.open()
    play.statement = [{"state": "running", "progress": 0.0}, {"state": "cancelled", "output": None}]

    def interrupt(_done: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.run("1", "pyspark", interrupt)
    assert requests(play, "POST")[-1][0] == "/sessions/5/statements/7/cancel"
    session.end()


def test_an_interrupt_before_livy_has_answered_cancels_the_statement(
    play: PlayLivy, session: FarSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Livy has the statement, and tells its number after the interrupt; a second one does not keep it running."""
    session.open()
    play.statement = [{"state": "cancelled", "output": None}]
    main, answer = threading.main_thread().ident or 0, play.answer
    came, looked = threading.Event(), threading.Event()

    def interrupted(*_: Any) -> None:
        if not came.is_set():
            came.set()
            raise KeyboardInterrupt

    def interrupts(method: str, path: str) -> Any:
        if method == "POST":
            came.clear()
            # One that comes right before a thread waits is heard after that wait alone.
            while not came.wait(0.1):
                signal.pthread_kill(main, signal.SIGINT)
        if (method, path) == ("GET", "/sessions/5/statements/7"):
            looked.set()
        return answer(method, path)

    monkeypatch.setattr(play, "answer", interrupts)
    before = signal.signal(signal.SIGINT, interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            session.run("1", "pyspark", lambda _done: None)
        assert looked.wait(60)
    finally:
        signal.signal(signal.SIGINT, before)
    statement = "/sessions/5/statements"
    assert [path for path, _ in requests(play, "POST")[1:]] == [statement, f"{statement}/7/cancel"]
    session.end()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, b'{"msg": "requirement failed"}', "requirement failed"),
        (503, b'{"message": "livy.example.com does not answer"}', "livy.example.com does not answer"),
        (400, b'"Rejected"', "Rejected"),
        (500, b"<html>", "Livy answers HTTP 500."),
    ],
)
def test_refusals_are_told(play: PlayLivy, session: FarSession, status: int, body: bytes, words: str) -> None:
    play.status, play.refusal = status, body
    with pytest.raises(LivyError) as caught:
        session.open()
    assert str(caught.value) == words


def test_outputs() -> None:
    fields = {"fields": [{"name": "id"}, {"name": "<n>"}]}
    text, table = shown({"text/plain": "said", "application/json": {"schema": fields, "data": [[1, None], [2, "b"]]}})
    assert text == "said\n"
    assert table["text/plain"] == "id\t<n>\n1\t\n2\tb"
    assert "<th>&lt;n&gt;</th>" in table["text/html"]
    livys = {"headers": [{"name": 0, "type": "BIGINT_TYPE"}], "data": [[4]]}
    assert shown({"application/vnd.livy.table.v1+json": livys})[1]["text/plain"] == "0\n4"
    assert shown({"image/png": "abc"})[1]["image/png"] == "abc"
    assert shown({"application/json": {"a": 1}})[1]["application/json"] == {"a": 1}
    assert shown({"text/plain": ""}) == ("", {})


def test_progress_is_shown_of_what_takes_a_while() -> None:
    told: list[tuple[str, bool]] = []
    now = [0.0]
    progress = Progress(lambda data, _display, update: told.append((data["text/plain"], update)), lambda: now[0])
    progress.see(0.1)
    progress.end()
    assert told == []
    for now[0], done in ((1.0, 0.25), (1.1, 0.3), (2.0, 0.5)):
        progress.see(done)
    progress.end()
    lines = [("Livy is at work: 25%, 1 s", False), ("Livy is at work: 50%, 2 s", True), ("Livy: 2 s", True)]
    assert told == lines


class Refused:
    """As gRPC's errors, whose `code` has a name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def code(self) -> Refused:
        return self

    def details(self) -> str:
        return "why\nand where"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("UNAUTHENTICATED", "CREDENTIALS_REFUSED"),
        ("PERMISSION_DENIED", "CREDENTIALS_REFUSED"),
        ("UNAVAILABLE", "UNREACHABLE"),
        ("UNIMPLEMENTED", "NO_SPARK_CONNECT"),
    ],
)
def test_what_a_connect_server_refuses(name: str, code: str) -> None:
    told = far_connect.refusal("s:1", Refused(name))
    assert told["code"] == code
    assert "why" in told["message"]
    assert "where" not in told["message"]


def test_a_server_that_is_well_is_left_alone_while_nobody_uses_it() -> None:
    answers = [{"code": "UNREACHABLE", "message": "m"}, {"code": "", "message": ""}, {"code": "", "message": ""}]
    kernels = [False]
    health = far_connect.Health(lambda: answers.pop(0), lambda: kernels[0])
    assert (health.look(), health.look(), health.look(), len(answers)) == (5.0, 60.0, 60.0, 1)
    kernels[0] = True
    health.look()
    assert not answers
