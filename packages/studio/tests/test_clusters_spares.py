"""Warm spares: a cluster that runs already is given to whoever asks for one like it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emr_studio.clusters.model import Cluster, Reason, Target
from emr_studio.clusters.spares import AFTER_FAILURE, NOBODY, QUIET, SpareKeeper, needed_memory_of
from emr_studio.iam.services import find_grant
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_world import emr_world

LONG = dt.timedelta(hours=1)


class Keeping:
    """A world whose keeper wants one spare."""

    def __init__(self, play: ClusterPlay, wanted: int = 1) -> None:
        self.play = play
        settings = play.emr.settings.model_copy(update={"warm_spares": wanted})
        self.keeper = SpareKeeper(play.emr.database, play.emr.clock, settings, play.probe)

    def keep(self) -> None:
        """All turns that the keeper and the clusters' controller want now."""
        for _ in range(20):
            due = self.keeper.pending()
            for name in due:
                self.keeper.reconcile(name)
            moving = [s.id for s in self.living() if s.state != "WAITING" or s.target != Target.RUNNING]
            for cluster_id in moving:
                while self.play.turn(cluster_id) is not None:
                    pass
            if not due and not moving:
                return
        raise AssertionError("the keeper does not come to rest")

    def later(self) -> None:
        self.play.emr.clock.advance(QUIET.total_seconds() + 1)
        self.keep()

    def spares(self) -> list[Cluster]:
        with self.play.emr.database.read() as session:
            return session.query(Cluster).filter(Cluster.account_id == NOBODY).all()

    def living(self) -> list[Cluster]:
        return [one for one in self.spares() if not one.state.startswith("TERMINATED")]

    def request(self, core: int = 0, **changes: Any) -> str:
        return self.play.create(core=core, **changes)


@pytest.fixture
def keeping(tmp_path: Path) -> Iterator[Keeping]:
    with emr_world(tmp_path) as emr:
        yield Keeping(ClusterPlay(emr))


def primed(keeping: Keeping, core: int = 0, **changes: Any) -> Cluster:
    """A spare like a cluster that was there once."""
    first = keeping.request(core, **changes)
    keeping.play.settle(first)
    keeping.later()
    [spare] = keeping.living()
    assert spare.state == "WAITING"
    return spare


def test_the_first_spare_is_one_node_after_a_quiet_moment(keeping: Keeping) -> None:
    keeping.keep()
    assert not keeping.spares()
    keeping.later()
    [spare] = keeping.living()
    assert (spare.state, len(keeping.play.nodes(spare.id))) == ("WAITING", 1)
    assert not keeping.play.emr.call("ListClusters")["Clusters"]
    code, message = keeping.play.refused("DescribeCluster", ClusterId=spare.id)
    assert (code, message) == ("InvalidRequestException", f"Cluster id '{spare.id}' is not valid.")


@pytest.mark.parametrize("core", [0, 2])
def test_a_request_gets_the_spare_running(keeping: Keeping, core: int) -> None:
    spare = primed(keeping, core)
    before = set(keeping.play.running())
    given = keeping.request(core, Name="mine", Tags=[{"Key": "team", "Value": "a"}])
    assert given == spare.id
    assert keeping.play.settle(given) == ["WAITING"]
    assert set(keeping.play.running()) == before
    described = keeping.play.describe(given)
    assert (described["Name"], described["Tags"]) == ("mine", [{"Key": "team", "Value": "a"}])
    assert described["Status"]["Phases"] == [{"Name": "WAITING", "Seconds": 0.0}]
    groups = keeping.play.emr.call("ListInstanceGroups", ClusterId=given)["InstanceGroups"]
    assert [(g["RunningInstanceCount"], g["InstanceType"]) for g in groups] == [
        (1, "m5.xlarge"), *([(core, "m5.xlarge")] if core else [])
    ]  # fmt: skip
    nodes = keeping.play.emr.call("ListInstances", ClusterId=given)["Instances"]
    assert {node["Status"]["State"] for node in nodes} == {"RUNNING"}


def test_its_nodes_fetch_nothing_until_it_is_given_away(keeping: Keeping) -> None:
    spare = primed(keeping)
    with keeping.play.emr.database.read() as session:
        assert find_grant(session, spare.role_token) is None
    given = keeping.request()
    with keeping.play.emr.database.read() as session:
        found = find_grant(session, spare.role_token)
    assert found is not None
    assert found[0].role_arn == keeping.play.role_arn
    keeping.play.emr.call("TerminateJobFlows", JobFlowIds=[given])
    keeping.play.settle(given)
    with keeping.play.emr.database.read() as session:
        assert find_grant(session, spare.role_token) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"core": 1},
        {"Configurations": [{"Classification": "spark-defaults", "Properties": {"spark.x": "1"}}]},
        {"BootstrapActions": [{"Name": "b", "ScriptBootstrapAction": {"Path": "s3://x/y.sh"}}]},
    ],
)
def test_one_that_would_start_otherwise_does_not_get_it(keeping: Keeping, changes: dict[str, Any]) -> None:
    spare = primed(keeping)
    assert keeping.request(**changes) != spare.id
    assert keeping.living()


def test_two_requests_do_not_get_the_same(keeping: Keeping) -> None:
    primed(keeping)
    assert len({keeping.request(), keeping.request()}) == 2


def test_a_new_size_makes_the_old_spare_end(keeping: Keeping) -> None:
    old = primed(keeping)
    keeping.play.settle(keeping.request(core=2))
    keeping.later()
    [new] = keeping.living()
    assert new.id != old.id
    assert len(keeping.play.nodes(new.id)) == 3
    keeping.keep()
    assert old.id not in {one.id for one in keeping.spares()}


def test_the_next_comes_after_the_one_that_was_taken(keeping: Keeping) -> None:
    taken = primed(keeping)
    keeping.play.settle(keeping.request())
    keeping.keep()
    assert not keeping.living()
    keeping.later()
    assert [one.id for one in keeping.living()] != [taken.id]


def test_none_without_room_and_none_where_none_is_wanted(keeping: Keeping) -> None:
    keeping.play.probe.memory = needed_memory_of(1) + 100
    keeping.later()
    assert not keeping.spares()
    keeping.play.probe.memory = 64_000
    keeping.later()
    Keeping(keeping.play, wanted=0).keep()
    assert not keeping.living()


def test_spares_give_way_to_a_cluster_that_lacks_memory(keeping: Keeping) -> None:
    spare = primed(keeping)
    cluster_id = keeping.request(core=2)
    keeping.play.probe.memory = 100
    assert keeping.play.turn(cluster_id) is not None
    assert keeping.play.state(cluster_id) == "STARTING"
    while keeping.play.turn(spare.id) is not None:
        pass
    keeping.play.probe.memory = 64_000
    assert "WAITING" in keeping.play.settle(cluster_id)


def test_one_that_failed_is_not_tried_again_at_once(keeping: Keeping) -> None:
    spare = primed(keeping)
    with keeping.play.emr.database.write() as session:
        row = session.get_one(Cluster, spare.id)
        row.target, row.state_code = Target.FAILED, Reason.INSTANCE_FAILURE
    keeping.later()
    assert not keeping.living()
    keeping.play.emr.clock.advance(AFTER_FAILURE.total_seconds())
    keeping.later()
    assert keeping.living()
    assert spare.id not in {one.id for one in keeping.spares()}
