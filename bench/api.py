"""Requests per second and p99 of the AWS API, beside moto's server, by wrk in the same run.

The same signed requests go to both: `sts:GetCallerIdentity` (query) and `emr:ListStudios` (json;
moto has no Studios, so its peer request is `emr:ListClusters`, its cheapest list of EMR). Ours is
asked through the edge, with signatures and policies checked; moto checks neither.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.processes import PEERS, server
from bench.results import Figure, higher_is_better, lower_is_better
from emr_studio.loopback import free_port
from tests.support.studio import Studio

PEER = "moto server"
SECONDS, CONNECTIONS, ROUNDS = 5, 8, 3
_CALLER_IDENTITY = ("sts", "application/x-www-form-urlencoded", "", "Action=GetCallerIdentity&Version=2011-06-15")
_LIST = ("elasticmapreduce", "application/x-amz-json-1.1", "ElasticMapReduce.{}", "{{}}")


def measure(studio: Studio) -> list[Figure]:
    """GetCallerIdentity and ListStudios, ours and moto's in turn."""
    keys = studio.json["admin"]
    ours_url = studio.json["endpoint_url"]
    port = free_port()
    moto_url = f"http://localhost:{port}"
    with tempfile.TemporaryDirectory(prefix="moto-") as folder:
        argv = [str(PEERS / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
        with server(argv, lambda: _up(moto_url), Path(folder)):
            figures = []
            for name, ours, peer in (
                ("GetCallerIdentity", "", ""),
                ("ListStudios", "ListStudios", "ListClusters"),
            ):
                rounds = [
                    (load(ours_url, keys, ours, Path(folder)), load(moto_url, keys, peer, Path(folder)))
                    for _ in range(ROUNDS)
                ]
                rates = [[pair[side][0] for pair in rounds] for side in (0, 1)]
                tails = [[pair[side][1] for pair in rounds] for side in (0, 1)]
                figures.append(higher_is_better(f"{name} requests per second", "req/s", rates[0], rates[1], PEER))
                figures.append(lower_is_better(f"{name} p99", "ms", tails[0], tails[1], PEER))
            return figures


def _up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/moto-api/").status_code < 500
    except httpx.HTTPError:
        return False


def load(url: str, keys: dict[str, str], operation: str, folder: Path) -> tuple[float, float]:
    """Run wrk with one signed request; returns requests per second and p99 in ms.

    Raises:
        RuntimeError: any answer was not a success.
    """
    service, content_type, target, body = _LIST if operation else _CALLER_IDENTITY
    headers = {"Content-Type": content_type} | ({"X-Amz-Target": target.format(operation)} if target else {})
    body = body.format()
    request = AWSRequest("POST", url + "/", headers=headers, data=body)
    SigV4Auth(Credentials(keys["access_key_id"], keys["secret_access_key"]), service, "us-east-1").add_auth(request)
    check = httpx.post(url + "/", content=body, headers=dict(request.headers.items()))
    if check.status_code != httpx.codes.OK:
        raise RuntimeError(f"{url}: {check.status_code} {check.text[:300]}")
    script = folder / "request.lua"
    lines = ['wrk.method = "POST"', f"wrk.body = [[{body}]]"]
    lines += [f"wrk.headers[{name!r}] = [[{value}]]" for name, value in request.headers.items()]
    script.write_text("\n".join(lines))
    argv = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", "-s", str(script), url + "/"]
    shown = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in shown or "Socket errors" in shown:
        raise RuntimeError(shown)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", shown)
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", shown)
    if not rate or not tail:
        raise RuntimeError(f"wrk printed something unknown: {shown}")
    return float(rate[1]), float(tail[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[tail[2]]
