"""What the files about EMR's operations have in common: a served world, new for each file, and its administrator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.emr_api import EmrApi, served_emr


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmrApi]:
    """EMR and IAM; files about the whole control plane have an `api` of their own."""
    with served_emr(tmp_path_factory.mktemp("emr")) as made:
        yield made


@pytest.fixture(scope="module")
def emr(api: EmrApi) -> Any:
    """The administrator's client."""
    return api.client("emr", *api.key("admin"))
