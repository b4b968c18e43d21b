"""The program that leads to a cluster from outside, and what it says of it."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emr_studio.clusters.model import Cluster, State, is_outside, workload_owner
from emr_studio.clusters.outside.model import Outside, unseal
from emr_studio.clusters.tools import Tools
from emr_studio.iam.sealing import Sealer
from emr_studio.runtime import door
from emr_studio.runtime.contract import Limits, ProcessSpec
from emr_studio.settings import Settings

if TYPE_CHECKING:
    from emr_studio.clusters.nodes import Layout

READY = "Cluster ready."
log = logging.getLogger(__name__)
_LIMITS = Limits(memory_bytes=512 * 1024**2, pids=64)


def door_specification(
    settings: Settings, cluster: Cluster, outside: Outside, *, workload_id: str, address: str, folder: Path, log: Path
) -> ProcessSpec:
    """What the runtime is asked to start. The credentials are in a file that only the program's user can read."""
    _, _, place = workload_id.partition("/")
    told: dict[str, Any] = {
        "listen": address,
        "token": cluster.gateway_token,
        "url": outside.url,
        "authorization": unseal(Sealer.load(settings.keys_dir), cluster.id, outside.sealed),
        "local_targets": settings.outside_targets,
        "authorities": _authorities(settings),
    }
    program = Path(door.__file__).resolve()
    return ProcessSpec(
        workload_id=workload_id,
        owner=workload_owner(cluster.id),
        argv=(sys.executable, "-I", "-S", str(program), str(folder / place)),
        folder=str(folder),
        log_path=str(log),
        files={f"{place}/{door.CONFIG_FILE}": json.dumps(told)},
        uid=cluster.uid,
        ready_address=address,
        readable=(str(Path(sys.prefix)), str(program.parents[1])),
        limits=_LIMITS,
    )


def _authorities(settings: Settings) -> str:
    """What the setting names; without it, or if it cannot be read, the system's alone are trusted."""
    try:
        return settings.outside_ca_file.read_text() if settings.outside_ca_file else ""
    except OSError as error:
        log.warning("outside_ca_file: %s", error)
        return ""


class OutsideWatch:
    """Notes in the reason whether the outside answers; one that does not stays, and comes back by itself."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def turn(self, layout: Layout) -> None:
        """Ask the program once; see the class's text."""
        cluster: Cluster = layout.cluster
        if not is_outside(cluster) or cluster.state != State.WAITING:
            return
        seen = self._tools.probe.outside(cluster, layout.primary)
        if seen is None:
            return
        code, message = seen[0] or None, seen[1] or READY
        if (code, message) != (cluster.state_code, cluster.state_message):
            self._note(cluster, code, message)

    def _note(self, seen: Cluster, code: str | None, message: str) -> None:
        with self._tools.database.write() as session:
            row = session.get(Cluster, seen.id, with_for_update=True)
            if row is not None and (row.state, row.target) == (seen.state, seen.target):
                row.state_code, row.state_message = code, message
