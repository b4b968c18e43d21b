"""What must hold for any policies at all."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from emr_studio.iam.policy import evaluate, glob
from emr_studio.iam.policy.cases import decide_line, read_case
from tests.support import iam_reference
from tests.support.iam_cases import identity_policy, random_case

Case = dict[str, Any]
seeds = st.integers(min_value=0, max_value=2**48)
cases = seeds.map(lambda seed: random_case(Random(seed)))
policies = seeds.map(lambda seed: identity_policy(Random(seed)))
DENY_ALL = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}
ALLOW_ALL = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
LAYERS = ("identityPolicies", "sessionPolicies", "permissionBoundaries")
HAVE_LAYERS = ("user", "role-session", "federated-user")
many = settings(max_examples=300, deadline=None)


def answer(case: Case) -> Case:
    found: Case = json.loads(decide_line(json.dumps(case).encode()))
    assert "error" not in found, found
    return found


def decision(case: Case) -> str:
    return str(answer(case)["decision"])


def with_policy(case: Case, member: str, policy: Case) -> Case:
    changed = copy.deepcopy(case)
    changed[member] = [*(changed.get(member) or []), policy]
    return changed


def policies_of(case: Case) -> Iterator[tuple[str, Case]]:
    """All policies of a case by the names that answers give them."""
    for member in LAYERS:
        for index, policy in enumerate(case.get(member) or []):
            yield f"{member}[{index}]", policy
    if case.get("resourcePolicy"):
        yield "resourcePolicy", case["resourcePolicy"]


def statements(policy: Case) -> list[Case]:
    found = policy["Statement"]
    return found if isinstance(found, list) else [found]


def rewritten(case: Case, change: Callable[[Case], list[Case]]) -> Case:
    """The case with every statement replaced by what `change` makes of it."""
    changed = copy.deepcopy(case)
    for _, policy in policies_of(changed):
        policy["Statement"] = [made for statement in statements(policy) for made in change(statement)]
    return changed


# Denials and limits


@given(cases)
@many
def test_deny_wins(case: Case) -> None:
    assume(case["principal"]["type"] in HAVE_LAYERS and case["request"]["action"] != "sts:GetCallerIdentity")
    for member in LAYERS:
        assert decision(with_policy(case, member, DENY_ALL)) == "ExplicitlyDenied"


@given(cases, policies)
@many
def test_a_first_session_policy_or_boundary_never_widens(case: Case, policy: Case) -> None:
    for member in ("sessionPolicies", "permissionBoundaries"):
        limited = {name: value for name, value in case.items() if name != member}
        if case["principal"]["type"] == "federated-user" and member == "sessionPolicies":
            continue  # these have no permissions at all without one
        if decision(limited) != "Allowed":
            assert decision(with_policy(limited, member, policy)) != "Allowed"


@given(cases)
@many
def test_limits_that_allow_everything_limit_nothing(case: Case) -> None:
    spares = any("NotPrincipal" in one for one in statements(case.get("resourcePolicy") or ALLOW_ALL))
    for member in ("sessionPolicies", "permissionBoundaries"):
        free = {name: value for name, value in case.items() if name != member}
        if (member == "permissionBoundaries" and spares) or case["principal"]["type"] == "federated-user":
            continue  # NotPrincipal never spares who has a boundary
        assert decision(with_policy(free, member, ALLOW_ALL)) == decision(free)


@given(cases)
@many
def test_one_more_allow_never_takes_away(case: Case) -> None:
    if decision(case) == "Allowed":
        for member in LAYERS:
            if case.get(member) or member == "identityPolicies":
                assert decision(with_policy(case, member, ALLOW_ALL)) == "Allowed"


# What does not matter


@given(cases, st.randoms(use_true_random=False))
@many
def test_order_never_matters(case: Case, random: Any) -> None:
    changed = copy.deepcopy(case)
    for member in LAYERS:
        random.shuffle(changed.get(member, []))
    for _, policy in policies_of(changed):
        if isinstance(policy["Statement"], list):
            random.shuffle(policy["Statement"])
    assert decision(changed) == decision(case)


@given(cases, st.text(alphabet="abcXYZ019", max_size=8))
@many
def test_ids_of_statements_never_matter(case: Case, sid: str) -> None:
    assert decision(rewritten(case, lambda statement: [{**statement, "Sid": sid}])) == decision(case)


@pytest.mark.parametrize("member", ["Action", "Resource"])
@given(case=cases)
@many
def test_a_statement_may_be_split(member: str, case: Case) -> None:
    def split(statement: Case) -> list[Case]:
        listed = statement.get(member)
        return [{**statement, member: one} for one in listed] if isinstance(listed, list) else [statement]

    assert decision(rewritten(case, split)) == decision(case)


@given(cases)
@many
def test_saying_it_twice_changes_nothing(case: Case) -> None:
    assert decision(rewritten(case, lambda statement: [statement, statement])) == decision(case)
    for member in LAYERS:
        if case.get(member):
            assert decision({**case, member: case[member] * 2}) == decision(case)


@given(cases)
@many
def test_case_of_actions_and_keys_never_matters(case: Case) -> None:
    changed = copy.deepcopy(case)
    request = changed["request"]
    request["action"] = request["action"].swapcase()
    request["context"] = {key.upper(): value for key, value in request["context"].items()}
    assert decision(changed) == decision(case)


@given(cases)
@many
def test_a_trace_changes_nothing(case: Case) -> None:
    request, found = read_case(json.dumps(case).encode())
    traced, quick = evaluate(request, found, trace=True), evaluate(request, found)
    assert (quick.outcome, quick.layer, quick.cross_account) == (traced.outcome, traced.layer, traced.cross_account)
    assert set(quick.by) <= set(traced.by)


# Complements


@pytest.mark.parametrize("member", ["Action", "Resource"])
@given(case=cases, policy=policies)
@many
def test_not_is_the_complement(member: str, case: Case, policy: Case) -> None:
    (first, *_) = statements(policy)
    entries = first.get(member, first.get(f"Not{member}"))
    found = set()
    for name in (member, f"Not{member}"):
        statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        del statement[member]
        asked = {**case, "principal": {"type": "user", "arn": "arn:aws:iam::111111111111:user/u", "account": "1"}}
        asked["request"] = {**case["request"], "resourceAccount": "1", "action": "a:B"}
        asked["identityPolicies"] = [{**policy, "Statement": {**statement, name: entries}}]
        for other in ("sessionPolicies", "permissionBoundaries", "resourcePolicy"):
            asked.pop(other, None)
        found.add(decision(asked))
    assert found == {"Allowed", "ImplicitlyDenied"}


@given(cases)
@many
def test_if_exists_is_the_plain_operator_where_the_key_exists(case: Case) -> None:
    present = {key.lower() for key in case["request"]["context"]}

    def plain(statement: Case) -> list[Case]:
        conditions: dict[str, Any] = {}
        for operator, keys in statement.get("Condition", {}).items():
            for key, values in keys.items():
                here = operator.removesuffix("IfExists") if key.lower() in present else operator
                if key in conditions.setdefault(here, {}):
                    return [statement]
                conditions[here][key] = values
        return [{**statement, "Condition": conditions}]

    assert decision(rewritten(case, plain)) == decision(case)


# What a decision names


@given(cases)
@many
def test_who_decides_is_named(case: Case) -> None:
    """Without the statements that deny, nothing denies; without those that allow, nothing is allowed."""
    found = answer(case)
    named = {(ref["policy"], ref["statement"]) for ref in found["by"]}
    assert bool(named) == (found["decision"] != "ImplicitlyDenied") or decision_without_policies(case) == "Allowed"
    without = copy.deepcopy(case)
    for name, policy in policies_of(without):
        kept = [one for index, one in enumerate(statements(policy)) if (name, index) not in named]
        policy["Statement"] = kept or {**ALLOW_NOTHING, **principal_of(name)}
    if found["decision"] == "ExplicitlyDenied":
        assert decision(without) != "ExplicitlyDenied"
    elif named:
        assert decision(without) == "ImplicitlyDenied" or named_by_more(found)


ALLOW_NOTHING = {"Effect": "Allow", "Action": "no:Thing", "Resource": "*"}


def principal_of(name: str) -> Case:
    return {"Principal": "*"} if name == "resourcePolicy" else {}


def decision_without_policies(case: Case) -> str:
    """Root in its account, and GetCallerIdentity, are allowed by no policy."""
    return decision({**case, "identityPolicies": [], "resourcePolicy": None})


def named_by_more(found: Case) -> bool:
    """Allowed by the resource policy: what else of it or of identity allows is not named."""
    return any(ref["policy"] == "resourcePolicy" for ref in found["by"])


@given(st.text(alphabet="ab*?", max_size=14), st.text(alphabet="ab", max_size=14))
@settings(max_examples=2000, deadline=None)
def test_wildcards_mean_what_they_say(pattern: str, text: str) -> None:
    expected = iam_reference.glob(pattern, text)
    tokens = glob.tokenize(pattern)
    assert glob.match_tokens(tokens, text) is expected
    assert glob.match_parts((tokens,), text) is expected
    matcher = glob.matcher([tokens])
    assert matcher is not None
    assert bool(matcher(text)) is expected
    long = glob.matcher([glob.tokenize("*" + "x" * 60 + pattern)])
    assert long is not None
    assert bool(long("ab" + "x" * 60 + text)) is expected
