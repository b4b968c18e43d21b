"""Why a cluster can never be attached (emr-studio.md 5.1): its release, software and hardware."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emr_studio.clusters.attachable import compatible_for_attach
from emr_studio.clusters.catalog.instance_types import instance_types, is_graviton
from emr_studio.clusters.model import Cluster, InstanceGroup
from tests.support.emr_world import World, emr_world

GRAVITON = "With Graviton instances (m6g.xlarge) the release must be at least emr-{}, not {}."
GONE = "The release {} is not available any more."
OLD = "The release {} is too old: it must be at least emr-{}."


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with emr_world(tmp_path) as world:
        yield world


def reason(world: World, release: str, instance_type: str = "m5.xlarge", primaries: int = 1) -> str | None:
    cluster_id = world.cluster(release_label=release)
    with world.database.write() as session:
        group = session.query(InstanceGroup).filter_by(cluster_id=cluster_id).one()
        group.instance_type, group.requested_count = instance_type, primaries
        session.flush()
        return compatible_for_attach(session, session.get_one(Cluster, cluster_id))


@pytest.mark.parametrize(
    ("release", "instance_type", "wanted"),
    [
        ("emr-8.0.0", "m5.xlarge", None),
        ("emr-7.12.0", "m7g.xlarge", None),
        ("emr-5.31.1", "m5.xlarge", OLD.format("emr-5.31.1", "5.32.0")),
        ("emr-5.32.0", "m5.xlarge", GONE.format("emr-5.32.0")),
        ("emr-6.1.0", "m5.xlarge", OLD.format("emr-6.1.0", "6.2.0")),
        ("emr-6.2.0", "m5.xlarge", GONE.format("emr-6.2.0")),
        ("emr-4.9.6", "m5.xlarge", OLD.format("emr-4.9.6", "5.32.0")),
        ("ami-3.1", "m5.xlarge", OLD.format("ami-3.1", "5.32.0")),
        ("emr-5.36.0", "m6g.xlarge", GRAVITON.format("5.36.1", "emr-5.36.0")),
        ("emr-5.36.1", "m6g.xlarge", GONE.format("emr-5.36.1")),
        ("emr-6.8.0", "m6g.xlarge", GRAVITON.format("6.9.0", "emr-6.8.0")),
        ("emr-6.9.0", "m6g.xlarge", GONE.format("emr-6.9.0")),
        ("emr-6.10.0", "m6g.xlarge", GONE.format("emr-6.10.0")),
    ],
)
def test_releases(world: World, release: str, instance_type: str, wanted: str | None) -> None:
    assert reason(world, release, instance_type) == wanted


def test_one_primary_node(world: World) -> None:
    assert reason(world, "emr-8.0.0", primaries=3) == "Clusters with multiple primary nodes cannot be attached."


def test_graviton_by_name() -> None:
    assert all(is_graviton(name) for name in ("m6g.large", "r7gd.xlarge", "c6gn.large", "t4g.medium", "a1.xlarge"))
    assert not any(is_graviton(name) for name in ("m5.xlarge", "g4dn.xlarge", "m6i.large", "p3.2xlarge", ""))
    assert {one.name.partition(".")[0] for one in instance_types() if one.arm} == {
        f"{family}{generation}" for family in "cmr" for generation in ("6g", "7g")
    }
