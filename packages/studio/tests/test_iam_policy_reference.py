"""The engine against a second, slow and obvious evaluator, on random cases."""

from __future__ import annotations

import json
import os
from random import Random

from emr_studio.iam.policy.cases import decide_line
from tests.support import iam_reference
from tests.support.iam_cases import random_case

CASES = int(os.environ.get("IAM_RANDOM_CASES", "10000"))


def test_both_evaluators_agree() -> None:
    seed = int(os.environ.get("IAM_RANDOM_SEED", "0")) or Random().randrange(2**32)
    random = Random(seed)
    seen = set()
    for _ in range(CASES):
        case = random_case(random)
        found = json.loads(decide_line(json.dumps(case).encode()))
        expected = iam_reference.decide(case)
        assert found.get("decision") == expected, f"seed {seed}: {found}\n{json.dumps(case, indent=1)}"
        seen.add(expected)
    assert seen == {"Allowed", "ExplicitlyDenied", "ImplicitlyDenied"}
