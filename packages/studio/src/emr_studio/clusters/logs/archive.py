"""What of a cluster goes where in S3.

    event logs of every application    the studio's own bucket (`appinfo`), with the studio's own right
    with a LogUri, as the role of the cluster's instance profile may (EMR's layout):
      node/<instance>/applications/spark/spark-<program>.log.gz
      node/<instance>/applications/<program>/<program>.log.gz          programs that are not Spark's
      containers/<application>/<instance>_<executor>/{stdout,stderr}.gz

Steps and bootstrap actions bring their own logs. Only what has changed is sent; what was sent is
remembered by this process, another sends it once more. The cluster's secrets are taken out of its logs.
"""

from __future__ import annotations

import gzip
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from botocore.exceptions import BotoCoreError, ClientError

from emr_studio.clusters.logs.appinfo import AppInfo, StoreFailed
from emr_studio.clusters.logs.owned_files import OwnedFile, owned_files
from emr_studio.clusters.model import Cluster, Instance
from emr_studio.clusters.nodes import EVENTS, folder_of, log_uri, logs_of
from emr_studio.clusters.ui_keys import livy_token, ui_key
from emr_studio.runtime.drivers import user_of
from emr_studio.settings import Settings
from emr_studio.storage.s3 import parse_s3_uri, role_client

log = logging.getLogger(__name__)
_SPARKS = ("master", "worker", "connect")
_OWN_WAY = ("bootstrap",)
_OF_A_STEP = ("controller", "stdout", "stderr")
_PROGRAM = re.compile(r"(ci-[A-Z0-9]+)-([a-z0-9-]+)\.log(\.1)?")
_EXECUTOR = re.compile(r"((?:app|local)-[\w-]+)/(\d+)/(stdout|stderr)([\w.-]*)")
_SHORTEST_SECRET = 12
Mark = tuple[int, int, int]


def events_prefix(cluster: Cluster) -> str:
    """Where a cluster's event logs are in the studio's bucket."""
    return f"{cluster.account_id}/{cluster.id}"


class LogArchive:
    """Sends clusters' logs."""

    def __init__(self, settings: Settings, appinfo: AppInfo) -> None:
        self._settings = settings
        self.appinfo = appinfo
        self._sent: dict[str, dict[str, Mark]] = {}
        self._clients: dict[str, Any] = {}
        self._refused: set[str] = set()
        self._away: set[str] = set()

    def push(self, cluster: Cluster, instances: list[Instance]) -> bool:
        """Send what has changed; False if the event logs could not all be sent and may be the next time.

        A warm spare is in no account: what it logs is nobody's.
        """
        if not cluster.account_id:
            return True
        try:
            self._push_events(cluster)
        except (StoreFailed, OSError) as error:
            if cluster.id not in self._away:
                log.warning("event logs of %s could not be sent and wait: %s", cluster.id, error)
            self._away.add(cluster.id)
            return isinstance(error, StoreFailed) and error.final
        self._away.discard(cluster.id)
        if log_uri(cluster):
            self._push_logs(cluster, {instance.id: instance for instance in instances})
        return True

    def push_step(self, cluster: Cluster, step_id: str, base: Path, tenant: Mapping[str, Any]) -> None:
        """Send the logs of a step that had a role of its own, which may not write them; `base` is its folder."""
        if not log_uri(cluster):
            return
        try:
            for file in owned_files(base, ("steps", step_id), _user(int(tenant["uid"]))):
                if file.name in _OF_A_STEP:
                    uri = log_uri(cluster, "steps", step_id, f"{file.name}.gz")
                    self._put_log(cluster, uri, file.read, tenant.values())
        except (ClientError, BotoCoreError, httpx.HTTPError, OSError, ValueError) as error:
            log.warning("logs of %s could not be written to the LogUri of %s: %s", step_id, cluster.id, error)

    def forget(self, cluster_id: str) -> None:
        """The cluster has ended."""
        self._sent.pop(cluster_id, None)
        self._clients.pop(cluster_id, None)
        self._refused.discard(cluster_id)
        self._away.discard(cluster_id)

    def _send(self, cluster: Cluster, key: str, mark: Mark, send: Callable[[], object]) -> None:
        sent = self._sent.setdefault(cluster.id, {})
        if sent.get(key) != mark:
            send()
            sent[key] = mark

    # Event logs.

    def _push_events(self, cluster: Cluster) -> None:
        base, uid = folder_of(self._settings, cluster.id), _owner(cluster)
        for file in owned_files(base, (EVENTS,), uid):
            self._send(
                cluster, f"{events_prefix(cluster)}/{file.name}", file.mark, partial(self._put_events, cluster, file)
            )

    def _put_events(self, cluster: Cluster, file: OwnedFile) -> None:
        self.appinfo.put(events_prefix(cluster), file.name, file.read())

    # LogUri.

    def _push_logs(self, cluster: Cluster, instances: Mapping[str, Instance]) -> None:
        try:
            for place, mark, read in self._logs(cluster, instances):
                uri = log_uri(cluster, place)
                self._send(cluster, uri, mark, partial(self._put_log, cluster, uri, read))
        except (ClientError, BotoCoreError, httpx.HTTPError, OSError, ValueError) as error:
            if cluster.id not in self._refused:
                log.warning("logs of %s could not be written to its LogUri: %s", cluster.id, error)
                self._refused.add(cluster.id)

    def _logs(
        self, cluster: Cluster, instances: Mapping[str, Instance]
    ) -> Iterator[tuple[str, Mark, Callable[[], bytes]]]:
        for path in sorted(logs_of(self._settings, cluster.id).glob("ci-*.log*")):
            found = _PROGRAM.fullmatch(path.name)
            if found and found[1] in instances and found[2] not in _OWN_WAY:
                stat = path.stat()
                place = f"node/{instances[found[1]].ec2_id}/{program_log(found[2], found[3] or '')}"
                yield place, (stat.st_ino, stat.st_size, stat.st_mtime_ns), path.read_bytes
        base, uid = folder_of(self._settings, cluster.id), _owner(cluster)
        for instance in instances.values():
            for file in owned_files(base, (instance.id, "worker", "work"), uid):
                if found := _EXECUTOR.fullmatch(file.name):
                    place = f"containers/{found[1]}/{instance.ec2_id}_{found[2]}/{found[3]}{found[4]}.gz"
                    yield place, file.mark, file.read

    def _put_log(self, cluster: Cluster, uri: str, read: Callable[[], bytes], secrets: Iterable[Any] = ()) -> None:
        bucket, key = parse_s3_uri(uri)
        body = _without((*_secrets_of(cluster), *secrets), read())
        self._client(cluster).put_object(Bucket=bucket, Key=key, Body=gzip.compress(body, mtime=0))

    def _client(self, cluster: Cluster) -> Any:
        """S3 as the cluster's own role; what its policies do not allow is not written."""
        if cluster.id not in self._clients:
            endpoint = f"http://127.0.0.1:{self._settings.port}"
            self._clients[cluster.id] = role_client(
                endpoint, cluster.region, f"{endpoint}/_credentials", cluster.role_token
            )
        return self._clients[cluster.id]


def _secrets_of(cluster: Cluster) -> tuple[str, ...]:
    derived = (ui_key(cluster.secret), livy_token(cluster.secret)) if cluster.secret else ()
    return (cluster.secret, cluster.connect_token, cluster.gateway_token, cluster.role_token, *derived)


def _without(secrets: Iterable[Any], data: bytes) -> bytes:
    """As `emr_studio_cluster.secrecy` does it in the nodes."""
    for one in secrets:
        if isinstance(one, str) and len(one) >= _SHORTEST_SECRET:
            data = data.replace(one.encode(), b"****")
    return data


def program_log(program: str, rotated: str = "") -> str:
    """Where a program's log is below its node: `applications/spark/spark-master.log.gz`."""
    if program in _SPARKS:
        return f"applications/spark/spark-{program}.log{rotated}.gz"
    return f"applications/{program}/{program}.log{rotated}.gz"


def _owner(cluster: Cluster) -> int:
    """The user whose files are the cluster's."""
    return _user(cluster.uid)


def _user(uid: int) -> int:
    """A program's own user, or ours where users cannot be changed."""
    return user_of(uid) or Path("/proc/self").stat().st_uid
