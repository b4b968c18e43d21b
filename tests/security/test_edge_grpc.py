"""Spark Connect through a real edge: gRPC over HTTP/2 without TLS, its errors, and what a client may not say."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emr_studio.clusters.sessions.edge import PROXY_TOKEN, refusal, token_of
from emr_studio.edge.decisions import DELETE, EdgeAnswer, EdgeRequest
from emr_studio.loopback import free_port
from emr_studio.settings import Settings
from tests.support.edge_rig import Rig, edge_rig

# A gRPC server of any service, and a client of it through the edge: one program, of an environment with grpcio.
PROGRAM = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
import grpc

edge, port = sys.argv[1], sys.argv[2]

def answer(request, context):
    if request == b"fails":
        context.abort(grpc.StatusCode.INTERNAL, "it failed")
    yield json.dumps([list(pair) for pair in context.invocation_metadata()]).encode()
    for number in range(3):
        yield request * 100_000
    if request == b"fails late":
        context.abort(grpc.StatusCode.INTERNAL, "it failed late")

class Any(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_stream_rpc_method_handler(answer)

server = grpc.server(ThreadPoolExecutor(4), handlers=[Any()])
server.add_insecure_port(f"127.0.0.1:{port}")
server.start()
channel = grpc.insecure_channel(edge)

def call(request, method="/spark.connect.SparkConnectService/ExecutePlan", **metadata):
    pairs = [(name.replace("_", "-"), value) for name, value in metadata.items()]
    got = []
    try:
        for message in channel.unary_stream(method)(request, metadata=pairs, timeout=60):
            got.append(message)
        return ["OK", "", len(got), got[0].decode()]
    except grpc.RpcError as error:
        return [error.code().name, error.details(), len(got), ""]

good = {"authorization": "Bearer good"}
print(json.dumps({
    "works": call(b"x", **good),
    "other header": call(b"x", x_aws_proxy_auth="good", x_emr_studio_identity="me", cookie="a=b"),
    "fails": [call(b"fails", **good) for _ in range(50)],
    "fails late": [call(b"fails late", **good) for _ in range(5)],
    "refused": [call(b"x", authorization="Bearer bad") for _ in range(20)] + [call(b"x")],
    "another service": call(b"x", "/other.Service/Call", **good),
    "an inner path": call(b"x", "/_edge/spark", **good),
}))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the client of the program saw."""
    port = free_port()

    def resolver(request: EdgeRequest) -> EdgeAnswer:
        if token_of(request.headers) != "good":
            return refusal(16, "The token is not valid.")
        headers = {"Authorization": "Bearer inner", PROXY_TOKEN: DELETE, "Cookie": DELETE}
        return EdgeAnswer(upstream=f"127.0.0.1:{port}", headers=headers)

    with edge_rig(tmp_path_factory.mktemp("edge"), {"spark": resolver}) as rig:
        yield _run(rig, port)


def _run(rig: Rig, port: int) -> dict[str, Any]:
    python = str(Settings(data_dir=Path("/nowhere")).env_python("emr-8.0.0"))
    arguments = [python, "-I", "-c", PROGRAM, f"localhost:{rig.settings.port}", str(port)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_calls_pass_with_the_servers_own_token(seen: dict[str, Any]) -> None:
    for name in ("works", "other header"):
        code, _, messages, metadata = seen[name]
        assert (code, messages) == ("OK", 4), seen[name]
        told = dict(json.loads(metadata))
        assert told["authorization"] == "Bearer inner"
        assert not {"x-aws-proxy-auth", "cookie", "x-emr-studio-identity"} & set(told)


def test_errors_arrive_as_the_server_said_them(seen: dict[str, Any]) -> None:
    # One without a message is a head alone, which must not be sent in two pieces.
    assert seen["fails"] == [["INTERNAL", "it failed", 0, ""]] * 50
    assert seen["fails late"] == [["INTERNAL", "it failed late", 4, ""]] * 5


def test_what_has_no_good_token_is_unauthenticated(seen: dict[str, Any]) -> None:
    assert seen["refused"] == [["UNAUTHENTICATED", "The token is not valid.", 0, ""]] * 21


def test_nothing_else_is_passed_on(seen: dict[str, Any]) -> None:
    assert seen["another service"][0] not in ("OK", "INTERNAL")
    assert seen["an inner path"][0] not in ("OK", "INTERNAL")
