"""Livy's protocol without Spark: what is asked, sessions and statements on kernels of a script, time that is given."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from emr_studio_cluster.config import NodeConfig
from emr_studio_cluster.livy import sessions
from emr_studio_cluster.livy.api import Answer, Api, Call
from emr_studio_cluster.livy.asked import LARGEST_BODY, Refused, seconds_of
from emr_studio_cluster.livy.batches import command_of
from emr_studio_cluster.livy.config import LivyConfig
from emr_studio_cluster.livy.sessions import Kernel, KernelGone
from emr_studio_cluster.livy.statements import Heard

HOUR = 3600.0


@dataclass
class PlayKernel:
    """Says what it is told to, and only once it is told to go on."""

    id: str = "k-1"
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    ran: list[str] = field(default_factory=list)
    closed: bool = False
    gone: bool = False
    has_driver: bool = True
    deaf: int = 0
    """So many interrupts come too early, and nothing hears them."""
    arrives: asyncio.Event | None = None
    """What interrupts are on their way for."""

    async def run(self, code: str, *, silent: bool = False) -> Heard:
        heard = Heard()
        if "interpreter.start" in code:
            heard.take("stream", {"text": '{"appId": "app-1", "sparkUiUrl": null}\n'})
            return heard
        if "__livy__.alive" in code:
            heard.take("stream", {"text": f"{self.has_driver}\n"})
            return heard
        self.ran.append(code)
        await self.go_on.wait()
        if self.gone:
            raise KernelGone("The session's kernel ended.")
        if code == "raise":
            heard.take(
                "error", {"ename": "E", "evalue": "\x1b[31mno\x1b[0m", "traceback": ["a", "\x1b[31mE: no\x1b[0m"]}
            )
        else:
            heard.take("stream", {"text": "printed\n"})
            heard.take("execute_result", {"data": {"text/plain": code, "text/html": "<b>"}})
        return heard

    async def complete(self, code: str, cursor: int) -> list[str]:
        return [code[:cursor] + "x"]

    async def interrupt(self) -> None:
        if self.arrives is not None:
            await self.arrives.wait()
        self.deaf -= 1
        if self.deaf < 0:
            self.go_on.set()

    async def close(self) -> None:
        self.closed = True


@dataclass
class PlayKernels:
    """Hands out one kernel; it is the one that is taken over as well."""

    kernel: PlayKernel = field(default_factory=PlayKernel)
    refuses: str = ""

    async def start(self) -> Kernel:
        if self.refuses:
            raise KernelGone(self.refuses)
        return self.kernel

    async def adopt(self, kernel_id: str) -> Kernel:
        assert kernel_id == self.kernel.id
        return await self.start()


class Play:
    """An API with its own time."""

    def __init__(self, folder: Path, **conf: str) -> None:
        self.folder = folder
        self.conf = {name.replace("__", "-").replace("_", "."): value for name, value in conf.items()}
        self.now = 1000.0
        self.kernels = PlayKernels()
        self.api = self.again()

    def again(self) -> Api:
        """As after the program was started anew."""
        node = NodeConfig("j-1", "127.0.0.1", "127.0.0.1", True, "s", "t", livy_conf=self.conf)
        self.api = Api(node, self.folder, self.kernels, lambda: self.now)
        self.api.take_over()
        return self.api

    async def ask(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await self.api.answer(Call(method, path, query, sent, "jo"))
        json.dumps(answer.document)
        return answer

    async def until(self, path: str, **wanted: Any) -> dict[str, Any]:
        """What is there, once it has these members."""
        for _ in range(1000):
            found: dict[str, Any] = (await self.ask("GET", path)).document
            if all(found.get(name) == value for name, value in wanted.items()):
                return found
            await asyncio.sleep(0)
        raise AssertionError(found)

    async def session(self, **body: Any) -> str:
        """A session that is idle; its path."""
        created = await self.ask("POST", "/sessions", {"kind": "pyspark", **body})
        assert created.status == 201, created
        await self.until(created.location, state="idle")
        return created.location


def played(test: Callable[[Play], Awaitable[None]], folder: Path, **conf: str) -> None:
    async def run() -> None:
        await test(Play(folder, **conf))

    asyncio.run(run())


def test_a_statement_runs_and_tells_what_it_printed_and_was_worth(tmp_path: Path) -> None:
    async def test(play: Play) -> None:
        path = await play.session(name="mine", conf={"spark.x": True})
        shown = (await play.ask("GET", path)).document
        assert (shown["appId"], shown["owner"], shown["name"], shown["kind"]) == ("app-1", "jo", "mine", "pyspark")
        assert (await play.ask("GET", "/sessions/mine/state")).document == {"id": 0, "state": "idle"}
        made = await play.ask("POST", f"{path}/statements", {"code": "1+1"})
        assert (made.status, made.location, made.document["state"]) == (201, "/sessions/0/statements/0", "waiting")
        await play.until(made.location, state="running", output=None, progress=0.0)
        progress = tmp_path / "sessions" / "0" / "progress"
        progress.write_text("0.25")
        os.utime(progress, (play.now - 1, play.now - 1))
        assert (await play.ask("GET", made.location)).document["progress"] == 0.0
        os.utime(progress, (play.now, play.now))
        assert (await play.ask("GET", made.location)).document["progress"] == 0.25
        assert (await play.ask("GET", path)).document["state"] == "busy"
        play.kernels.kernel.go_on.set()
        done = await play.until(made.location, state="available", progress=1.0)
        assert done["output"] == {"status": "ok", "execution_count": 0, "data": {"text/plain": "printed\n1+1"}}
        await play.until(path, state="idle")
        made = await play.ask("POST", f"{path}/statements", {"code": "raise"})
        done = await play.until(made.location, state="available")
        wanted = {"status": "error", "execution_count": 1, "ename": "E", "evalue": "no", "traceback": ["a\n", "E: no"]}
        assert done["output"] == wanted
        listed = (await play.ask("GET", f"{path}/statements", order="desc", size="1")).document
        assert listed["total_statements"] == 2
        assert [one["id"] for one in listed["statements"]] == [1]
        completed = await play.ask("POST", f"{path}/completion", {"code": "spa", "kind": "pyspark", "cursor": 3})
        assert completed.document == {"candidates": ["spax"]}

    played(test, tmp_path)


def test_kinds_of_statements_are_calls_of_the_interpreter(tmp_path: Path) -> None:
    async def test(play: Play) -> None:
        play.kernels.kernel.go_on.set()
        path = await play.session(kind="shared")
        assert (await play.ask("POST", f"{path}/statements", {"code": "1"})).status == 400
        for kind in ("sql", "spark", "pyspark3"):
            made = await play.ask("POST", f"{path}/statements", {"code": "it's", "kind": kind})
            await play.until(made.location, state="available")
        assert play.kernels.kernel.ran == ['__livy__.sql("it\'s")', '__livy__.scala("it\'s")', "it's"]

    played(test, tmp_path)


def test_cancelling(tmp_path: Path) -> None:
    async def test(play: Play) -> None:
        path = await play.session()
        await play.ask("POST", f"{path}/statements", {"code": "long"})
        await play.ask("POST", f"{path}/statements", {"code": "never"})
        await play.until(f"{path}/statements/0", state="running")
        assert (await play.ask("POST", f"{path}/statements/1/cancel", {})).document == {"msg": "canceled"}
        assert (await play.ask("GET", f"{path}/statements/1")).document["state"] == "cancelled"
        await play.ask("POST", f"{path}/statements/0/cancel", {})
        assert (await play.until(f"{path}/statements/0", state="cancelled"))["output"] is None
        await play.until(path, state="idle")
        assert play.kernels.kernel.ran == ["long"]
        assert (await play.ask("POST", f"{path}/statements/0/cancel")).status == 200

    played(test, tmp_path)


def test_an_interrupt_that_nothing_heard_is_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_INTERRUPT_SECONDS", 0.001)

    async def test(play: Play) -> None:
        play.kernels.kernel.deaf = 3
        path = await play.session()
        await play.ask("POST", f"{path}/statements", {"code": "long"})
        await play.until(f"{path}/statements/0", state="running")
        await play.ask("POST", f"{path}/statements/0/cancel", {})
        async with asyncio.timeout(60):
            await play.kernels.kernel.go_on.wait()
        await play.until(f"{path}/statements/0", state="cancelled")
        assert play.kernels.kernel.deaf == -1

    played(test, tmp_path)


def test_an_interrupt_on_its_way_does_not_hit_the_next_statement(tmp_path: Path) -> None:
    async def test(play: Play) -> None:
        kernel, arrives = play.kernels.kernel, asyncio.Event()
        path = await play.session()
        for code in ("ends by itself", "next"):
            await play.ask("POST", f"{path}/statements", {"code": code})
        await play.until(f"{path}/statements/0", state="running")
        kernel.arrives = arrives
        await play.ask("POST", f"{path}/statements/0/cancel", {})
        kernel.go_on.set()
        for _ in range(100):
            await asyncio.sleep(0)
        assert kernel.ran == ["ends by itself"]
        assert (await play.ask("GET", f"{path}/statements/1")).document["state"] == "waiting"
        arrives.set()
        await play.until(f"{path}/statements/0", state="cancelled")
        await play.until(f"{path}/statements/1", state="available")

    played(test, tmp_path)


@pytest.mark.parametrize(
    ("request_line", "body", "status", "message"),
    [
        ("GET /sessions/7", None, 404, "Session '7' not found."),
        ("GET /sessions/-1", None, 404, "Session '-1' not found."),
        ("DELETE /batches/7", None, 404, "Session '7' not found."),
        ("GET /sessions/0/statements/9", None, 404, "Statement not found"),
        ("GET /sessions/0/statements/x", None, 404, "Statement not found"),
        ("GET /nothing", None, 404, "There is nothing at /nothing."),
        ("GET /sessions/0/nothing", None, 404, "There is nothing at /sessions/0/nothing."),
        ("PUT /sessions", {}, 405, "PUT is not served at /sessions."),
        ("POST /sessions", b"{", 400, "The body is not JSON"),
        ("POST /sessions", [], 400, "The body must be an object."),
        ("POST /sessions", {"kind": "cobol"}, 400, "Invalid kind: cobol"),
        ("POST /sessions", {"kind": "sparkr"}, 400, "SparkR is not available on this cluster"),
        ("POST /sessions", {"kynd": "spark"}, 400, 'Unrecognized field "kynd"'),
        ("POST /sessions", {"proxyUser": "ann"}, 403, "User 'jo' not allowed to impersonate 'ann'."),
        ("POST /sessions", {"driverMemory": "much"}, 400, "driverMemory must be a size"),
        ("POST /sessions", {"numExecutors": 0}, 400, "numExecutors must be a whole number"),
        ("POST /sessions", {"executorCores": True}, 400, "executorCores must be a whole number"),
        ("POST /sessions", {"jars": "a.jar"}, 400, "jars must be a list."),
        ("POST /sessions", {"ttl": "soon"}, 400, "Invalid time string: soon"),
        (
            "POST /sessions",
            {"conf": {"spark.master": "local"}},
            400,
            "requirement failed: Blacklisted configuration values",
        ),
        (
            "POST /sessions",
            {"conf": {"spark.authenticate.secret": "x"}},
            400,
            "requirement failed: Blacklisted configuration values",
        ),
        ("POST /sessions", {"conf": {"spark.x": {}}}, 400, "conf.spark.x must be a text."),
        ("POST /batches", {}, 400, "requirement failed: File is required."),
        ("POST /batches", {"file": "--class"}, 400, "file must be a path."),
        ("POST /batches", {"file": "a", "kind": "spark"}, 400, 'Unrecognized field "kind"'),
        ("POST /sessions/0/statements", {"code": 1}, 400, "code must be a text."),
        ("POST /sessions/0/statements", {"code": "1", "kind": "r"}, 400, "Invalid kind: r"),
        ("POST /sessions/0/statements", b" " * (LARGEST_BODY + 1), 413, "The request is larger than"),
        ("POST /sessions/0/completion", {"code": "a", "cursor": "1"}, 400, "cursor must be a number."),
        ("GET /sessions?from", None, 404, "There is nothing"),
    ],
)
def test_what_is_refused(tmp_path: Path, request_line: str, body: Any, status: int, message: str) -> None:
    async def test(play: Play) -> None:
        await play.session()
        method, path = request_line.split()
        answer = await play.ask(method, path, body)
        assert (answer.status, answer.document["msg"][: len(message)]) == (status, message)

    played(test, tmp_path)


def test_a_bad_number_in_a_query(tmp_path: Path) -> None:
    async def test(play: Play) -> None:
        assert (await play.ask("GET", "/sessions", **{"from": "x"})).status == 400
        assert (await play.ask("GET", "/sessions", size="9" * 40)).document["sessions"] == []

    played(test, tmp_path)


def test_a_session_whose_kernel_ends_is_dead_and_says_why(tmp_path: Path) -> None:
    async def test(play: Play) -> None:
        path = await play.session()
        await play.ask("POST", f"{path}/statements", {"code": "1"})
        await play.ask("POST", f"{path}/statements", {"code": "2"})
        await play.until(f"{path}/statements/0", state="running")
        play.kernels.kernel.gone = True
        play.kernels.kernel.go_on.set()
        await play.until(path, state="dead", log=["The session's kernel ended."])
        for number in (0, 1):
            output = (await play.ask("GET", f"{path}/statements/{number}")).document["output"]
            assert output["evalue"] == "The session ended: The session's kernel ended."
        answer = await play.ask("POST", f"{path}/statements", {"code": "3"})
        assert (answer.status, answer.document) == (400, {"msg": "Session is in state dead"})
        assert (await play.ask("POST", f"{path}/completion", {"code": "3"})).status == 400
        # It can be asked for a while.
        play.now += 599
        await play.api.tend()
        assert (await play.ask("GET", path)).status == 200
        play.now += 2
        await play.api.tend()
        assert (await play.ask("GET", path)).status == 404

    played(test, tmp_path)


def test_a_driver_that_ended_takes_the_session_along(tmp_path: Path) -> None:
    async def test(play: Play) -> None:
        path = await play.session()
        play.kernels.kernel.has_driver = False
        play.kernels.kernel.go_on.set()
        await play.ask("POST", f"{path}/statements", {"code": "raise"})
        await play.until(path, state="dead")
        assert play.kernels.kernel.closed
        assert (await play.ask("GET", f"{path}/statements/0")).document["output"]["ename"] == "E"

    played(test, tmp_path)


def test_a_session_that_cannot_start_is_dead(tmp_path: Path) -> None:
    async def test(play: Play) -> None:
        play.kernels.refuses = "no memory"
        made = await play.ask("POST", "/sessions", {"kind": "spark"})
        await play.until(made.location, state="dead")
        assert (await play.ask("GET", f"{made.location}/log")).document["log"] == ["no memory"]

    played(test, tmp_path)


def test_an_idle_session_ends_and_one_that_works_does_not(tmp_path: Path) -> None:
    async def test(play: Play) -> None:
        idle, busy, own = await play.session(), await play.session(), await play.session(ttl="10h")
        await play.ask("POST", f"{busy}/statements", {"code": "1"})
        await play.until(f"{busy}/statements/0", state="running")
        play.now += 2 * HOUR - 1
        await play.api.tend()
        assert (await play.ask("GET", idle)).status == 200
        play.now += 2
        await play.api.tend()
        assert [(await play.ask("GET", one)).status for one in (idle, busy, own)] == [404, 200, 200]
        assert not (tmp_path / "sessions" / "0").exists()
        # It is idle from the end of what it ran.
        play.kernels.kernel.go_on.set()
        await play.until(busy, state="idle")
        await play.api.tend()
        assert (await play.ask("GET", busy)).status == 200
        play.now += 9 * HOUR
        await play.api.tend()
        assert [(await play.ask("GET", one)).status for one in (busy, own)] == [404, 404]

    played(test, tmp_path, livy_server_session_timeout="2h")


def test_a_session_whose_client_went_away_ends(tmp_path: Path) -> None:
    async def test(play: Play) -> None:
        path = await play.session(heartbeatTimeoutInSecond=60)
        play.now += 59
        await play.ask("GET", path)
        play.now += 59
        await play.api.tend()
        assert (await play.ask("GET", path)).status == 200
        play.now += 61
        await play.api.tend()
        assert (await play.ask("GET", path)).status == 404

    played(test, tmp_path, livy_server_session_timeout__check="false")


def test_a_restart_finds_sessions_and_what_they_said(tmp_path: Path) -> None:
    async def test(play: Play) -> None:
        play.kernels.kernel.go_on.set()
        path = await play.session(name="kept", ttl="3h")
        await play.ask("POST", f"{path}/statements", {"code": "1"})
        await play.until(f"{path}/statements/0", state="available")
        play.kernels.kernel.go_on.clear()
        await play.ask("POST", f"{path}/statements", {"code": "2"})
        await play.until(f"{path}/statements/1", state="running")
        play.again()
        await play.until(path, state="idle", name="kept", ttl="3h", appId="app-1")
        outputs = [(await play.ask("GET", f"{path}/statements/{one}")).document["output"] for one in (0, 1)]
        assert outputs[0]["data"] == {"text/plain": "printed\n1"}
        assert outputs[1]["ename"] == "LivyRestarted"
        # Numbers go on.
        await play.ask("DELETE", path)
        assert (await play.session()) == "/sessions/1"
        play.kernels.refuses = "gone"
        play.again()
        await play.until("/sessions/1", state="dead")

    played(test, tmp_path)


def test_too_many_sessions(tmp_path: Path) -> None:
    async def test(play: Play) -> None:
        await play.session()
        assert (await play.ask("POST", "/sessions", {"kind": "spark"})).status == 429

    played(test, tmp_path, livy_server_session_max__creation="1")


def test_only_the_newest_statements_are_kept(tmp_path: Path) -> None:
    async def test(play: Play) -> None:
        play.kernels.kernel.go_on.set()
        path = await play.session()
        for number in range(5):
            await play.ask("POST", f"{path}/statements", {"code": "1"})
            await play.until(f"{path}/statements/{number}", state="available")
        listed = (await play.ask("GET", f"{path}/statements")).document["statements"]
        assert [one["id"] for one in listed] == [2, 3, 4]
        assert sorted(path.name for path in (tmp_path / "sessions" / "0").glob("statement-*"))[0] == "statement-2.json"

    played(test, tmp_path, livy_rsc_retained__statements="3")


def test_what_a_batch_submits() -> None:
    from emr_studio_cluster.livy.asked import batch_of

    body = {
        **{"file": "s3://b/a.jar", "className": "a.B", "args": ["x", 1], "name": "n", "numExecutors": 2},
        **{
            "executorCores": 3,
            "executorMemory": "2g",
            "pyFiles": ["a", "b"],
            "conf": {"spark.y": 1},
            "proxyUser": "jo",
        },
    }
    command = command_of(batch_of(body, "jo"))
    assert command[0] == "spark-submit"
    assert command[-5:] == ["--class", "a.B", "s3://b/a.jar", "x", "1"]
    settings = {"spark.cores.max=6", "spark.executor.memory=2g", "spark.submit.pyFiles=a,b", "spark.y=1"}
    assert settings | {"spark.app.name=n", "spark.executor.cores=3"} <= set(command)


def test_settings_of_livy_conf() -> None:
    assert LivyConfig.of({}) == LivyConfig()
    conf = {
        "livy.server.session.timeout": "90m",
        "livy.server.session.state-retain.sec": "x",
        "livy.rsc.sql.num-rows": "5",
    }
    found = LivyConfig.of(conf)
    assert (found.timeout_seconds, found.retain_seconds, found.sql_rows) == (5400, 600, 5)
    assert [seconds_of(text) for text in ("90s", "1h", "1500", "2d")] == [90, 3600, 1.5, 172800]
    with pytest.raises(Refused):
        seconds_of("-1h")


def test_what_is_printed_without_end_is_cut() -> None:
    heard = Heard()
    for _ in range(10):
        heard.take("stream", {"text": "x" * 1024 * 1024})
    text = heard.output(0)["data"]["text/plain"]
    assert len(text) < 2 * 1024 * 1024
    assert text.endswith("the rest is left out.")
