"""Fixtures that all the suites share: one real studio for the whole session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.studio import Studio, running

ARTIFACTS = Path(__file__).resolve().parents[1] / "artifacts"


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A running studio, started by `emr-studio up` and stopped at the end of the session."""
    with running(tmp_path_factory.mktemp("studio")) as found:
        yield found


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """Where screenshots are kept (`artifacts/`, not in git)."""
    ARTIFACTS.mkdir(exist_ok=True)
    return ARTIFACTS
