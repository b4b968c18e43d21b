"""`emr-studio iam evaluate` as a process, and what it makes of odd lines."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from emr_studio.iam.policy.cases import decide_line, decide_lines
from tests.support.iam_cases import random_case

COMMAND = [sys.executable, "-c", "from emr_studio.cli.iam import app; app()", "evaluate"]
ALLOW = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}


def case(**changes: Any) -> dict[str, Any]:
    return {
        "id": 7,
        "principal": {"type": "user", "arn": "arn:aws:iam::111111111111:user/ann", "account": "111111111111"},
        "identityPolicies": [ALLOW],
        "request": {"action": "s3:Get", "resource": "*", "resourceAccount": "111111111111", "context": {}},
    } | changes


def line(**changes: Any) -> bytes:
    return json.dumps(case(**changes)).encode()


def answer(given: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(decide_line(given))
    return found


def test_one_decision_a_line() -> None:
    random = Random(1)
    lines = [json.dumps(random_case(random)).encode() for _ in range(50)]
    lines[10] = b"not json"
    lines.insert(20, b"")
    run = subprocess.run(COMMAND, input=b"\n".join(lines), stdout=subprocess.PIPE, check=True, timeout=120)
    assert run.stdout.splitlines() == [decide_line(line) for line in lines if line]


@contextmanager
def dialogue() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_each_answer_is_there_before_the_next_question() -> None:
    with dialogue() as process:
        assert process.stdin
        assert process.stdout
        for number in range(3):
            process.stdin.write(line(id=number) + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == number


def test_a_reader_that_goes_away_is_no_fault() -> None:
    with dialogue() as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(line() + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        with pytest.raises(BrokenPipeError):
            process.stdin.writelines([line() + b"\n"] * 100_000)
        assert process.wait(120) == 0
        assert process.stderr.read() == b""


def resident_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmRSS")) / 1024


def test_a_long_stream_of_different_policies_takes_bounded_memory() -> None:
    """Twenty thousand lines with policies that nobody saw before: what is remembered has a limit."""

    def different(number: int) -> bytes:
        statement = ALLOW["Statement"] | {"Resource": [f"arn:aws:s3:::bucket-{number}/*", "*"]}  # type: ignore[operator]
        return line(id=number, identityPolicies=[{**ALLOW, "Statement": statement}]) + b"\n"

    sizes = []
    with dialogue() as process:
        assert process.stdin
        assert process.stdout
        # Fifty at a time, which the pipes hold: each turn to the other process and back costs a loaded machine most.
        for first in range(0, 20_000, 50):
            process.stdin.write(b"".join(map(different, range(first, first + 50))))
            process.stdin.flush()
            for number in range(first, first + 50):
                assert process.stdout.readline().startswith(b'{"id":%d,"decision":"Allowed"' % number)
            if first in (10_000, 19_950):
                sizes.append(resident_megabytes(process.pid))
    assert sizes[1] - sizes[0] < 10
    assert sizes[1] < 200


@pytest.mark.parametrize(
    "identifier", ['"a"', "1.0", "123456789012345678901234567890", "null", '{"a": [1]}', "1e400", '"\\u00e9"', "true"]
)
def test_ids_come_back_as_they_were_written(identifier: str) -> None:
    given = line().replace(b'"id": 7', f'"id": {identifier}'.encode())
    assert decide_line(given).startswith(f'{{"id":{identifier},"decision":"Allowed"'.encode())
    wrong = given.replace(b'"user"', b'"alien"')
    assert decide_line(wrong).startswith(f'{{"id":{identifier},"error":'.encode())


@pytest.mark.parametrize(
    ("spoiled", "identifier"),
    [
        (line()[:80], 7),  # cut off
        (line(id='a"b')[:80], 'a"b'),
        (line().replace(b'"*"', b"NaN", 1), 7),
        (line().replace(b"user/ann", b"user/\xff"), 7),
        (line(other="x").replace(b'"x"', b'"\xff"'), 7),
        (line(other=1).replace(b'"other": 1', b'"other": ' + b"[" * 100_000), 7),
        (line(other=1).replace(b'"other": 1', b'"other": ' + b"[" * 5000 + b"]" * 5000), 7),
        (line(identityPolicies=[None]), 7),
        (line(identityPolicies=["no policy"]), 7),
        (line(identityPolicies=[{}]), 7),
        (line(identityPolicies={}), 7),
        (line(resourcePolicy=[]), 7),
        (line(principal=None), 7),
        (line(principal={"type": "user", "arn": "arn:aws:iam::1:user/a"}), 7),
        (line(principal={"type": "user", "account": "1"}), 7),
        (line(request={"action": "s3:Get"}), 7),
        (line(request={"action": "s3:Get", "resource": "*", "context": {"a:b": 1}}), 7),
        (line(request={"action": "s3:Get", "resource": "*", "context": {"a:b": [1]}}), 7),
        (line(request={"action": "s3:Get", "resource": "*", "context": {"a:b": {}}}), 7),
        (line(principal={"type": "\ud800", "account": "1"}), 7),
        (b"\x00", None),
        (b"null", None),
        (b"7", None),
        (b'"id"', None),
        (b'{"id": 01}', None),
    ],
)
def test_what_is_no_case_gets_an_error(spoiled: bytes, identifier: Any) -> None:
    found = answer(spoiled)
    assert set(found) == {"id", "error"}
    assert found["id"] == identifier
    assert found["error"]


def test_an_error_says_which_policy() -> None:
    wrong = {**ALLOW, "Statement": {"Effect": "allow", "Action": "*", "Resource": "*"}}
    found = answer(line(identityPolicies=[ALLOW, wrong]))
    assert found["error"] == "identityPolicies[1]: MalformedPolicyDocument: The policy failed legacy parsing"


@pytest.mark.parametrize(
    "changes",
    [
        {"sessionPolicies": None, "permissionBoundaries": None, "resourcePolicy": None},
        {"sessionPolicies": [], "permissionBoundaries": []},
        {"identityPolicies": [json.dumps(ALLOW)]},
        {"principal": {"type": "root", "account": "111111111111"}},
        {"principal": case()["principal"] | {"roleArn": None, "userId": None, "tags": {"a": 1}, "userName": 5}},
        {"request": {"action": "s3:Get", "resource": "*"}},
        {"request": {"action": "s3:Get", "resource": "*", "resourceAccount": None, "context": None}},
        {"anything": {"else": [None]}},
    ],
)
def test_what_may_be_left_out_or_null(changes: dict[str, Any]) -> None:
    assert answer(line(**changes))["decision"] == "Allowed"


def test_outsiders_need_no_arn_and_no_account() -> None:
    everyone = {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*"}}
    for kind in ("anonymous", "service", "saml", "web-identity"):
        for principal in ({"type": kind}, {"type": kind, "arn": None, "account": None}):
            assert answer(line(principal=principal))["decision"] == "ImplicitlyDenied"
            assert answer(line(principal=principal, resourcePolicy=everyone))["decision"] == "Allowed"


def test_the_owner_is_read_from_the_resource() -> None:
    there = {"action": "ec2:Run", "resource": "arn:aws:ec2:us-east-1:222222222222:instance/i"}
    assert answer(line(request=there))["decision"] == "ImplicitlyDenied"
    assert answer(line(request=there | {"resourceAccount": "111111111111"}))["decision"] == "Allowed"
    assert answer(line(request={"action": "s3:Get", "resource": "arn:aws:s3:::b/k"}))["decision"] == "Allowed"


def test_streams_may_have_marks_blank_lines_and_carriage_returns() -> None:
    given = [b"\xef\xbb\xbf" + line(id=1) + b"\r\n", b"\n", b" \t\r\n", line(id=2) + b"\n", line(id=2)]
    found = [json.loads(one) for one in decide_lines(given)]
    assert [one["id"] for one in found] == [1, 2, 2]
    assert {one["decision"] for one in found} == {"Allowed"}
