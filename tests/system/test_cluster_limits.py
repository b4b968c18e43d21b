"""No cluster starves another: code that eats memory is ended within its cluster's bound."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from emr_studio.clusters import limits
from emr_studio.runtime.cgroups import ControlGroups
from tests.support.cluster_rig import ClusterRig, Kernel, cluster_rig
from tests.support.studio import until

pytestmark = [
    pytest.mark.skipif("memory" not in ControlGroups("emr-studio-probe").available, reason="no control groups here"),
]
BOUND_MB = 1200
HALF = "576"
# In pieces, so that it is over as soon as it is too much.
EAT = """
eaten = []
while True:
    eaten.append(b"x" * (64 * 1024 * 1024))
    print(len(eaten) * 64, flush=True)
"""


def has_forgotten(rig: ClusterRig, cluster_id: str, kernel: Kernel) -> bool:
    """Whether the kernel is a new one; while the old one eats, or is just ended, it does not answer."""
    try:
        again = Kernel(rig.gateway(cluster_id), "python3", kernel.id)
    except (TimeoutError, InvalidHandshake):
        return False
    try:
        return "NameError" in again.run("len(eaten)", 15)
    except (TimeoutError, ConnectionClosed):
        return False
    finally:
        again.leave()


@pytest.fixture
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterRig]:
    with cluster_rig(tmp_path_factory.mktemp("limits")) as made:
        yield made


def test_what_eats_memory_ends_alone(rig: ClusterRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "shared_mb", lambda: BOUND_MB)
    own = {"Classification": "spark-defaults", "Properties": {"spark.sql.catalogImplementation": "in-memory"}}
    greedy, other = (rig.create(core=0, Configurations=[own]) for _ in range(2))
    glutton, neighbour, elsewhere = (rig.kernel(one, "python3") for one in (greedy, greedy, other))
    neighbour.run("kept = 41")
    host = rig.agent.runtime.observe(rig.play.workload(greedy, "kernels")).pid
    glutton.result(glutton.begin(EAT), 120, until=HALF)
    until("it is started anew, without what it had", lambda: has_forgotten(rig, greedy, glutton))
    # Nothing else ended: not the kernels' host, not the kernel beside it, not the other cluster.
    assert neighbour.run("print(kept + 1)") == "42\n"
    assert elsewhere.run("print(6 * 7)") == "42\n"
    assert rig.agent.runtime.observe(rig.play.workload(greedy, "kernels")).pid == host
    assert [rig.play.state(one) for one in (greedy, other)] == ["WAITING", "WAITING"]
    for kernel in (glutton, neighbour, elsewhere):
        kernel.close()
    for one in (greedy, other):
        rig.terminate(one)
