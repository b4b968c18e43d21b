"""Starts Workspaces: their folders, their mirror, a fork of the zygote, their way to a kernel gateway."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from emr_studio.runtime import cgroups, disks, wire
from emr_studio.runtime.contract import (
    QUEUED,
    Activity,
    Cause,
    Gateway,
    GitProgress,
    GitWork,
    RuntimeUnavailable,
    WorkspaceSpec,
)
from emr_studio.runtime.disks import DiskFailed
from emr_studio.runtime.drivers import Report, Started, StartFailed, open_log, user_of
from emr_studio.runtime.pressure import DISK, Pressure, Subject, gigabytes, is_full, out_of_memory
from emr_studio.runtime.records import Record, safe_id
from emr_studio.runtime.relays import RelayControl, write_private
from emr_studio.runtime.turns import Turns
from emr_studio.runtime.zygotes import Zygote, ZygoteFailed
from emr_studio.settings import Settings
from emr_studio.storage.mirror import Mirror, MirrorError, MirrorStatus
from emr_studio.storage.quick import role_client
from emr_studio.storage.versions import FileVersion

log = logging.getLogger(__name__)
T = TypeVar("T")
_AT_ONCE = 8
_CREDENTIALS = "credentials-token"
BACKUP = "backup.json"
"""In a Workspace's run folder: how far its files are in S3, for its own page."""
_READY_SECONDS = 20.0
_RELEASE_SECONDS = 20.0
"""Kernels take up to 5 s to end. Less than the agent's client waits for its answer."""
_ACTIVITY_SECONDS = 5.0
_GIT_SECONDS = 10.0
_ANSWER_BYTES = 16_384
_LONGEST_IDLE = 1e9
_FLUSH_SECONDS = 60.0
MirrorFactory = Callable[[Path, str, Callable[[], Any], Path, int], Mirror]


class WorkspaceDriver:
    """Workspaces of this host. `make_mirror` is replaced by tests that need a failing one."""

    def __init__(self, settings: Settings, make_mirror: MirrorFactory = Mirror) -> None:
        self._settings = settings
        self._make_mirror = make_mirror
        self._zygote = Zygote(settings)
        self._relay = RelayControl(settings)
        self._pressure = Pressure(settings.workspaces_dir, settings.disk_reserve_mb * 1024**2)
        self._mirrors: dict[str, Mirror] = {}
        self._lock = threading.Lock()
        self._turns = Turns(_AT_ONCE)

    def open(self) -> None:
        """Start the zygote and the relay, or take over those that run."""
        self._zygote.ensure()
        self._relay.ensure()

    def helpers(self) -> dict[str, int]:
        """Process ids of zygote and relay (0: does not run)."""
        return {"zygote": self._zygote.pid, "relay": self._relay.pid}

    def close(self, keep: bool) -> None:
        """End the zygote, and the relay unless Workspaces are kept."""
        self._zygote.stop()
        if not keep:
            self._relay.stop()

    # Folders and addresses.
    def folder(self, workload_id: str) -> Path:
        """All that a Workspace has on this host: `files` (mirrored), `home`, its log."""
        return self._settings.workspaces_dir / safe_id(workload_id)

    def run_dir(self, workload_id: str) -> Path:
        """Its sockets."""
        return self._settings.workspace_run_dir(safe_id(workload_id))

    def log_path(self, workload_id: str) -> Path:
        """Its server's log."""
        return self.folder(workload_id) / "server.log"

    def address(self, record: Record) -> str:
        return f"unix/{self._socket(record)}"

    def _socket(self, record: Record) -> Path:
        return self.run_dir(record.workload_id) / "s.sock"

    # Start.
    def prepare(self, record: Record, report: Report) -> None:
        with self._turns.turn(lambda before: report(f"{QUEUED}, {before} before it")):
            try:
                self._prepare(record, report)
            except StartFailed:
                self._close_disk(record.workload_id)
                raise

    def _prepare(self, record: Record, report: Report) -> None:
        spec = _workspace_spec(record)
        try:
            self._make_folders(spec)
            os.close(open_log(self.log_path(spec.workload_id)))
        except (OSError, DiskFailed) as error:
            raise StartFailed(f"the Workspace's disk could not be had: {error}", Cause.DISK_FAILED) from error
        self._forget_mirror(spec.workload_id)
        mirror = self._mirror(spec)
        if mirror is not None:
            report("restoring files")
            try:
                mirror.restore(lambda done, total: report(f"restoring {done} of {total} files"))
            except MirrorError as error:
                raise self._not_restored(spec, error) from error
        report("starting JupyterLab")

    def _not_restored(self, spec: WorkspaceSpec, error: MirrorError) -> StartFailed:
        usage = disks.usage(self.folder(spec.workload_id), spec.limits.disk_bytes)
        if usage.enforced_by == disks.KERNEL and is_full(usage):
            return StartFailed(
                f"its files in S3 do not fit on its disk ({gigabytes(usage.limit)}): delete some of them in S3 "
                "or raise workspace_disk_mb",
                Cause.DISK_FULL,
            )
        return StartFailed(f"the files could not be restored from S3: {error}", Cause.RESTORE_FAILED)

    def _make_folders(self, spec: WorkspaceSpec) -> None:
        uid = user_of(spec.uid)
        base, run = self.folder(spec.workload_id), self.run_dir(spec.workload_id)
        # The Workspace owns what is in `files` and `home`, never these names themselves.
        _folder(base, 0o711)
        _folder(run, 0o710)
        disks.open_disk(base, spec.limits.disk_bytes)
        for name in disks.OWN:
            own = self._own(spec.workload_id, name)
            _folder(own, 0o700)
            if uid:
                os.chown(own, uid, uid, follow_symlinks=False)
        if uid:
            os.chown(run, 0, uid)

    def _own(self, workload_id: str, name: str) -> Path:
        """`files` or `home`: a plain folder, or one on the Workspace's own disk."""
        return (self.folder(workload_id) / name).resolve()

    def spawn(self, record: Record) -> Started:
        spec = _workspace_spec(record)
        self._point(record, spec)
        try:
            spawned = self._zygote.spawn(self._request(record, spec))
        except ZygoteFailed as error:
            raise StartFailed(str(error), Cause.SERVER_FAILED) from error
        return Started(spawned.pid, spawned.isolation, spawned.go)

    def _request(self, record: Record, spec: WorkspaceSpec) -> dict[str, Any]:
        own = {name: str(self._own(spec.workload_id, name)) for name in disks.OWN}
        folders = {**own, "run": str(self.run_dir(spec.workload_id))}
        server = {
            "editor_id": spec.workload_id,
            "name": spec.name,
            "origin": spec.origin,
            "public_key": spec.identity_public_key,
            "default_notebook": spec.default_notebook,
            "environment": dict(spec.environment),
            "agent_secret": record.secret,
            "git_token": spec.git_token,
        }
        place = {
            "uid": user_of(spec.uid),
            "host_name": spec.workload_id.lower()[:63],
            "memory_bytes": spec.limits.memory_bytes,
            "memory_limited": cgroups.limit_memory(record.groups),
        }
        return {
            "server": server | folders,
            "place": place | folders,
            "log": str(self.log_path(spec.workload_id)),
            "socket": str(self._socket(record)),
            "groups": record.groups,
        }

    def ready(self, record: Record) -> bool:
        """Its first answer, whatever it says: the socket listens before the server is there."""
        return bool(self._ask(record, "GET", "/api/status", {}, _READY_SECONDS))

    def resume(self, record: Record) -> None:
        self._relay.ensure()
        mirror = self._mirror(_workspace_spec(record))
        if mirror is not None:
            mirror.start()

    def look(self, record: Record) -> tuple[str, str]:
        """Cause and sentence of what presses a running Workspace now; empty while it is well."""
        notice = self._pressure.look(self._subject(record))
        return notice.cause, notice.message

    def _subject(self, record: Record) -> Subject:
        spec = _workspace_spec(record)
        place = self.folder(spec.workload_id), self.run_dir(spec.workload_id)
        return Subject(record.root, *place, user_of(spec.uid), spec.limits)

    # End.
    def explain(self, record: Record) -> tuple[str, str]:
        if self._pressure.ran_out_of_memory(record.workload_id, record.groups):
            return Cause.OUT_OF_MEMORY, out_of_memory(record.typed_spec().limits)
        return ("", "") if record.address else (Cause.SERVER_FAILED, "")

    def exit_code(self, record: Record) -> int | None:
        return self._zygote.exit_code(record.pid)

    def wind_up(self, record: Record) -> str:
        self._relay.remove(record.workload_id)
        self._relay.remove(_edge_of(record.workload_id))
        self._relay.remove(_out_of(record.workload_id))
        for name in ("s.sock", "gateway.json", _CREDENTIALS, DISK):
            with suppress(OSError):
                (self.run_dir(record.workload_id) / name).unlink()
        self._pressure.forget(record.workload_id)
        unsaved = self._save_last(record)
        self._close_disk(record.workload_id)
        return unsaved

    def _close_disk(self, workload_id: str) -> None:
        try:
            disks.close_disk(self.folder(workload_id))
        except DiskFailed as error:
            log.warning("%s: its disk stays mounted: %s", workload_id, error)

    def _save_last(self, record: Record) -> str:
        mirror = self._mirrors.pop(record.workload_id, None)
        if mirror is None:
            return ""
        try:
            mirror.flush(_FLUSH_SECONDS)
        except MirrorError as error:
            return f"S3 does not have the last changes (they are kept on this host): {error}"
        finally:
            mirror.stop()
        return ""

    # Kernels.
    def release(self, record: Record, gateway: Gateway | None) -> None:
        old = record.typed_gateway()
        spec = _workspace_spec(record)
        if old is not None and (gateway is None or gateway.cluster_id != old.cluster_id):
            # Its kernels end while the way to them is still open.
            self._ask(
                record, "POST", "/api/emr-studio/release", {"X-Emr-Studio-Agent": record.secret}, _RELEASE_SECONDS
            )
        record.gateway = None if gateway is None else {**vars(gateway)}
        self._point(record, spec)

    def _point(self, record: Record, spec: WorkspaceSpec) -> None:
        run, uid, gateway = self.run_dir(spec.workload_id), user_of(spec.uid), record.typed_gateway()
        path = run / "gateway.json"
        if gateway is None:
            path.unlink(missing_ok=True)
        self._relay.point(spec.workload_id, run / "g.sock", uid, gateway.address if gateway else "")
        # Terminals and what else runs here: AWS's endpoint, and the role of the attached cluster's kernels.
        self._relay.point(_edge_of(spec.workload_id), run / "e.sock", uid, f"127.0.0.1:{self._settings.port}")
        self._relay.open_way_out(
            _out_of(spec.workload_id), run / "n.sock", uid, spec.workload_id, self._settings.api_socket
        )
        write_private(run / _CREDENTIALS, gateway.credentials_token if gateway else "", group=uid)
        if gateway is not None:
            told = {name: value for name, value in (record.gateway or {}).items() if name != "credentials_token"}
            write_private(path, json.dumps(told), group=uid)

    def activity(self, record: Record) -> Activity | None:
        """What its server says; the server is its users' code, so whatever it says may be nonsense."""
        secret = {"X-Emr-Studio-Agent": record.secret}
        answer = self._ask(record, "GET", "/api/emr-studio/activity", secret, _ACTIVITY_SECONDS, whole=True)
        head, _, body = answer.partition(b"\r\n\r\n")
        try:
            found = json.loads(body)
            busy, idle = bool(found["busy"]), float(found["idleSeconds"])
        except (ValueError, TypeError, KeyError):
            return None
        return Activity(busy, idle) if b" 200 " in head[:20] and 0 <= idle < _LONGEST_IDLE else None

    def git(self, record: Record, work: GitWork) -> GitProgress | None:
        """What its server says of Git work, which its users' code may have made up."""
        secret = {"X-Emr-Studio-Agent": record.secret}
        body = json.dumps(wire.dump_git(work)).encode()
        answer = self._ask(record, "POST", "/api/emr-studio/git", secret, _GIT_SECONDS, whole=True, body=body)
        try:
            found = json.loads(answer.partition(b"\r\n\r\n")[2])
            progress = GitProgress(str(found["state"]), str(found["reason"]))
        except (ValueError, TypeError, KeyError):
            return None
        return progress if b" 200 " in answer[:20] else None

    def _ask(
        self,
        record: Record,
        method: str,
        path: str,
        headers: dict[str, str],
        timeout: float,
        *,
        whole: bool = False,
        body: bytes = b"",
    ) -> bytes:
        """One request to a Workspace's server; the head of its answer (or all of it), empty if there was none."""
        lines = [f"{method} {path} HTTP/1.1", "Host: agent", "Connection: close", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        try:
            with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as stream:
                stream.settimeout(timeout)
                stream.connect(str(self._socket(record)))
                stream.sendall("\r\n".join([*lines, "", ""]).encode() + body)
                return _until_closed(stream, timeout) if whole else stream.recv(1024)
        except OSError:
            return b""

    # The mirror.
    def _mirror(self, spec: WorkspaceSpec) -> Mirror | None:
        if not spec.s3_location:
            return None
        with self._lock:
            found = self._mirrors.get(spec.workload_id)
            if found is None:
                base = self.folder(spec.workload_id)
                client = partial(
                    role_client, spec.s3_endpoint_url, spec.region, spec.credentials_url, spec.credentials_token
                )
                owner = user_of(spec.uid) or os.geteuid()
                found = self._make_mirror(
                    self._own(spec.workload_id, "files"), spec.s3_location, client, base / "mirror.json", owner
                )
                found.kms_key_id = self._sealed_with(spec.kms_key_id)
                found.tell = partial(_tell_backup, self.run_dir(spec.workload_id) / BACKUP, user_of(spec.uid))
                self._mirrors[spec.workload_id] = found
            return found

    def _forget_mirror(self, workload_id: str) -> None:
        """One of an earlier start may hold credentials that are no longer good."""
        old = self._mirrors.pop(workload_id, None)
        if old is not None:
            old.stop()

    def _sealed_with(self, kms_key_id: str) -> str | None:
        # Not every S3 of somebody else's takes an order to encrypt; those that encrypt do it unasked.
        return kms_key_id or (None if self._settings.s3_endpoint else "")

    def set_encryption(self, record: Record, kms_key_id: str) -> None:
        """Seal with another key from now on."""
        record.spec = {**record.spec, "kms_key_id": kms_key_id}
        mirror = self._mirrors.get(record.workload_id)
        if mirror is not None:
            mirror.kms_key_id = self._sealed_with(kms_key_id)

    def flush(self, record: Record) -> None:
        mirror = self._mirrors.get(record.workload_id)
        if mirror is None:
            return
        try:
            mirror.flush(_FLUSH_SECONDS)
        except MirrorError as error:
            raise RuntimeUnavailable(f"S3 does not have all of the Workspace: {error}") from error

    def versions(self, record: Record, path: str) -> list[FileVersion]:
        """What S3 keeps of a file, newest first; nothing of a Workspace without a place in S3."""
        mirror = self._mirror(_workspace_spec(record))
        return [] if mirror is None else _from_s3(lambda: mirror.versions(path))

    def version(self, record: Record, path: str, version_id: str) -> bytes:
        mirror = self._mirror(_workspace_spec(record))
        if mirror is None:
            raise ValueError("The Workspace has no place in S3.")
        return _from_s3(lambda: mirror.version(path, version_id))


def _from_s3(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except MirrorError as error:
        raise RuntimeUnavailable(f"S3 does not tell: {error}") from error


def _until_closed(stream: socket.socket, timeout: float) -> bytes:
    """What comes until the other side closes, so long and so much at most."""
    deadline, received = time.monotonic() + timeout, b""
    while len(received) < _ANSWER_BYTES and (left := deadline - time.monotonic()) > 0:
        stream.settimeout(left)
        more = stream.recv(4096)
        if not more:
            break
        received += more
    return received


def _tell_backup(path: Path, uid: int, status: MirrorStatus) -> None:
    """Write `{"savedAt", "pending", "error", "skipped"}` where the Workspace's server reads it."""
    saved_at = status.last_saved.isoformat() if status.last_saved else None
    told = {"savedAt": saved_at, "pending": status.pending, "error": status.error, "skipped": status.skipped}
    # Its folder goes with a Workspace that ends; a full disk must not stop the mirror.
    with suppress(OSError):
        write_private(path, json.dumps(told), group=uid)


def _folder(path: Path, mode: int) -> None:
    path.mkdir(mode=mode, parents=True, exist_ok=True)
    os.chmod(path, mode)


def _edge_of(workload_id: str) -> str:
    """Name of the relay's pointer to the edge."""
    return f"{workload_id}.edge"


def _out_of(workload_id: str) -> str:
    """Name of the relay's pointer to the outside."""
    return f"{workload_id}.out"


def _workspace_spec(record: Record) -> WorkspaceSpec:
    spec = record.typed_spec()
    assert isinstance(spec, WorkspaceSpec)
    return spec
