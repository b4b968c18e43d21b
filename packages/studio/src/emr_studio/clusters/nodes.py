"""Which programs a cluster is made of, and how each is started.

    one node        primary: connect (computing by itself), gateway, kernels
    several nodes   primary: master, connect, gateway, kernels      each other: worker
    with Livy       primary: livy as well
    from outside    a door; where its kernels run here: gateway, kernels

The programs are `emr_studio_cluster.node`'s, run by the release's own environment. All of a
cluster's programs share one folder, as its nodes would share a file system, and one user.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emr_studio.clusters.catalog.instance_types import notebooks
from emr_studio.clusters.catalog.releases import Release, find_release
from emr_studio.clusters.limits import limits_of
from emr_studio.clusters.model import Cluster, Instance, Role, workload_owner
from emr_studio.clusters.outside.model import Kind, Outside, kind_of
from emr_studio.clusters.outside.program import door_specification, kernels_config
from emr_studio.clusters.ui_keys import livy_token, ui_key
from emr_studio.iam.bootstrap import bucket_name
from emr_studio.network.model import CONNECT_PORT, GATEWAY_PORT, LIVY_PORT
from emr_studio.runtime.contract import ProcessSpec
from emr_studio.settings import Settings

MASTER_PORT, WORKER_PORT, KERNELS_PORT = 7077, 7078, 18889
MASTER, WORKER, CONNECT, GATEWAY, KERNELS, LIVY = "master", "worker", "connect", "gateway", "kernels", "livy"
DOOR, CONNECT_DOOR, LIVY_DOOR = "door", "connect-door", "livy-door"
"""What leads to a cluster from outside, each where a program of ours would listen."""
DOORS = (f"/{DOOR}", f"/{CONNECT_DOOR}", f"/{LIVY_DOOR}")
"""How the ids of their workloads end."""
_OUTSIDE = {
    Kind.JUPYTER_GATEWAY: (DOOR,),
    Kind.SPARK_CONNECT: (CONNECT_DOOR, GATEWAY, KERNELS),
    Kind.LIVY: (LIVY_DOOR, GATEWAY, KERNELS),
}
_PORTS = {
    MASTER: MASTER_PORT,
    WORKER: WORKER_PORT,
    CONNECT: CONNECT_PORT,
    GATEWAY: GATEWAY_PORT,
    KERNELS: KERNELS_PORT,
    LIVY: LIVY_PORT,
    DOOR: GATEWAY_PORT,
    CONNECT_DOOR: CONNECT_PORT,
    LIVY_DOOR: LIVY_PORT,
}
_DAEMON_MB, _DRIVER_MB, _EXECUTOR_MB = 256, 1024, 1024
# A JVM needs more than its heap.
_EXECUTOR_NEEDED_MB = 700
_NEEDED_MB = {
    MASTER: 300,
    WORKER: 300 + _EXECUTOR_NEEDED_MB,
    CONNECT: 900,
    GATEWAY: 100,
    KERNELS: 200,
    LIVY: 50,
    DOOR: 20,
    CONNECT_DOOR: 20,
    LIVY_DOOR: 20,
}
_SPARK_DEFAULTS, _LIVY_CONF, _JEG_CONFIG = "spark-defaults", "livy-conf", "jeg-config"
_WITH_LIVY = (GATEWAY, KERNELS, LIVY, "step")
"""Those that may use it: who asks for them could do the same without it."""
EVENTS = "eventlogs"
"""Folder of the event logs, below the cluster's."""


@dataclass(frozen=True)
class Program:
    """One program of one node."""

    kind: str
    instance: Instance

    @property
    def workload_id(self) -> str:
        """`j-…/ci-…/master`."""
        return f"{self.instance.cluster_id}/{self.instance.id}/{self.kind}"

    @property
    def address(self) -> str:
        """`host:port` where it answers."""
        return f"{self.instance.bind_ip}:{_PORTS[self.kind]}"


@dataclass(frozen=True)
class Task:
    """A program that does one thing on a node and ends; `kind` is the module that does it."""

    kind: str
    instance: Instance
    workload_id: str
    place: str
    """Its folder below the cluster's: `steps/s-…`."""


@dataclass(frozen=True)
class Layout:
    """A cluster with its nodes."""

    cluster: Cluster
    instances: Sequence[Instance]
    outside: Outside | None = None
    """What is known of one from outside; needed to start its program."""

    @property
    def primary(self) -> Instance:
        """The primary node."""
        return next(instance for instance in self.instances if instance.role == Role.MASTER)

    @property
    def workers(self) -> list[Instance]:
        """All other nodes; none in a cluster that computes on its primary."""
        return [instance for instance in self.instances if instance.role != Role.MASTER]

    def programs(self) -> list[Program]:
        """All programs, those of the primary first."""
        if (kind := kind_of(self.cluster)) is not None:
            return [Program(program, self.primary) for program in _OUTSIDE[kind]]
        kinds = (MASTER, GATEWAY, KERNELS, CONNECT) if self.workers else (GATEWAY, KERNELS, CONNECT)
        if has_livy(self.cluster):
            kinds = (*kinds, LIVY)
        return [Program(kind, self.primary) for kind in kinds] + [Program(WORKER, node) for node in self.workers]

    def first_programs(self) -> list[Program]:
        """Those that need no other: a worker or driver that comes before its master loses many seconds."""
        if not self.workers:
            return self.programs()
        return [program for program in self.programs() if program.kind in (MASTER, GATEWAY, KERNELS)]

    def needed_memory(self) -> int:
        """What the cluster will take of the machine's memory, about, in MB."""
        return sum(needed_memory(program.kind) for program in self.programs())

    def settled(self) -> list[Program]:
        """Programs of nodes that are neither on their way in nor out: what must run all the time."""
        return [p for p in self.programs() if p.instance.state == "RUNNING" and p.instance.leaving_since is None]


def has_livy(cluster: Cluster) -> bool:
    """Whether Livy is among its applications."""
    return "Livy" in (cluster.applications or ())


def needed_memory(kind: str) -> int:
    """What a program really takes of the machine's memory, about, in MB."""
    return _NEEDED_MB[kind]


@dataclass(frozen=True)
class Tenant:
    """Whom a program runs as that has a role of its own: another user, other credentials, a Spark of its own.

    `executors`: how many of them its Spark has; 0: the driver computes by itself.
    """

    owner: str
    uid: int
    role_token: str
    secret: str
    folder: str
    executors: int = 0

    @property
    def master(self) -> str:
        """Spark's master: in the driver, with executors of the tenant's user. The cluster's own gives its user's."""
        return f"local-cluster[{self.executors},1,{_EXECUTOR_MB}]" if self.executors else "local[*]"

    @property
    def needed_memory(self) -> int:
        """What its Spark really takes of the machine's memory, about, in MB."""
        return _NEEDED_MB[CONNECT] + self.executors * _EXECUTOR_NEEDED_MB

    def config(self) -> dict[str, Any]:
        """What differs in its `node.json` from that of the cluster's own programs."""
        own = {"local_mode": True, "master_url": self.master, "secret": self.secret, "gateway_token": ""}
        own |= {"livy_token": "", "livy_conf": {}}
        places = {"warehouse_dir": f"{self.folder}/warehouse", "events_dir": ""}
        return own | places


def folder_of(settings: Settings, cluster_id: str) -> Path:
    """The folder that a cluster's programs share; gone after the end."""
    return settings.clusters_dir / cluster_id


def logs_of(settings: Settings, cluster_id: str) -> Path:
    """Where the logs of its programs are; kept after the end."""
    return settings.logs_dir / "clusters" / cluster_id


def specification(settings: Settings, layout: Layout, program: Program) -> ProcessSpec:
    """What the runtime is asked to start for a program that a node runs all the time."""
    place = f"{program.instance.id}/{program.kind}"
    folder = folder_of(settings, layout.cluster.id)
    if layout.outside and program.kind in (DOOR, CONNECT_DOOR, LIVY_DOOR):
        return door_specification(
            settings,
            layout.cluster,
            layout.outside,
            workload_id=program.workload_id,
            address=program.address,
            folder=folder,
            log=logs_of(settings, layout.cluster.id) / f"{program.instance.id}-{program.kind}.log",
        )
    return _process(
        settings,
        layout,
        program.workload_id,
        argv=("emr_studio_cluster.node", program.kind, str(folder / place)),
        log_name=f"{program.instance.id}-{program.kind}.log",
        files={f"{place}/node.json": json.dumps(_config(settings, layout, program.instance, program.kind))},
        ready_address=program.address,
    )


def task_specification(
    settings: Settings, layout: Layout, task: Task, told: Mapping[str, Any], tenant: Tenant | None = None
) -> ProcessSpec:
    """What the runtime is asked to start for a program that does one thing and ends (a step, a bootstrap action).

    `told` is written beside `node.json` as `task.json`. With a `tenant` it runs as that.
    """
    folder = Path(tenant.folder) if tenant else folder_of(settings, layout.cluster.id)
    config = _config(settings, layout, task.instance, task.kind)
    if tenant:
        config |= _tenant_config(layout, tenant) | {"connect_token": ""}
    files = {"node.json": config, "task.json": told}
    return _process(
        settings,
        layout,
        task.workload_id,
        argv=(f"emr_studio_cluster.{task.kind}", str(folder / task.place)),
        log_name=f"{task.place.replace('/', '-')}.log",
        files={f"{task.place}/{name}": json.dumps(content) for name, content in files.items()},
        tenant=tenant,
    )


def _tenant_config(layout: Layout, tenant: Tenant) -> dict[str, Any]:
    # Spark 3.5 has no filter for its pages.
    old = release_of(layout.cluster).spark.startswith("3.")
    return tenant.config() | ({} if old else {"ui_key": ui_key(tenant.secret)})


@dataclass(frozen=True)
class TenantProgram:
    """A program that a tenant runs all the time, at an address (`host`) of its own."""

    kind: str
    workload_id: str
    address: str


def tenant_specification(
    settings: Settings, layout: Layout, tenant: Tenant, program: TenantProgram, config: Mapping[str, Any]
) -> ProcessSpec:
    """What the runtime is asked to start for it; `config` wins over what the cluster's own programs are told."""
    place = {"address": program.address, "primary_address": program.address}
    told = _config(settings, layout, layout.primary, program.kind) | _tenant_config(layout, tenant) | place
    return _process(
        settings,
        layout,
        program.workload_id,
        argv=("emr_studio_cluster.node", program.kind, f"{tenant.folder}/{program.kind}"),
        log_name=f"{program.workload_id.replace('/', '-')}.log",
        files={f"{program.kind}/node.json": json.dumps({**told, **config})},
        ready_address=f"{program.address}:{_PORTS[program.kind]}",
        tenant=tenant,
    )


def _process(
    settings: Settings,
    layout: Layout,
    workload_id: str,
    *,
    argv: tuple[str, ...],
    log_name: str,
    files: Mapping[str, str],
    ready_address: str = "",
    tenant: Tenant | None = None,
) -> ProcessSpec:
    cluster, release = layout.cluster, release_of(layout.cluster)
    folder = tenant.folder if tenant else str(folder_of(settings, cluster.id))
    return ProcessSpec(
        workload_id=workload_id,
        owner=tenant.owner if tenant else workload_owner(cluster.id),
        argv=(str(settings.env_python(release.environment)), "-m", *argv),
        folder=folder,
        log_path=str(logs_of(settings, cluster.id) / log_name),
        environment=_environment(settings, cluster, folder, tenant.role_token if tenant else cluster.role_token),
        files=files,
        uid=tenant.uid if tenant else cluster.uid,
        ready_address=ready_address,
        readable=readable_of(settings, release),
        limits=limits_of(workload_id.rpartition("/")[2]),
    )


def log_uri(cluster: Cluster, *parts: str) -> str:
    """Where logs go in S3, in EMR's layout `<LogUri>/<cluster>/…`; empty without a LogUri."""
    base = str(cluster.details.get("LogUri") or "")
    return "/".join((base.rstrip("/"), cluster.id, *parts)) if base else ""


def release_of(cluster: Cluster) -> Release:
    """The cluster's release.

    Raises:
        LookupError: if this installation no longer knows it.
    """
    release = find_release(cluster.release_label)
    if release is None:
        raise LookupError(f"release {cluster.release_label} is not in releases.toml")
    return release


def _config(settings: Settings, layout: Layout, instance: Instance, kind: str) -> dict[str, Any]:
    cluster, release = layout.cluster, release_of(layout.cluster)
    outside = kernels_config(settings, cluster, layout.outside) if layout.outside else {}
    return {
        "cluster_id": cluster.id,
        "address": instance.bind_ip,
        "primary_address": layout.primary.bind_ip,
        "local_mode": not layout.workers,
        "secret": cluster.secret,
        "connect_token": cluster.connect_token,
        "gateway_token": cluster.gateway_token if kind in (GATEWAY, KERNELS, LIVY) else "",
        "livy_token": livy_token(cluster.secret) if has_livy(cluster) and kind in _WITH_LIVY else "",
        "livy_conf": _properties(cluster.configurations, _LIVY_CONF) if kind == LIVY else {},
        "jeg_config": _properties(cluster.configurations, _JEG_CONFIG) if kind == GATEWAY else {},
        "ui_key": ui_key(cluster.secret) if kind == CONNECT else "",
        **(_notebooks(settings, layout) if kind == GATEWAY and not layout.outside else {}),
        "kernel_host": kind in (GATEWAY, KERNELS),
        "cores": 1,
        "worker_memory": _EXECUTOR_MB,
        "driver_memory": _DRIVER_MB,
        "daemon_memory": _DAEMON_MB,
        "release": release.label,
        "jars_dir": str(jars_dir(settings, release)),
        "classes_dir": str(classes_dir(settings, release)),
        "archives_dir": str(archives_dir(settings, release)),
        "events_dir": str(folder_of(settings, cluster.id) / EVENTS),
        "warehouse_dir": warehouse_of(settings, cluster),
        "s3_endpoint": _endpoint(settings),
        "region": cluster.region,
        "spark_defaults": spark_defaults(cluster.configurations),
        **outside,
    }


def _notebooks(settings: Settings, layout: Layout) -> dict[str, Any]:
    """How many notebooks the primary node is meant for, and what comes of more."""
    name = layout.primary.instance_type
    return {"instance_type": name, "notebooks": notebooks(name), "notebook_limit": settings.notebook_limit}


def warehouse_of(settings: Settings, cluster: Cluster) -> str:
    """Where managed tables are: what the classification `hive-site` says, else in the account's own bucket.

    An account that the installation did not make a bucket for has its tables on the cluster, as long as that lives.
    """
    named = _properties(cluster.configurations, "hive-site").get("hive.metastore.warehouse.dir")
    # A warm spare is in no account yet; it will be in one that wants exactly this.
    if named or cluster.account_id not in ("", settings.account_id):
        return named or str(folder_of(settings, cluster.id) / "warehouse")
    return f"s3://{bucket_name(settings)}/warehouse"


def jars_dir(settings: Settings, release: Release) -> Path:
    """The jars that Spark's package lacks."""
    return settings.root / ".cache" / "jars" / release.label


def classes_dir(settings: Settings, release: Release) -> Path:
    """Our own classes for Spark's JVMs."""
    return settings.root / ".cache" / "classes" / release.label


def archives_dir(settings: Settings, release: Release) -> Path:
    """The JVMs' class data archives."""
    return settings.root / ".cache" / "archives" / release.label


def _endpoint(settings: Settings) -> str:
    # By number: a name with dots would make clients put the bucket into the host name.
    return f"http://127.0.0.1:{settings.port}"


def _environment(settings: Settings, cluster: Cluster, folder: str, role_token: str) -> dict[str, str]:
    endpoint = _endpoint(settings)
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": cluster.region,
        "AWS_REGION": cluster.region,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{endpoint}/_credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": role_token,
        # What the cluster's bootstrap actions install (emr_studio_cluster.tools).
        "PYTHONPATH": f"{folder}/python",
        # No instance metadata service is here; looking for it takes seconds.
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def spark_defaults(configurations: Sequence[Any]) -> dict[str, str]:
    """Spark's properties of the classification `spark-defaults`."""
    return _properties(configurations, _SPARK_DEFAULTS)


def _properties(configurations: Sequence[Any], classification: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in configurations:
        if entry.get("Classification") == classification:
            found |= entry.get("Properties") or {}
    return found


def readable_of(settings: Settings, release: Release) -> tuple[str, ...]:
    """Folders that every program of a release must be able to read."""
    folders = (
        settings.root / ".envs" / release.environment,
        settings.root / "packages" / "cluster",
        jars_dir(settings, release),
        classes_dir(settings, release),
        archives_dir(settings, release),
    )
    return tuple(str(folder) for folder in folders)
