"""The example policies: valid, within AWS's quotas, and the same in the documentation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emr_studio.iam.policy import PolicyKind, size_without_white_space, validate
from emr_studio.iam.tiers import TIERS, Place, policies, tier

_DOCS = Path(__file__).parents[3] / "docs" / "reference" / "policies"
_QUOTAS = {PolicyKind.IDENTITY: 6144, PolicyKind.TRUST: 2048}


@pytest.mark.parametrize("name", sorted(policies(Place())))
def test_each_is_valid_fits_and_is_documented(name: str) -> None:
    document = policies(Place())[name]
    kind = PolicyKind.TRUST if name.endswith("-trust") else PolicyKind.IDENTITY
    text = json.dumps(document)
    validate(text, kind)
    assert size_without_white_space(text) <= _QUOTAS[kind]
    assert json.loads((_DOCS / f"{name}.json").read_text()) == document, "run make reference"


def test_nothing_else_is_documented() -> None:
    assert {path.stem for path in _DOCS.glob("*.json")} == set(policies(Place()))


def test_tiers_fit_with_the_longest_names() -> None:
    place = Place(partition="aws-us-gov", service_role="s" * 64, cluster_roles=("e" * 64, "n" * 64))
    for name in TIERS:
        assert size_without_white_space(json.dumps(tier(name, place))) <= 6144
