"""Fixtures that all the suites share: one real studio for the whole session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.s3_rig import Rig, s3_rig
from tests.support.studio import Studio, running

ARTIFACTS = Path(__file__).resolve().parents[1] / "artifacts"


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A running studio, started by `emr-studio up` and stopped at the end of the session."""
    with running(tmp_path_factory.mktemp("studio")) as found:
        yield found


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """S3 behind the door, without the rest of a studio; one for the session."""
    with s3_rig(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """Where screenshots are kept (`artifacts/`, not in git)."""
    ARTIFACTS.mkdir(exist_ok=True)
    return ARTIFACTS
