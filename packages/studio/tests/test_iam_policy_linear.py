"""No pattern makes matching slow: work is counted, not timed.

Expressions are only made of patterns whose every searched piece is short (atomic groups: no place is
tried twice); for all others the steps of the interpreter are counted, at two sizes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from emr_studio.iam.policy import glob
from emr_studio.iam.policy.cases import decide_line

PATTERNS: dict[str, Callable[[int], str]] = {
    "stars": lambda n: "a*" * n + "b",
    "stars and marks": lambda n: "*?" * n + "b",
    "marks": lambda n: "*" + "?" * n + "b",
    "one long piece": lambda n: "*" + "a" * n + "b*",
    "a long piece with marks": lambda n: "*" + "a?" * n + "b*",
    "a long piece at the end": lambda n: "*" + "a" * n + "?b",
    "many pieces with marks": lambda n: "*a?b" * n,
    "pieces that nearly fit": lambda n: "*aaaaaaaaac" * (n // 10),
}


def steps(work: Callable[[], object]) -> int:
    """Lines of Python that `work` runs."""
    count = 0

    def local(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return local

    before = sys.gettrace()
    sys.settrace(lambda _frame, _event, _argument: local)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("name", PATTERNS)
def test_steps_grow_with_the_length_alone(name: str) -> None:
    def work(size: int) -> int:
        tokens, text = glob._tokenize(PATTERNS[name](size)), "a" * 4 * size
        assert not glob.match_tokens(tokens, text)
        return steps(lambda: glob.match_tokens(tokens, text))

    small, large = work(500), work(2000)
    assert large < 30 * 2000 * 4
    assert large <= 4.5 * small + 100


def test_expressions_are_made_of_short_pieces_only() -> None:
    for name, pattern in PATTERNS.items():
        usual = glob._is_usual((glob._tokenize(pattern(2000)),))
        assert not usual, name
    assert glob._is_usual((glob.tokenize("arn:aws:ec2:*:123456789012:instance/i-*/?x*"),))


def test_expressions_never_go_back() -> None:
    """Every star but the last of a piece is in an atomic group."""
    source = glob.expression(glob.tokenize("a*b*c*d"))
    assert source == "a(?>.*?b)(?>.*?c).*d"


@pytest.mark.parametrize("name", PATTERNS)
def test_whole_decisions(name: str) -> None:
    """Ten thousand characters of pattern, twenty of text, wherever patterns stand; pytest's time limit is the bound."""
    pattern = PATTERNS[name](5000)
    condition = {
        "StringLike": {"x:k": pattern},
        "StringNotLike": {"x:k": [pattern, "${x:v}*" * 500 + "b"]},
        "ForAnyValue:ArnLike": {"x:a": f"arn:aws:s3:::{pattern}"},
    }
    statement = {"Action": f"s3:{pattern}", "Resource": f"arn:aws:s3:::{pattern}", "Condition": condition}
    wide = {**statement, "Action": "*", "NotResource": statement["Resource"]}
    del wide["Resource"]
    version = {"Version": "2012-10-17"}
    text = "a" * 20_000
    for one in (statement, {**statement, "Action": "*"}, {**statement, "Action": "*", "Resource": "*"}, wide):
        case = {
            "id": 1,
            "principal": {"type": "user", "arn": "arn:aws:iam::1:user/u", "account": "1"},
            "identityPolicies": [{**version, "Statement": {"Effect": "Allow", **one}}],
            "request": {
                "action": f"s3:{text}",
                "resource": f"arn:aws:s3:::{text}",
                "resourceAccount": "1",
                "context": {"x:k": text, "x:v": "a", "x:a": [f"arn:aws:s3:::{text}"] * 3},
            },
        }
        assert json.loads(decide_line(json.dumps(case).encode())) == {"id": 1, "decision": "ImplicitlyDenied", "by": []}
