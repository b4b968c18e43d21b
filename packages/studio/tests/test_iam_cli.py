"""`emr-studio iam evaluate` as a process."""

from __future__ import annotations

import json
import subprocess
import sys

from emr_studio.iam.policy.cases import decide_line
from tests.support.iam_cases import random_case


def test_one_decision_a_line() -> None:
    from random import Random

    random = Random(1)
    lines = [json.dumps(random_case(random)).encode() for _ in range(50)]
    lines[10] = b"not json"
    lines.insert(20, b"")
    run = subprocess.run(
        [sys.executable, "-c", "from emr_studio.cli.iam import app; app()", "evaluate"],
        input=b"\n".join(lines),
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    assert run.stdout.splitlines() == [decide_line(line) for line in lines if line]
