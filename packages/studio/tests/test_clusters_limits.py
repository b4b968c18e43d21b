"""What the programs of a cluster may use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from emr_studio.clusters.catalog.instance_types import notebooks
from emr_studio.clusters.limits import LEAST_MB, PROCESSES, limits_of, shared_mb
from emr_studio.clusters.nodes import Layout, specification
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_world import emr_world


@pytest.fixture
def play(tmp_path: Path) -> Iterator[ClusterPlay]:
    with emr_world(tmp_path) as emr:
        yield ClusterPlay(emr)


def test_every_program_has_limits(play: ClusterPlay) -> None:
    cluster_id = play.create()
    layout = Layout(play.row(cluster_id), play.nodes(cluster_id))
    found = {one.kind: specification(play.emr.settings, layout, one).limits for one in layout.programs()}
    assert set(found) == {"master", "worker", "connect", "gateway", "kernels", "livy"}
    assert {limits.pids for limits in found.values()} == {PROCESSES}
    # More than its heap, less than what people's code may have together.
    assert found["worker"].memory_bytes > 2 * 1024 * 1024**2
    assert found["kernels"] == found["livy"] == limits_of("step")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("t3.medium", 2),
        ("m5.large", 4),
        ("m5.xlarge", 8),
        ("r6i.2xlarge", 16),
        ("c5.4xlarge", 24),
        ("m5.16xlarge", 24),
        ("m5.metal", 24),
        ("t3.nano", 2),
    ],
)
def test_how_many_notebooks_a_primary_node_is_meant_for(name: str, expected: int) -> None:
    assert notebooks(name) == expected


def test_the_gateway_is_told(play: ClusterPlay) -> None:
    cluster_id = play.create()
    settings = play.emr.settings.model_copy(update={"notebook_limit": "refuse"})
    layout = Layout(play.row(cluster_id), play.nodes(cluster_id))
    told = {}
    for one in layout.programs():
        (node,) = (json.loads(text) for text in specification(settings, layout, one).files.values())
        told[one.kind] = (node.get("instance_type"), node.get("notebooks"), node.get("notebook_limit"))
    assert told.pop("gateway") == ("m5.xlarge", 8, "refuse")
    assert set(told.values()) == {(None, None, None)}


def test_code_of_people_has_a_quarter_of_the_machine() -> None:
    assert shared_mb() >= LEAST_MB
    assert limits_of("anything").memory_bytes == shared_mb() * 1024**2
