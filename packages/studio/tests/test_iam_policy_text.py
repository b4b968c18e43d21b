"""Where statements stand in a policy's text, and which context keys they name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emr_studio.iam.policy_text import context_keys, spans, without_doubles

STATEMENT = {"Effect": "Allow", "Action": "s3:*", "Resource": 'odd "}]{[ \\ text'}


def cut(text: str, index: int) -> Any:
    """The statement that a span covers, read from the text."""
    span = spans(text)[index]
    lines = text.split("\n")
    start = sum(len(line) + 1 for line in lines[: span.start.line - 1]) + span.start.column - 2
    end = sum(len(line) + 1 for line in lines[: span.end.line - 1]) + span.end.column - 1
    return json.loads(text[start:end])


@pytest.mark.parametrize("indent", [None, 0, 2, "\t"])
@pytest.mark.parametrize("order", [("Version", "Statement"), ("Statement", "Version")])
def test_spans_cover_the_statements(indent: Any, order: tuple[str, str]) -> None:
    whole: dict[str, Any] = {"Version": "2012-10-17", "Statement": [STATEMENT, {**STATEMENT, "Sid": "Two"}]}
    text = json.dumps({name: whole[name] for name in order}, indent=indent)
    assert [cut(text, index) for index in range(2)] == whole["Statement"]
    assert cut(json.dumps({"Statement": STATEMENT}, indent=indent), 0) == STATEMENT


@given(st.lists(st.dictionaries(st.text(), st.text() | st.lists(st.text())), min_size=1), st.sampled_from([None, 1]))
def test_spans_of_anything(statements: list[dict[str, Any]], indent: int | None) -> None:
    text = json.dumps({"Id": "x", "Statement": statements}, indent=indent, ensure_ascii=False)
    if len(text.splitlines()) == len(text.split("\n")):
        assert [cut(text, index) for index in range(len(statements))] == statements


def test_keys_of_conditions_and_variables() -> None:
    statement = {
        "Resource": ["arn:aws:s3:::b/${aws:username}/${*}/${aws:PrincipalTag/team, 'none'}"],
        "Condition": {"StringLike": {"s3:prefix": ["${aws:userid}", "x"]}, "Bool": {"aws:SecureTransport": "true"}},
    }
    names = {"aws:username", "aws:PrincipalTag/team", "s3:prefix", "aws:userid", "aws:SecureTransport"}
    assert context_keys(json.dumps({"Version": "2012-10-17", "Statement": statement})) == [names]
    # The older version of the language has no variables.
    assert context_keys(json.dumps({"Statement": [statement, {}]})) == [{"s3:prefix", "aws:SecureTransport"}, set()]
    assert without_doubles({"aws:UserName", "aws:username", "a:b"}) == ["a:b", "aws:UserName"]
