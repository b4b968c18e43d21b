"""Mutated policies and cases: nothing but MalformedPolicy, no hang, no 500.

`FUZZ_CASES` says how many (2,000 in `make test`, 100,000 in `make fuzz`), `FUZZ_SEED` repeats a run: a failure
shows the seed of its case.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emr_studio.clock import SystemClock
from emr_studio.iam.policy import (
    IMPLICITLY_DENIED,
    MalformedPolicy,
    PolicyKind,
    PolicySet,
    PolicySource,
    Principal,
    Request,
    compile_layer,
    evaluate,
    parse,
    validate,
)
from emr_studio.iam.policy.cases import decide_line
from tests.fuzz import CASES, seeds
from tests.support import iam_reference
from tests.support.iam_api import IamWorld, served_iam
from tests.support.iam_cases import identity_policy, random_case, resource_policy
from tests.support.mutation import STRINGS, mutated, mutated_bytes

pytestmark = pytest.mark.timeout(900 + CASES // 20)
LONGEST = 10.0
"""Seconds of processor time that no case may take, by far: the worst takes a tenth of one."""
VERSION = {"Version": "2012-10-17"}
GOOD = VERSION | {
    "Statement": [
        {
            "Sid": "a",
            "Effect": "Allow",
            "Action": ["s3:Get*", "s3:Put*"],
            "Resource": "arn:aws:s3:::b/${aws:username}/*",
        },
        {
            "Effect": "Deny",
            "NotAction": "iam:*",
            "NotResource": ["arn:aws:iam::123456789012:role/*"],
            "Condition": {
                "ForAnyValue:StringLike": {"aws:TagKeys": ["a*", "b"]},
                "DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"},
                "NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8"]},
                "Bool": {"aws:SecureTransport": False},
            },
        },
    ]
}
REFUSALS = {"MalformedPolicyDocument", "LimitExceeded", "ValidationError", "InvalidInput", "PolicyEvaluation"}


@contextmanager
def bounded(seed: int) -> Iterator[None]:
    begun = time.thread_time()
    yield
    assert time.thread_time() - begun < LONGEST, f"seed {seed}"


def text_of(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def test_mutated_bytes_of_cases() -> None:
    for seed in seeds(CASES // 4):
        random = Random(seed)
        line = mutated_bytes(random, json.dumps(random_case(random)).encode())
        with bounded(seed):
            found = json.loads(decide_line(line))
        assert set(found) in ({"id", "decision", "by"}, {"id", "error"}), f"seed {seed}"


def test_mutated_cases() -> None:
    """What is still a case gets the second evaluator's decision, too."""
    decided = 0
    for seed in seeds(CASES // 4):
        random = Random(seed)
        case = mutated(random, random_case(random))
        with bounded(seed):
            found = json.loads(decide_line(text_of(case).encode(errors="surrogatepass")))
        assert set(found) in ({"id", "decision", "by"}, {"id", "error"}), f"seed {seed}"
        if "decision" in found and len(text_of(case)) < 6000:
            decided += 1
            assert iam_reference.decide(iam_reference.plain(case)) == found["decision"], f"seed {seed}\n{text_of(case)}"
    assert decided > CASES // 40


def test_mutated_policies() -> None:
    """What is good to save is good to read, compile and evaluate."""
    good = 0
    for seed in seeds(CASES // 2):
        random = Random(seed)
        kind = random.choice(list(PolicyKind))
        has_principal = kind in (PolicyKind.RESOURCE, PolicyKind.TRUST)
        text = text_of(mutated(random, (resource_policy if has_principal else identity_policy)(random)))
        with bounded(seed):
            saved, was_read = refusal(validate, text, kind), refusal(parse, text, kind)
            assert not (saved is None and was_read is not None), f"seed {seed}"
            if was_read is None:
                good += 1
                evaluate_policy(random, text, kind)
    # About one in ten stays good; far fewer would mean that little of the engine was reached.
    assert good > CASES // 40


def refusal(read: Any, text: str, kind: PolicyKind) -> str | None:
    try:
        read(text, kind)
    except MalformedPolicy as malformed:
        return malformed.message
    return None


def evaluate_policy(random: Random, text: str, kind: PolicyKind) -> None:
    asked = random_case(random)["request"]
    layer = compile_layer((PolicySource("p", text),), kind)
    principal = Principal("user", "arn:aws:iam::111111111111:user/u", "111111111111", user_id="AIDAAAAAAAAAAAAAAAAAA")
    request = Request(principal, asked["action"], asked["resource"], asked["resourceAccount"], asked["context"])
    nothing = compile_layer((), PolicyKind.IDENTITY)
    for policies in (PolicySet(layer), PolicySet(layer, layer, layer, layer), PolicySet(nothing, resource=layer)):
        quick, traced = evaluate(request, policies), evaluate(request, policies, trace=True)
        assert quick.outcome == traced.outcome
        assert quick.by or quick.outcome == IMPLICITLY_DENIED or asked["action"] == "sts:GetCallerIdentity"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IamWorld]:
    with served_iam(tmp_path_factory.mktemp("fuzz"), SystemClock()) as served:
        yield served


def test_mutated_policies_through_the_wire(world: IamWorld) -> None:
    """Each is saved or refused with an error that AWS has; none gets a 500."""
    iam = world.client("iam", checked=False)
    iam.create_user(UserName="fuzz")
    trust = {"Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}} | VERSION
    iam.create_role(RoleName="fuzz", AssumeRolePolicyDocument=json.dumps(trust))
    accepted = 0
    for seed in seeds(CASES // 20):
        random = Random(seed)
        document = text_of(mutated(random, GOOD, most=2))
        trusting = text_of(mutated(random, trust, most=2))
        calls = (
            ("put_user_policy", {"UserName": "fuzz", "PolicyName": "p", "PolicyDocument": document}),
            ("put_role_policy", {"RoleName": "fuzz", "PolicyName": "p", "PolicyDocument": document}),
            ("create_policy", {"PolicyName": f"p{seed}", "PolicyDocument": document}),
            ("update_assume_role_policy", {"RoleName": "fuzz", "PolicyDocument": trusting}),
            ("simulate_custom_policy", simulation(random, document)),
            ("get_context_keys_for_custom_policy", {"PolicyInputList": [document]}),
        )
        name, arguments = random.choice(calls)
        status, code = outcome(iam, name, arguments)
        assert status == 200 or (status < 500 and code in REFUSALS), f"seed {seed}: {name} {status} {code} {arguments}"
        accepted += status == 200
    assert accepted


def simulation(random: Random, document: str) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "PolicyInputList": [document, text_of(identity_policy(random))],
        "ActionNames": ["s3:GetObject", random.choice(("iam:PassRole", *STRINGS))],
        "ResourceArns": ["arn:aws:s3:::b/k", random.choice(("*", *STRINGS))],
    }
    if random.random() < 0.5:
        name, value = random.choice(("aws:CurrentTime", *STRINGS)), random.choice(STRINGS)
        kind = random.choice(("string", "stringList", "numeric", "booleanList", "ip", "date", "binary", value))
        asked["ContextEntries"] = [{"ContextKeyName": name, "ContextKeyValues": [value], "ContextKeyType": kind}]
    return asked


def outcome(iam: Any, name: str, arguments: dict[str, Any]) -> tuple[int, str]:
    """Status and error code of a call; 200 and nothing if it was accepted."""
    try:
        getattr(iam, name)(**arguments)
    except ClientError as refused:
        return refused.response["ResponseMetadata"]["HTTPStatusCode"], refused.response["Error"]["Code"]
    return 200, ""
