"""The engine against a second, slow and obvious evaluator, on random cases."""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Iterator
from random import Random
from types import CodeType, FrameType, ModuleType
from typing import Any

from emr_studio.iam.policy import compiler, conditions, evaluate, glob, operators, principals, values, variables
from emr_studio.iam.policy.cases import decide_line, read_case
from tests.support import iam_reference
from tests.support.iam_cases import FAMILIES, PRINCIPALS, random_case

CASES = int(os.environ.get("IAM_RANDOM_CASES", "10000"))
MODULES: tuple[ModuleType, ...] = (
    *(compiler, conditions, sys.modules[evaluate.__module__], glob, operators, principals, values, variables),
)


def test_both_evaluators_agree() -> None:
    # The same cases in every run; 0 draws new ones.
    seed = int(os.environ.get("IAM_RANDOM_SEED", "20261126")) or Random().randrange(2**32)
    random = Random(seed)
    seen = set()
    for _ in range(CASES):
        case = random_case(random)
        found = json.loads(decide_line(json.dumps(case).encode()))
        expected = iam_reference.decide(case)
        assert found.get("decision") == expected, f"seed {seed}: {found}\n{json.dumps(case, indent=1)}"
        seen.add(expected)
    assert seen == {"Allowed", "ExplicitlyDenied", "ImplicitlyDenied"}


def test_random_cases_hold_everything() -> None:
    """Every principal, every operator in every form, with all three outcomes."""
    random = Random(1)
    outcomes, forms = set(), set()
    for _ in range(9000):
        case = random_case(random)
        outcomes.add((case["principal"]["type"], iam_reference.decide(case)))
        forms |= set(_operators(case))
    kinds = {principal["type"] for principal in PRINCIPALS}
    assert outcomes == {(kind, one) for kind in kinds for one in ("Allowed", "ExplicitlyDenied", "ImplicitlyDenied")}
    prefixes, suffixes = ("", "ForAllValues:", "ForAnyValue:"), ("", "IfExists")
    bases = [base for family in FAMILIES.values() for base in family]
    assert forms >= {f"{prefix}{base}{suffix}" for prefix in prefixes for base in bases for suffix in suffixes} | {
        "Null"
    }


def _operators(case: dict[str, Any]) -> Iterator[str]:
    policies = [*case["identityPolicies"], *case.get("sessionPolicies", []), *case.get("permissionBoundaries", [])]
    for policy in policies + ([case["resourcePolicy"]] if case.get("resourcePolicy") else []):
        for statement in policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]:
            yield from statement.get("Condition", {})


UNREACHED = {
    "compiler.py self._known.clear()",  # more actions than a layer remembers
    "compiler.py return _compile_layer(sources, kind)",  # longer than is remembered
    "compiler.py return _make_action_test(actions, negated)",  # likewise
    "compiler.py return Naming.DIRECT",  # a statement without principals, as a resource's
    "operators.py return None",  # no such operator
    "evaluate.py return",  # a context that the control plane has prepared (test_iam_questions.py)
}


def test_random_cases_reach_the_whole_engine() -> None:
    """Every line of every function of the engine, but for those that refuse and those that bound its memory."""
    wanted = {(code.co_filename, line) for module in MODULES for code in _functions(module) for line in _lines(code)}
    reached = _reached({module.__file__ or "" for module in MODULES})
    missed = []
    for file, line in sorted(wanted - reached):
        text = _source(file)[line - 1].strip()
        if not text.startswith(("raise", "except", "error.policy")):
            missed.append(f"{file.rpartition('/')[2]} {text}")
    assert set(missed) <= UNREACHED


def _reached(files: set[str]) -> set[tuple[str, int]]:
    found: set[tuple[str, int]] = set()

    def local(frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            found.add((frame.f_code.co_filename, frame.f_lineno))
        return local

    def trace(frame: FrameType, _event: str, _argument: Any) -> Any:
        return local if frame.f_code.co_filename in files else None

    for remembered in (compiler._remembered_layer, compiler._remembered_text, compiler._remembered_action_test):
        remembered.cache_clear()
    glob._remembered.cache_clear()
    glob.compiled.cache_clear()
    operators.read_operator.cache_clear()
    values.address.cache_clear()
    random = Random(1)
    lines = [json.dumps(random_case(random)).encode() for _ in range(6000)]
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for line in lines:
            decide_line(line)
            assert evaluate(*read_case(line)).allowed in (True, False)
    finally:
        sys.settrace(before)
    return found


def _functions(module: ModuleType) -> Iterator[CodeType]:
    owners = [module, *(one for one in vars(module).values() if inspect.isclass(one))]
    for owner in owners:
        for member in vars(owner).values():
            function = member.fget if isinstance(member, property) else getattr(member, "__wrapped__", member)
            code = getattr(function, "__code__", None)
            if isinstance(code, CodeType) and code.co_filename == module.__file__:
                yield from _with_inner(code)


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)


def _lines(code: CodeType) -> Iterator[int]:
    return (line for _, _, line in code.co_lines() if line and line != code.co_firstlineno)


def _source(file: str) -> list[str]:
    with open(file) as lines:
        return lines.read().splitlines()
