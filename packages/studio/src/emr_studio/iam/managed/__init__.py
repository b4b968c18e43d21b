"""AWS managed policies: AWS's names, our words, for what this system does.

Each `*.json` beside this file is one policy: `{"path", "description", "document"}`; the file's name is
the policy's. They belong to the account `aws` and are the same for everybody.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

_ARN = re.compile(r"arn:[^:]+:iam::aws:policy(/.*)?/([^/]+)")


@dataclass(frozen=True)
class AwsManagedPolicy:
    """A policy of AWS's own."""

    name: str
    path: str
    description: str
    document: str
    policy_id: str

    def arn(self, partition: str) -> str:
        return f"arn:{partition}:iam::aws:policy{self.path}{self.name}"


@lru_cache(maxsize=1)
def all_policies() -> dict[str, AwsManagedPolicy]:
    """All of them by name."""
    found = {}
    for file in sorted(files(__name__).iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".json"):
            policy = _read(file.name.removesuffix(".json"), json.loads(file.read_text()))
            found[policy.name] = policy
    return found


def find(arn: str) -> AwsManagedPolicy | None:
    """The policy with this ARN."""
    parsed = _ARN.fullmatch(arn)
    if not parsed:
        return None
    policy = all_policies().get(parsed[2])
    return policy if policy and policy.path == f"{parsed[1] or ''}/" else None


def _read(name: str, data: dict[str, object]) -> AwsManagedPolicy:
    # AWS's ids are fixed; ours are too: made from the name, in IAM's alphabet.
    digits = base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()[:17]
    document = json.dumps(data["document"], indent=2)
    return AwsManagedPolicy(name, str(data["path"]), str(data["description"]), document, f"ANPA{digits}")
