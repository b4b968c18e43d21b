"""Objects through the door beside the bare store: the same store, asked past it, in turn in the same run.

    S3 get 4 KB, 16 clients   requests per second     S3 put 1 MB, 1 client   MB per second   …

wrk sends one signed request for each size and direction, over as many connections as there are
clients; the bare store gets the same request without a signature. It is asked where it listens, in its
own network if it has one (entering that needs root). What is measured is what a user waits for. `S3 requests
authorised` are reads of an empty object: the decision, as nearly alone as may be.

Reads are also compared with HAProxy, one thread of it, in the door's place: it decides nothing, verifies nothing and
splices, so it shows what is left of the bare store behind any proxy while store, proxy and load share the machine.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from bench.results import Figure, higher_is_better
from emr_studio.loopback import free_port
from emr_studio.storage.store import is_hidden, read_ports, store_address
from tests.support.studio import Studio, until

PEER = "the bare store"
PROXY = "HAProxy, which decides nothing"
BUCKET = "bench-s3"
ROUNDS = 3
CLIENTS = (1, 16)
SIZES = {"4 KB": (4 << 10, 4), "1 MB": (1 << 20, 4), "256 MB": (256 << 20, 8)}
"""Bytes, and seconds that a round takes."""
_LARGE = 64 << 20


@dataclass(frozen=True)
class Target:
    """One side: how its programs are started, and the URL of a request."""

    prefix: tuple[str, ...]
    request: Callable[[str, str], tuple[str, dict[str, str]]]
    """URL and headers of a method on a key."""


def measure(studio: Studio) -> list[Figure]:
    """Both sides, every size, 1 and 16 clients."""
    client = _client(studio)
    client.create_bucket(Bucket=BUCKET)
    door = Target((), lambda method, key: _signed(studio, method, key))
    bare = _bare(studio)
    figures = []
    with tempfile.TemporaryDirectory(prefix="bench-s3-") as folder:
        for name, (size, seconds) in SIZES.items():
            body = Path(folder) / "body"
            _write(body, size)
            client.upload_file(str(body), BUCKET, "object")
            for clients in CLIENTS:
                for operation in ("get", "put"):
                    title = f"S3 {operation} {name}, {clients} client{'s' * (clients > 1)}"
                    load = Load(operation.upper(), clients, seconds, body=body if operation == "put" else None)
                    figures.append(_compare(title, load, size, (door, bare)))
                    print(f"  {title}: {figures[-1].ours:g}, bare {figures[-1].peer:g}", flush=True)
    figures += _beside_a_proxy(studio, client, door)
    client.put_object(Bucket=BUCKET, Key="nothing", Body=b"")
    empty = Load("GET", 16, key="nothing")
    ours, theirs = ([_small(side, empty) for _ in range(ROUNDS)] for side in (door, bare))
    return [*figures, higher_is_better("S3 requests authorised, 16 clients", "req/s", ours, theirs, PEER)]


@dataclass(frozen=True)
class Load:
    """What is asked, by how many at a time, for how long."""

    method: str
    clients: int
    seconds: int = 4
    key: str = "object"
    body: Path | None = None


def _beside_a_proxy(studio: Studio, client: Any, door: Target) -> list[Figure]:
    figures = []
    with _proxy(studio) as address:
        proxy = Target((), lambda _method, key: (f"{address}/{BUCKET}/{key}", {}))
        for name, (size, seconds) in SIZES.items():
            if size >= _LARGE:
                continue
            client.put_object(Bucket=BUCKET, Key="object", Body=bytes(size))
            for clients in CLIENTS:
                title = f"S3 get {name}, {clients} client{'s' * (clients > 1)}, beside a proxy"
                figures.append(_compare(title, Load("GET", clients, seconds), size, (door, proxy), PROXY))
                print(f"  {title}: {figures[-1].ours:g}, proxy {figures[-1].peer:g}", flush=True)
    return figures


@contextmanager
def _proxy(studio: Studio) -> Iterator[str]:
    """The URL of HAProxy before the bare store."""
    program = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        raise SystemExit("haproxy is not installed: deploy/install.sh bench")
    port, store = free_port(), store_address(studio.settings)
    server = store.replace("unix/", "unix@", 1) if store.startswith("unix/") else store
    with tempfile.TemporaryDirectory(prefix="bench-proxy-") as folder:
        config = Path(folder) / "haproxy.cfg"
        config.write_text(_PROXY_CONFIG.format(port=port, server=server))
        process = subprocess.Popen([program, "-f", str(config)])
        try:
            until("HAProxy", lambda: _listens(port))
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


_PROXY_CONFIG = """
global
  nbthread 1
  tune.pipesize 1048576
defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 5s
  http-reuse always
listen store
  bind 127.0.0.1:{port}
  option splice-response
  server store {server}
"""


def _compare(title: str, load: Load, size: int, sides: tuple[Target, Target], peer: str = PEER) -> Figure:
    rates: tuple[list[float], list[float]] = ([], [])
    # 16 times 256 MB is 4 GB each way: once is enough of that.
    for _ in range(1 if size >= _LARGE and load.clients > 1 else ROUNDS):
        for side, found in zip(sides, rates, strict=True):
            found.append(_large(side, load) if size >= _LARGE else _small(side, load))
    if size <= 4 << 10:
        return higher_is_better(title, "req/s", *rates, peer)
    ours, theirs = ([rate * size / 2**20 for rate in side] for side in rates)
    return higher_is_better(title, "MB/s", ours, theirs, peer)


def _small(side: Target, load: Load) -> float:
    """Requests per second, by wrk.

    Raises:
        RuntimeError: an answer was not as expected.
    """
    url, headers = side.request(load.method, load.key)
    script = f'wrk.method = "{load.method}"\n'
    script += "".join(f"wrk.headers[{name!r}] = {value!r}\n" for name, value in headers.items())
    if load.body:
        script += f'wrk.body = io.open("{load.body}", "rb"):read("*a")\n'
    script += "response = function(status) if status ~= 200 then os.exit(3) end end\n"
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        argv = [
            *side.prefix,
            "wrk",
            "-t1",
            f"-c{load.clients}",
            f"-d{load.seconds}s",
            "--timeout",
            "30s",
            "-s",
            file.name,
            url,
        ]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    if done.returncode or rate is None:
        raise RuntimeError(f"{load.method} {url}: {done.returncode} {done.stdout[-500:]} {done.stderr[-500:]}")
    return float(rate[1])


def _large(side: Target, load: Load) -> float:
    """Requests per second of bodies that wrk would hold in memory: curl, so many at a time, each once."""
    started = []
    begun = time.monotonic()
    for number in range(load.clients):
        key = f"object-{number}" if load.body else load.key
        send = ["-T", str(load.body)] if load.body else []
        url, headers = side.request(load.method, key)
        send += [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
        argv = [*side.prefix, "curl", "-sSf", "-o", "/dev/null", "-H", "Expect:", *send, url]
        started.append(subprocess.Popen(argv, stderr=subprocess.PIPE, text=True))
    said = [process.communicate()[1] for process in started]
    rate = load.clients / (time.monotonic() - begun)
    if any(process.returncode for process in started):
        raise RuntimeError(f"{load.method}: {said}")
    return rate


def _client(studio: Studio) -> Any:
    keys = studio.json["admin"]
    session = boto3.Session(keys["access_key_id"], keys["secret_access_key"], region_name=studio.json["region"])
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    return session.client("s3", endpoint_url=studio.json["endpoint_url"], config=config)


def _signed(studio: Studio, method: str, key: str) -> tuple[str, dict[str, str]]:
    """As SDKs sign for a body that they do not read beforehand."""
    keys, url = studio.json["admin"], f"{studio.json['endpoint_url']}/{BUCKET}/{key}"
    request = AWSRequest(method, url)
    credentials = Credentials(keys["access_key_id"], keys["secret_access_key"])
    _Unsigned(credentials, "s3", studio.json["region"]).add_auth(request)
    return url, dict(request.headers.items())


class _Unsigned(S3SigV4Auth):  # type: ignore[misc]
    def payload(self, request: AWSRequest) -> str:
        return "UNSIGNED-PAYLOAD"


def _bare(studio: Studio) -> Target:
    settings = studio.settings
    address = f"http://127.0.0.1:{read_ports(settings)['s3']}/{BUCKET}"
    prefix = ("nsenter", "-t", str(studio.pid_of("store")), "-n") if is_hidden(settings) else ()
    return Target(prefix, lambda _method, key: (f"{address}/{key}", {}))


def _write(path: Path, size: int) -> None:
    with open("/dev/urandom", "rb") as source, path.open("wb") as target:
        while size > 0:
            target.write(source.read(min(size, 1 << 20)))
            size -= 1 << 20
