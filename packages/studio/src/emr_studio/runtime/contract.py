"""The contract of a runtime: what starts, watches and stops Workspaces and cluster nodes.

A `LocalRuntime` (the host agent) fulfils it, a Kubernetes one will, an in-process one serves tests.
Every call is idempotent: a controller may be cut anywhere and call again.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from emr_studio.storage.versions import FileVersion


class WorkloadKind(StrEnum):
    WORKSPACE = "workspace"
    PROCESS = "process"


class WorkloadState(StrEnum):
    """As observed, never as wished."""

    ABSENT = "absent"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    EXITED = "exited"

    @property
    def is_going(self) -> bool:
        """It serves, or will: it can be asked to stop."""
        return self in (WorkloadState.STARTING, WorkloadState.RUNNING)

    @property
    def is_over(self) -> bool:
        """No process of it is left."""
        return self in (WorkloadState.ABSENT, WorkloadState.EXITED)


QUEUED = "waiting for its turn"
"""How `Observation.progress` begins while others are started first."""


class Cause(StrEnum):
    """Why a workload ended, did not start or is not well, where that is known."""

    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    PROCESS_LIMIT = "PROCESS_LIMIT"
    DISK_FULL = "DISK_FULL"
    HOST_DISK_FULL = "HOST_DISK_FULL"
    DISK_FAILED = "DISK_FAILED"
    RESTORE_FAILED = "RESTORE_FAILED"
    SERVER_FAILED = "SERVER_FAILED"
    """JupyterLab's process could not be made, or ended before its first answer."""


@dataclass(frozen=True)
class Limits:
    """Zero means no limit. `disk_bytes` is for Workspaces alone."""

    memory_bytes: int = 0
    cpus: float = 0.0
    pids: int = 0
    disk_bytes: int = 0


@dataclass(frozen=True)
class ProcessSpec:
    """A program executed afresh (a Spark master, a kernel gateway).

    `workload_id` is unique on the host (`j-…/ci-…/master`). `folder` is made (mode 700, owned by
    `uid`) and is the working directory; stdout and stderr go to `log_path`. `ready_address`
    (`host:port`), if given, must accept connections before the state is RUNNING. `uid` 0 means
    the agent's own user; where the agent may not change users it is ignored.
    """

    workload_id: str
    owner: str
    argv: tuple[str, ...]
    folder: str
    log_path: str
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Files to write below `folder` before the start: relative path -> text (mode 600)."""
    uid: int = 0
    ready_address: str = ""
    readable: tuple[str, ...] = ()
    """Folders that the program must be able to read (environments), wherever they lie."""
    limits: Limits = Limits()
    kind: WorkloadKind = WorkloadKind.PROCESS


@dataclass(frozen=True)
class WorkspaceSpec:
    """A Workspace: JupyterLab's server forked from the zygote.

    Before it starts, the agent restores `s3_location` into its folder (a changed or new object
    wins over a file that is already there; a file that only exists locally is uploaded); while it
    runs, the agent mirrors the folder there; before a stop it mirrors once more.
    `credentials_url` and `credentials_token` are a container-credentials endpoint (GET with the
    token as Authorization) for the Studio's service role, used by the agent only.
    `identity_public_key` (PEM, Ed25519) verifies the identity token that the edge adds.
    """

    workload_id: str
    owner: str
    name: str
    s3_location: str
    s3_endpoint_url: str
    region: str
    credentials_url: str
    credentials_token: str
    identity_public_key: str
    uid: int
    origin: str
    """`http://e-….workspace.localhost:8080`: the only origin that may open websockets."""
    default_notebook: str
    """Made, blank, at the first start (WS-02): `<Workspace name>.ipynb`."""
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    kind: WorkloadKind = WorkloadKind.WORKSPACE
    git_token: str = ""
    """With it the Workspace's git asks the control plane for the credentials of linked repositories."""
    kms_key_id: str = ""
    """The KMS key with which its files are sealed in S3; empty: S3's own key."""


Spec = ProcessSpec | WorkspaceSpec


@dataclass(frozen=True)
class Gateway:
    """Where a Workspace's kernels live: the kernel gateway of the cluster it is attached to."""

    address: str
    """`host:port`."""
    token: str
    cluster_id: str
    credentials_token: str = ""
    """Fetches credentials of the role that the cluster's code has; good while the cluster lives."""


@dataclass(frozen=True)
class Observation:
    """What the runtime sees of a workload.

    `exit_code` is None while it runs or where it could not be learned. `reason` is one plain
    sentence with the cause when it failed (or while it runs, when it is not well), `cause` the same
    as a code of `Cause` where it is one of those, `log_tail` the last lines of its log. `address` is
    what the edge may dial (`unix//path` or `host:port`), empty until RUNNING. `progress` is a short
    phrase while STARTING (`restoring 120 of 400 files`).
    """

    workload_id: str
    owner: str
    state: WorkloadState
    address: str = ""
    exit_code: int | None = None
    reason: str = ""
    log_tail: tuple[str, ...] = ()
    progress: str = ""
    pid: int = 0
    cause: str = ""


@dataclass(frozen=True)
class Activity:
    """What goes on in a Workspace: whether cells or programs run now, else how long ago the last thing happened."""

    busy: bool
    idle_seconds: float = 0.0


@dataclass(frozen=True)
class GitWork:
    """A Git repository that a running Workspace is to clone (`link`), or whose credentials it is to let go of.

    `attempt` is the same in all questions about one request of a user: the first begins the work.
    """

    attempt: str
    link: bool
    name: str
    url: str
    branch: str


@dataclass(frozen=True)
class GitProgress:
    """How that stands: `working`, `done`, or `failed` with the reason."""

    state: str
    reason: str = ""


class RuntimeUnavailable(Exception):
    """The agent does not answer; the controller tries again later (`AGENT_AWAY_SECONDS`)."""


AGENT_AWAY_SECONDS = 0.5


class Runtime(Protocol):
    """Start, observe, stop. Raises `RuntimeUnavailable` where the host does not answer."""

    def launch(self, spec: Spec) -> None:
        """Start `spec` unless a workload of that id already runs; returns at once."""
        ...

    def observe(self, workload_id: str) -> Observation:
        """State now; ABSENT for an unknown id."""
        ...

    def wait(self, workload_id: str, leave: WorkloadState, timeout: float) -> Observation:
        """Return as soon as the state is no longer `leave`, or after `timeout` seconds."""
        ...

    def stop(self, workload_id: str, grace_seconds: float = 10.0) -> None:
        """Ask to stop (SIGTERM, then SIGKILL, whole tree); returns at once; unknown ids are fine."""
        ...

    def forget(self, workload_id: str) -> None:
        """Drop the record of an exited workload (its files stay)."""
        ...

    def list(self) -> list[Observation]:
        """All workloads of the host, so that orphans can be found."""
        ...

    def logs(self, workload_id: str, lines: int = 50) -> builtins.list[str]:
        """The last lines of the log."""
        ...

    def set_gateway(self, workload_id: str, gateway: Gateway | None) -> None:
        """Attach a running Workspace's kernels to a gateway, or detach. Files and layout stay."""
        ...

    def set_encryption(self, workload_id: str, kms_key_id: str) -> None:
        """Seal what a running Workspace saves from now on with another KMS key (empty: S3's own)."""
        ...

    def activity(self, workload_id: str) -> Activity | None:
        """What goes on in a running Workspace; None if its server does not say."""
        ...

    def git(self, workload_id: str, work: GitWork) -> GitProgress | None:
        """Begin Git work in a running Workspace, or say how it stands; None if its server does not say."""
        ...

    def flush(self, workload_id: str) -> None:
        """Mirror a Workspace's folder to S3 now; returns when S3 has all of it."""
        ...

    def versions(self, workload_id: str, path: str) -> builtins.list[FileVersion]:
        """What S3 keeps of a file of a running Workspace, newest first. ValueError: no such file can be kept."""
        ...

    def version(self, workload_id: str, path: str, version_id: str) -> bytes:
        """The content of one of them. ValueError: there is none, or it is too large."""
        ...
