"""No cluster starves another: code that eats memory, or the last of the disk, is ended, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from emr_studio.clusters import limits
from emr_studio.runtime.cgroups import ControlGroups
from tests.support.cluster_rig import ClusterRig, Kernel, cluster_rig, processes_of
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


# In one place: it is not the test that is to fill the disk.
FILL = """
import os
eaten = "here"
def go_on():
    with open("filled", "wb", buffering=0) as file:
        for _ in range(2000):
            file.seek(0)
            file.write(os.urandom(1 << 24))
            os.fdatasync(file.fileno())
"""


def has_forgotten(rig: ClusterRig, cluster_id: str, kernel: Kernel) -> bool:
    """Whether the kernel is a new one; while the old one eats, or is just ended, it does not answer."""
    try:
        again = Kernel(rig.gateway(cluster_id), "python3", kernel.id)
    except (OSError, InvalidHandshake):
        return False
    try:
        return "NameError" in again.run("len(eaten)", 15)
    except (OSError, ConnectionClosed):
        return False
    finally:
        again.leave()


class Pair:
    """Two clusters; on the first a kernel that takes too much and a neighbour."""

    def __init__(self, rig: ClusterRig) -> None:
        self.rig = rig
        own = {"Classification": "spark-defaults", "Properties": {"spark.sql.catalogImplementation": "in-memory"}}
        self.greedy, self.other = self.clusters = [rig.create(core=0, Configurations=[own]) for _ in range(2)]
        self.neighbour, self.elsewhere = (rig.kernel(one, "python3") for one in self.clusters)
        self.neighbour.run("kept = 41")
        self.host = self.host_of_kernels()

    def host_of_kernels(self) -> int:
        return self.rig.agent.runtime.observe(self.rig.play.workload(self.greedy, "kernels")).pid

    def check(self) -> None:
        """Nothing else ended: not the kernels' host, not the kernel beside it, not the other cluster."""
        assert self.neighbour.run("print(kept + 1)") == "42\n"
        assert self.elsewhere.run("print(6 * 7)") == "42\n"
        assert self.host_of_kernels() == self.host
        assert [self.rig.play.state(one) for one in self.clusters] == ["WAITING", "WAITING"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with cluster_rig(tmp_path_factory.mktemp("limits")) as rig, pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "shared_mb", lambda: BOUND_MB)
        made = Pair(rig)
        yield made
        for kernel in (made.neighbour, made.elsewhere):
            kernel.close()
        for one in made.clusters:
            rig.terminate(one)
        until("no process is left", lambda: not any(processes_of(one) for one in made.clusters))


def test_what_eats_memory_ends_alone(pair: Pair) -> None:
    glutton = pair.rig.kernel(pair.greedy, "python3")
    glutton.result(glutton.begin(EAT), 120, until=HALF)
    until("it is started anew, without what it had", lambda: has_forgotten(pair.rig, pair.greedy, glutton))
    pair.check()
    glutton.close()


def test_what_fills_the_disk_ends_alone(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    glutton = pair.rig.kernel(pair.greedy, "python3")
    glutton.run(FILL)
    # From now on no disk has enough left; the kernel's own count is of what is written to one.
    monkeypatch.setenv("EMR_STUDIO_DISK_RESERVE_MB", str(1 << 40))
    pair.rig.agent.kill()
    pair.rig.agent.start()
    glutton.begin("go_on()")
    until("it is started anew, without what it had", lambda: has_forgotten(pair.rig, pair.greedy, glutton))
    pair.check()
    said = "\n".join(pair.rig.agent.runtime.logs(pair.rig.play.workload(pair.greedy, "kernels")))
    assert "of its disk left, and process" in said
    glutton.close()
