"""A warm spare on the real agent: given away running, its kernels and Spark work at once, and it ends whole."""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from emr_studio.clusters.model import Cluster
from emr_studio.clusters.probe import NodeProbe
from emr_studio.clusters.spares import NOBODY, QUIET, SpareKeeper
from emr_studio.clusters.ui_keys import token_for, ui_key
from tests.support.cluster_rig import ClusterRig, cluster_rig, hosts, processes_of
from tests.support.studio import until


@pytest.fixture
def rig() -> Iterator[ClusterRig]:
    # Short: a unix socket's path has at most 107 characters.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, cluster_rig(Path(folder)) as found:
        yield found


def warmed(rig: ClusterRig) -> str:
    """The id of a spare that runs."""
    emr = rig.play.emr
    settings = emr.settings.model_copy(update={"warm_spares": 1})
    rig.turn("")
    keeper = SpareKeeper(emr.database, emr.clock, settings, NodeProbe())
    emr.clock.advance(QUIET.total_seconds())
    (due,) = keeper.pending()
    keeper.reconcile(due)
    with emr.database.read() as session:
        (spare,) = session.query(Cluster).filter(Cluster.account_id == NOBODY).all()
    deadline = time.monotonic() + 400
    while rig.play.row(spare.id).state != "WAITING":
        rig.turn(spare.id)
        assert time.monotonic() < deadline
    return spare.id


def jobs_done(rig: ClusterRig, cluster_id: str) -> int:
    """How many jobs Spark has done, as its own page tells."""
    token = token_for(ui_key(rig.play.row(cluster_id).secret), dt.datetime.now(dt.UTC))
    base = f"http://{rig.play.nodes(cluster_id)[0].bind_ip}:4040/api/v1/applications"
    headers = {"Authorization": f"Bearer {token}"}
    # While it starts it answers not at all, or knows of no application.
    with suppress(httpx.HTTPError):
        for one in httpx.get(base, headers=headers, timeout=60).raise_for_status().json():
            jobs = httpx.get(f"{base}/{one['id']}/jobs?status=succeeded", headers=headers, timeout=60)
            return len(jobs.raise_for_status().json())
    return 0


def programs(rig: ClusterRig, cluster_id: str) -> dict[str, int]:
    """Its programs and their processes; what these start and end by themselves does not count."""
    seen = rig.agent.runtime.list()
    return {one.workload_id: one.pid for one in seen if one.workload_id.startswith(f"{cluster_id}/") and one.pid}


def test_it_is_given_away_running_and_ends_whole(rig: ClusterRig) -> None:
    spare_id = warmed(rig)
    until("Spark was used once", lambda: jobs_done(rig, spare_id) > 0)
    until("whoever did that is gone", lambda: hosts(spare_id) == 1)
    before = programs(rig, spare_id)
    assert before
    # The spare's subnet is the first of the default network.
    cluster_id = rig.create(core=0, Instances={"Ec2SubnetId": rig.play.emr.network.subnet_ids[0]})
    assert cluster_id == spare_id
    assert programs(rig, cluster_id) == before
    assert [phase["Name"] for phase in rig.play.row(cluster_id).phases] == ["WAITING"]
    kernel = rig.kernel(cluster_id)
    assert kernel.run("print(spark.range(10).count())") == "10\n"
    kernel.close()
    rig.terminate(cluster_id)
    until("no process is left", lambda: not processes_of(cluster_id))
