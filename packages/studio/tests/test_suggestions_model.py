"""The model's server: what it is asked, what is taken from its answer, and how it fails."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from emr_studio.aws.errors import AwsError
from emr_studio.clock import FakeClock
from emr_studio.settings import Settings
from emr_studio.suggestions import model as room
from emr_studio.suggestions.errors import ModelAway, Throttled
from emr_studio.suggestions.model import AT_A_TIME, MOST_BYTES, CodeModel
from emr_studio.suggestions.prompt import MOST_AFTER, MOST_ANSWER, MOST_BEFORE, Question
from tests.support.model_server import ModelServer, model_server
from tests.support.studio import until

QUESTION = Question("import os\nx = ", "\nprint(x)", "a.ipynb")


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with model_server() as found:
        yield found


def code_model(server: ModelServer, tmp_path: Path, **changes: Any) -> CodeModel:
    given = {"suggestions_url": server.url, "suggestions_model": "coder"} | changes
    return CodeModel(Settings(data_dir=tmp_path, **given), FakeClock())


def failed(model: CodeModel, count: int = 5) -> AwsError:
    with pytest.raises(AwsError) as raised:
        model.suggest(QUESTION, count)
    return raised.value


def test_a_chat_has_both_sides_of_the_caret_and_the_key(server: ModelServer, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("sk-1\n")
    model = code_model(server, tmp_path, suggestions_key_file=key)
    assert model.suggest(QUESTION, 5) == ["1 + 1"]
    (path, body, authorization) = server.asked[0]
    assert (path, authorization, body["model"]) == ("/v1/chat/completions", "Bearer sk-1", "coder")
    assert "import os\nx = <CURSOR>\nprint(x)" in body["messages"][-1]["content"]
    assert body["max_tokens"] <= 256
    assert "n" not in body
    key.write_text("sk-2")
    model.suggest(QUESTION, 5)
    assert server.asked[1][2] == "Bearer sk-2"


def test_completions_have_a_suffix_or_the_models_own_marks(server: ModelServer, tmp_path: Path) -> None:
    code_model(server, tmp_path, suggestions_api="completions").suggest(QUESTION, 1)
    path, body, authorization = server.asked[0]
    assert (path, body["prompt"], body["suffix"]) == ("/v1/completions", QUESTION.before, QUESTION.after)
    assert authorization is None
    marks = "<pre>{before}<suf>{after}<mid>"
    odd = Question("'{after}'", "{before}", "a.py")
    code_model(server, tmp_path, suggestions_api="completions", suggestions_prompt=marks).suggest(odd, 1)
    assert server.asked[1][1]["prompt"] == "<pre>'{after}'<suf>{before}<mid>"
    assert "suffix" not in server.asked[1][1]


def test_a_question_is_bounded_and_keeps_what_is_near() -> None:
    question = Question.about("a" * 20_000 + "b", "c" + "d" * 20_000, "a.py")
    assert question.before == "a" * (MOST_BEFORE - 1) + "b"
    assert question.after == "c" + "d" * (MOST_AFTER - 1)
    assert MOST_BEFORE + MOST_AFTER <= 10_240


def test_half_a_character_is_no_failure(server: ModelServer, tmp_path: Path) -> None:
    found = code_model(server, tmp_path).suggest(Question.about("x = '\ud83d", "\udc4d'", "a.py"), 1)
    assert found == ["1 + 1"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("1 + 1", "1 + 1"),
        ("```python\n1 + 1\n```\nThat adds.", "1 + 1"),
        ("<think>what is x?</think>\n\n```\n1 + 1\n```", "1 + 1"),
        ("x = 1 + 1", "1 + 1"),
        ("\n    y = 2\n", "\n    y = 2"),
        ("q" * 2 * MOST_ANSWER, "q" * MOST_ANSWER),
    ],
)
def test_of_a_chat_only_the_code_is_taken(server: ModelServer, tmp_path: Path, said: str, code: str) -> None:
    server.says = lambda _: [said]
    assert code_model(server, tmp_path).suggest(QUESTION, 1) == [code]


def test_several_are_asked_for_where_that_is_set_and_each_is_there_once(server: ModelServer, tmp_path: Path) -> None:
    server.says = lambda _: ["1", "2", "1", "", "   ", "3", "4", "5"]
    model = code_model(server, tmp_path, suggestions_count=3)
    assert model.suggest(QUESTION, 10) == ["1", "2", "3"]
    assert model.suggest(QUESTION, 2) == ["1", "2"]
    assert [body.get("n") for _, body, _ in server.asked] == [3, 2]
    server.says = lambda _: []
    assert model.suggest(QUESTION, 3) == []


@pytest.mark.parametrize(
    ("status", "raw", "says"),
    [
        (200, b"<html>", "is not JSON.*suggestions_url and suggestions_api"),
        (200, b"[" * 100_000, "is not JSON"),
        (200, b"[]", "no list `choices`"),
        (200, b'{"choices": 1}', "no list `choices`"),
        (200, b'{"choices": [1]}', "a choice has no text"),
        (200, b'{"choices": [{"message": {"content": null}}]}', "a choice has no text"),
        (200, b" " * (MOST_BYTES + 1), f"more than {MOST_BYTES} bytes"),
        (401, b"{}", "refuses the key.*suggestions_key_file"),
        (403, b"{}", "refuses the key"),
        (404, b"{}", "no such address or model.*suggestions_url and suggestions_model"),
        (400, b'{"error": "Unsupported param: suffix"}', "HTTP 400.*suggestions_api"),
        (500, b"", "HTTP 500"),
        (302, b"", "HTTP 302"),
    ],
)
def test_an_answer_that_is_of_no_use_says_where_to_look(
    server: ModelServer, tmp_path: Path, status: int, raw: bytes, says: str
) -> None:
    server.status, server.raw = status, raw
    error = failed(code_model(server, tmp_path))
    assert (type(error), error.code, error.status) == (ModelAway, "ServiceUnavailableException", 503)
    assert re.search(says, error.message), error.message


def test_a_server_that_has_too_much_to_do_throttles(server: ModelServer, tmp_path: Path) -> None:
    server.status = 429
    assert (failed(code_model(server, tmp_path)).code) == "ThrottlingException"


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        gone = ModelServer(f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
        assert "cannot be reached (ConnectError)" in failed(code_model(gone, tmp_path)).message
    wrong = ModelServer("http://[broken")
    assert "cannot be reached" in failed(code_model(wrong, tmp_path)).message


@pytest.mark.parametrize("text", ["two\nlines", "gr\u00fcn"])
def test_a_key_that_is_none(server: ModelServer, tmp_path: Path, text: str) -> None:
    file = tmp_path / "key"
    model = code_model(server, tmp_path, suggestions_key_file=file)
    assert "cannot be read" in failed(model).message
    file.write_text(text)
    assert "not one line of text" in failed(model).message
    assert not server.asked


def test_a_slow_server_is_left(server: ModelServer, tmp_path: Path) -> None:
    server.free.clear()
    assert (
        "did not answer within 0.2 s" in failed(code_model(server, tmp_path, suggestions_timeout_seconds=0.2)).message
    )


def test_one_that_sends_without_end_is_left(
    server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter([0.0, 11.0])
    monkeypatch.setattr(room, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    monkeypatch.setattr(httpx, "Client", lambda **_: _Dripping())
    assert "did not answer within 10 s" in failed(code_model(server, tmp_path)).message


class _Dripping:
    """A client whose answer has come in part when the time is over."""

    status_code = 200

    def stream(self, *_: Any, **__: Any) -> _Dripping:
        return self

    def __enter__(self) -> _Dripping:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def iter_bytes(self) -> Iterator[bytes]:
        yield json.dumps({"choices": []}).encode()
        raise AssertionError("read on after the time was over")


def test_more_than_so_many_at_a_time_are_throttled(server: ModelServer, tmp_path: Path) -> None:
    server.free.clear()
    model = code_model(server, tmp_path)
    threads = [threading.Thread(target=model.suggest, args=(QUESTION, 1)) for _ in range(AT_A_TIME)]
    for thread in threads:
        thread.start()
    until("all are being asked", lambda: len(server.asked) == AT_A_TIME)
    assert isinstance(failed(model), Throttled)
    server.free.set()
    for thread in threads:
        thread.join()
    assert model.suggest(QUESTION, 1) == ["1 + 1"]


def test_a_user_has_so_many_turns_a_minute(server: ModelServer, tmp_path: Path) -> None:
    clock = FakeClock()
    model = CodeModel(Settings(data_dir=tmp_path, suggestions_url=server.url, suggestions_per_minute=2), clock)
    for _ in range(2):
        model.take_turn("1", "ann")
    clock.advance(45)
    with pytest.raises(Throttled, match="again in 15 s"):
        model.take_turn("1", "ann")
    model.take_turn("1", "ben")
    clock.advance(15)
    model.take_turn("1", "ann")
