"""The programs of a cluster from outside: the door that leads to it, and what our own kernels of it are told."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emr_studio.clusters.model import Cluster, State, is_outside, workload_owner
from emr_studio.clusters.outside.model import Kind, Outside, unseal
from emr_studio.clusters.outside.targets import connection
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
        "kind": outside.kind,
        "listen": address,
        "token": cluster.gateway_token,
        "local_targets": settings.outside_targets,
        "authorities": _authorities(settings),
        **_way(settings, cluster, outside),
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


def _way(settings: Settings, cluster: Cluster, outside: Outside) -> dict[str, str]:
    """Where the door leads, and as whom."""
    proof = unseal(Sealer.load(settings.keys_dir), cluster.id, outside.sealed)
    if outside.kind == Kind.SPARK_CONNECT:
        return {"url": connection(outside.url, proof).url}
    mark = f"emr-studio-{cluster.id}-" if outside.kind == Kind.LIVY else ""
    return {"url": outside.url, "authorization": proof, "mark": mark}


def kernels_config(settings: Settings, cluster: Cluster, outside: Outside) -> dict[str, Any]:
    """What differs in the `node.json` of our gateway and kernels from that of a cluster of ours."""
    told: dict[str, Any] = {"outside": outside.kind, "outside_url": outside.url, "local_mode": True}
    # They have no Spark: neither its secrets nor its places.
    told |= {"connect_token": "", "secret": "", "ui_key": "", "warehouse_dir": "", "events_dir": "", "jars_dir": ""}
    if outside.kind != Kind.SPARK_CONNECT:
        return told
    found = connection(outside.url, unseal(Sealer.load(settings.keys_dir), cluster.id, outside.sealed))
    to_it = {"connect_authority": found.authority, "connect_parameters": found.parameters}
    return told | {"connect_token": found.token, **to_it}


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
