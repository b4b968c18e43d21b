"""Clusters driven by hand: real rows and real IAM, an in-process runtime, a probe that believes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from emr_studio.aws.errors import AwsError
from emr_studio.clock import Clock
from emr_studio.clusters import operations
from emr_studio.clusters.catalog import operations as catalog_operations
from emr_studio.clusters.controller import ClusterReconciler
from emr_studio.clusters.fleets import operations as fleet_operations
from emr_studio.clusters.job_flows import operations as job_flow_operations
from emr_studio.clusters.model import Cluster, Instance, instances_of
from emr_studio.clusters.outside import operations as outside_operations
from emr_studio.clusters.probe import Load
from emr_studio.clusters.scaling import operations as scaling_operations
from emr_studio.clusters.security import operations as security_operations
from emr_studio.clusters.sessions import operations as session_operations
from emr_studio.clusters.steps import operations as step_operations
from emr_studio.iam import writing
from emr_studio.iam.bootstrap_policies import trust_policy
from emr_studio.iam.entities import get_account, resolve_role
from emr_studio.iam.model import RoleGrant
from emr_studio.network.model import Address
from emr_studio.runtime.contract import WorkloadState
from emr_studio.runtime.inprocess import InProcessRuntime
from tests.support.emr_world import World

REGISTERED = (
    operations,
    catalog_operations,
    step_operations,
    scaling_operations,
    security_operations,
    job_flow_operations,
    fleet_operations,
    session_operations,
    outside_operations,
)
"""Importing them registered the clusters' operations."""
EC2 = "ec2.amazonaws.com"
SERVICE_ROLE = "EMR_DefaultRole_V2"
PROFILE = "EMR_EC2_DefaultRole"


@dataclass
class RuntimeProbe:
    """Says of a cluster what the in-process runtime says of its programs."""

    runtime: InProcessRuntime
    memory: int = 64_000
    answers: bool = True
    load_now: Load | None = field(default_factory=Load)
    kernels_now: int | None = 0
    used: dict[str, int] = field(default_factory=dict)
    """Executors, by the address of the worker."""
    outside_now: tuple[str, str] | None = ("", "")
    decommissioned: set[str] = field(default_factory=set)
    pages: bool = True

    def alive_workers(self, primary: Instance) -> set[str]:
        running = [w for w in self.runtime.workloads.values() if w.observation.state is WorkloadState.RUNNING]
        return {w.observation.address.split(":")[0] for w in running if w.spec.workload_id.endswith("/worker")}

    def gateway_answers(self, cluster: Cluster, primary: Instance) -> bool:
        return self.answers

    def kernels(self, cluster: Cluster, primary: Instance) -> int | None:
        return self.kernels_now

    def load(self, cluster: Cluster, primary: Instance) -> Load | None:
        return self.load_now

    def decommission(self, primary: Instance, node: Instance) -> None:
        self.decommissioned.add(node.bind_ip)

    def executors(self, node: Instance) -> int | None:
        return self.used.get(node.bind_ip, 0)

    def outside(self, cluster: Cluster, primary: Instance) -> tuple[str, str] | None:
        return self.outside_now

    def has_pages(self, address: str) -> bool:
        return self.pages

    def free_memory(self) -> int:
        return self.memory


@dataclass
class ClusterPlay:
    """A world with roles for clusters, and their controller."""

    emr: World
    runtime: InProcessRuntime = field(default_factory=InProcessRuntime)
    clock: Clock | None = None
    """The controller's, where it is not the world's: a served API runs by the real one."""

    def __post_init__(self) -> None:
        """Make the roles."""
        self.emr.role(SERVICE_ROLE)
        self.role_arn = self.emr.role(PROFILE, trust=trust_policy(EC2, self.emr.admin.account_id, "aws"))
        self._profile()
        self.probe = RuntimeProbe(self.runtime)
        self.controller = self.new_controller()

    def _profile(self) -> None:
        account_id = self.emr.admin.account_id
        with self.emr.database.write() as session:
            account = get_account(session, account_id)
            profile = writing.new_instance_profile(session, account, PROFILE, self.emr.clock.now(), tags={})
            profile.role_id = resolve_role(session, account_id, PROFILE).id

    def new_controller(self) -> ClusterReconciler:
        """A controller that knows nothing but what is saved, as after kill -9."""
        clock = self.clock or self.emr.clock
        return ClusterReconciler(self.emr.database, clock, self.runtime, self.emr.settings, self.probe)

    def request(self, core: int = 2, **changes: Any) -> dict[str, Any]:
        """A valid RunJobFlow; a change to None leaves the member out."""
        groups = [{"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1}]
        if core:
            groups.append({"InstanceRole": "CORE", "InstanceType": "m5.xlarge", "InstanceCount": core})
        instances = {
            "InstanceGroups": groups,
            "KeepJobFlowAliveWhenNoSteps": True,
            "Ec2SubnetId": self.emr.network.subnet_ids[1],
        }
        request = {
            "Name": "c",
            "ReleaseLabel": "emr-8.0.0",
            "Applications": [{"Name": "spark"}, {"Name": "Livy"}, {"Name": "JupyterEnterpriseGateway"}],
            "ServiceRole": SERVICE_ROLE,
            "JobFlowRole": PROFILE,
            "Instances": instances | changes.pop("Instances", {}),
        }
        return {member: value for member, value in (request | changes).items() if value is not None}

    def create(self, **changes: Any) -> str:
        """Create a cluster; returns its id."""
        return str(self.emr.call("RunJobFlow", **self.request(**changes))["JobFlowId"])

    def refused(self, operation: str, /, **request: Any) -> tuple[str, str]:
        """Code and message of an operation that must fail."""
        with pytest.raises(AwsError) as caught:
            self.emr.call(operation, **request)
        return caught.value.code, caught.value.message

    def describe(self, cluster_id: str) -> dict[str, Any]:
        """`Cluster` of DescribeCluster."""
        return dict(self.emr.call("DescribeCluster", ClusterId=cluster_id)["Cluster"])

    def state(self, cluster_id: str) -> str:
        return str(self.describe(cluster_id)["Status"]["State"])

    def turn(self, cluster_id: str) -> float | None:
        """One turn of the controller."""
        return self.controller.reconcile(cluster_id)

    def settle(self, cluster_id: str, turns: int = 80) -> list[str]:
        """Take turns until nothing is left to do; the states that were seen on the way."""
        seen: list[str] = []
        for _ in range(turns):
            again = self.turn(cluster_id)
            state = self.state(cluster_id)
            if not seen or seen[-1] != state:
                seen.append(state)
            if again is None:
                return seen
        raise AssertionError(f"it did not settle: {seen}")

    def row(self, cluster_id: str) -> Cluster:
        with self.emr.database.read() as session:
            return session.get_one(Cluster, cluster_id)

    def nodes(self, cluster_id: str) -> list[Instance]:
        """Its instances, primary first."""
        with self.emr.database.read() as session:
            return instances_of(session, cluster_id)

    def workload(self, cluster_id: str, kind: str, number: int = 0) -> str:
        """The id of a program: of the primary, or of the worker of that number."""
        nodes = self.nodes(cluster_id)
        node = nodes[1 + number] if kind == "worker" else nodes[0]
        return f"{cluster_id}/{node.id}/{kind}"

    def running(self) -> list[str]:
        """Workloads that are not gone."""
        return sorted(name for name in self.runtime.workloads if not self.runtime.state(name).is_over)

    def nothing_left(self) -> bool:
        """No process, address or grant of any cluster."""
        with self.emr.database.read() as session:
            rows = session.query(Address).count() + session.query(RoleGrant).count()
        return not self.running() and rows == 0
