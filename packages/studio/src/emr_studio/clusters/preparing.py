"""Environments that are built when the first cluster of their release asks: as a workload of the host.

All clusters that wait for the same release watch the same build, whose last line is their StateChangeReason. A
build that failed is told to each of them; the next cluster tries again.
"""

from __future__ import annotations

import os
import sys

from emr_studio.clusters.catalog import environments
from emr_studio.clusters.catalog.releases import Release
from emr_studio.clusters.failure import Failure
from emr_studio.clusters.model import Cluster, Reason
from emr_studio.clusters.nodes import release_of
from emr_studio.clusters.outside.model import has_kernels_here
from emr_studio.clusters.tools import Tools
from emr_studio.runtime.contract import ProcessSpec, WorkloadState

BUILDING = "Building the environment of"
"""How the reason of a cluster begins that waits for one."""
_WAIT_SECONDS = 1.0
_OWNER = "installation"
"""No row owns it: it belongs to all clusters, and ends by itself."""
# What tells uv, pip and Spark's resolver of mirrors, proxies, certificates and caches.
_PASSED = (
    "UV_",
    "PIP_",
    "XDG_",
    "SSL_",
    "JAVA_",
    "HTTP_",
    "HTTPS_",
    "NO_PROXY",
    "ALL_PROXY",
    "http",
    "no_proxy",
    "all_proxy",
)
_HERE = ("HOME", "PATH", "REQUESTS_CA_BUNDLE", "DEFAULT_ARTIFACT_REPOSITORY")


class Preparing:
    """Builds what a cluster's release lacks."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._runtime = tools.runtime
        self._settings = tools.settings

    def turn(self, cluster: Cluster) -> bool:
        """True if the environment is there; else it is on its way, which the cluster's reason tells.

        Raises:
            Failure: the build ended without an environment.
        """
        # Nothing of ours runs code for a gateway from outside.
        progress = self._look(cluster, release_of(cluster)) if has_kernels_here(cluster) else None
        if progress not in (None, cluster.state_message):
            self._tell(cluster, progress)
        return progress is None

    def _tell(self, seen: Cluster, message: str | None) -> None:
        """Say how far it is, within its state; the state's time begins when there is nothing more to say."""
        with self._tools.database.write() as session:
            cluster = session.get(Cluster, seen.id, with_for_update=True)
            if cluster is not None and (cluster.target, cluster.state) == (seen.target, seen.state):
                cluster.state_message, cluster.phase_since = message, self._tools.clock.now()

    def _look(self, cluster: Cluster, release: Release) -> str | None:
        """How far the build is; None if nothing is to be built (any more)."""
        watched = (cluster.state_message or "").startswith(self._doing(release))
        if environments.is_built(self._settings, release):
            if watched:
                self._runtime.forget(self.workload_id(release))
            return None
        seen = self._runtime.observe(self.workload_id(release))
        if seen.state is WorkloadState.EXITED and watched:
            last = seen.log_tail[-1] if seen.log_tail else seen.reason
            why = f"The environment of {release.label} could not be built: {last}"
            raise Failure(Reason.INTERNAL_ERROR, why, seen.log_tail)
        if seen.state is WorkloadState.EXITED:
            self._runtime.forget(seen.workload_id)
        if seen.state.is_over:
            self._runtime.launch(self._specification(release))
        self._runtime.wait(seen.workload_id, WorkloadState.RUNNING, _WAIT_SECONDS)
        return self._message(release)

    @staticmethod
    def workload_id(release: Release) -> str:
        return f"environments/{release.environment}"

    @staticmethod
    def _doing(release: Release) -> str:
        return f"{BUILDING} {release.label}"

    def _message(self, release: Release) -> str:
        lines = self._runtime.logs(self.workload_id(release), 1)
        return f"{self._doing(release)} (once): {lines[-1] if lines else 'starting'}"

    def _specification(self, release: Release) -> ProcessSpec:
        passed = {name: value for name, value in os.environ.items() if name.startswith(_PASSED) or name in _HERE}
        log = self._settings.logs_dir / f"environment-{release.environment}.log"
        # A log of an earlier build would be taken for this one's progress.
        log.unlink(missing_ok=True)
        return ProcessSpec(
            workload_id=self.workload_id(release),
            owner=_OWNER,
            argv=(sys.executable, "-m", "emr_studio.clusters.catalog.environments", release.label),
            folder=str(self._settings.run_dir / "environments"),
            log_path=str(log),
            environment=passed | {"EMR_STUDIO_REPOSITORY_ROOT": str(self._settings.root)},
        )
