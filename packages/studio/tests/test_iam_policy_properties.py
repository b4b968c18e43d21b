"""What must hold for any policies at all; and no input, however mangled, breaks the evaluator."""

from __future__ import annotations

import copy
import json
import os
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from emr_studio.iam.policy import glob
from emr_studio.iam.policy.cases import decide_line
from tests.support import iam_reference
from tests.support.iam_cases import identity_policy, random_case

MUTATIONS = int(os.environ.get("IAM_MUTATIONS", "2000"))
cases = st.integers(min_value=0, max_value=2**48).map(lambda seed: random_case(Random(seed)))
policies = st.integers(min_value=0, max_value=2**48).map(lambda seed: identity_policy(Random(seed)))
DENY_ALL = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}
ALLOW_ALL = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}


def decision(case: dict[str, Any]) -> str:
    found = json.loads(decide_line(json.dumps(case).encode()))
    assert "error" not in found, found
    return str(found["decision"])


def with_policy(case: dict[str, Any], member: str, policy: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(case)
    changed[member] = [*(changed.get(member) or []), policy]
    return changed


@given(cases)
@settings(max_examples=300, deadline=None)
def test_deny_wins(case: dict[str, Any]) -> None:
    if case["principal"]["type"] in ("user", "role-session", "federated-user"):
        for member in ("identityPolicies", "sessionPolicies", "permissionBoundaries"):
            assert decision(with_policy(case, member, DENY_ALL)) == "ExplicitlyDenied"


@given(cases, policies)
@settings(max_examples=300, deadline=None)
def test_a_first_session_policy_or_boundary_never_widens(case: dict[str, Any], policy: dict[str, Any]) -> None:
    for member in ("sessionPolicies", "permissionBoundaries"):
        limited = {name: value for name, value in case.items() if name != member}
        if case["principal"]["type"] == "federated-user" and member == "sessionPolicies":
            continue  # these have no permissions at all without one
        if decision(limited) != "Allowed":
            assert decision(with_policy(limited, member, policy)) != "Allowed"


@given(cases, st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_order_never_matters(case: dict[str, Any], random: Any) -> None:
    changed = copy.deepcopy(case)
    for member in ("identityPolicies", "sessionPolicies", "permissionBoundaries"):
        random.shuffle(changed.get(member, []))
    for policy in [*changed["identityPolicies"], changed.get("resourcePolicy", {})]:
        if isinstance(policy.get("Statement"), list):
            random.shuffle(policy["Statement"])
    assert decision(changed) == decision(case)


@given(cases)
@settings(max_examples=300, deadline=None)
def test_one_more_allow_never_takes_away(case: dict[str, Any]) -> None:
    if decision(case) == "Allowed":
        assert decision(with_policy(case, "identityPolicies", ALLOW_ALL)) == "Allowed"


@given(st.text(alphabet="ab*?", max_size=12), st.text(alphabet="ab", max_size=12))
@settings(max_examples=1000, deadline=None)
def test_wildcards_mean_what_they_say(pattern: str, text: str) -> None:
    expected = iam_reference.glob(pattern, text)
    assert glob.match_tokens(glob.tokenize(pattern), text) is expected
    matcher = glob.matcher([glob.tokenize(pattern)])
    assert matcher is not None
    assert bool(matcher(text)) is expected


def test_no_mutation_breaks_the_evaluator() -> None:
    random = Random(7)
    for _ in range(MUTATIONS):
        line = bytearray(json.dumps(random_case(random)).encode())
        for _ in range(random.randrange(1, 6)):
            at = random.randrange(len(line))
            line[at : at + random.randrange(3)] = random.choice(
                (b"*", b"?", b"${", b"}", b'"', b"[", b"\x00", b"\xff", b":", b"")
            )
        found = json.loads(decide_line(bytes(line)))
        assert set(found) in ({"id", "decision", "by"}, {"id", "error"})
