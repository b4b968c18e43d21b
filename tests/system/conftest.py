"""What the tests of this folder share: an agent, for files that have no `rig` of another kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.agent_rig import AgentRig


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentRig]:
    """A real agent, without the rest of a studio; one for a file."""
    made = AgentRig(tmp_path_factory.mktemp("agent"))
    made.start()
    yield made
    made.close()
