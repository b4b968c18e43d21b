"""Whether a Spark Connect server that is not ours takes the credentials: `GET /_health` of the gateway.

    {"code": "", "message": ""}    it does; else `code` is that of the studio's `runtime/door.py`, `message` a sentence
    503                            it was not asked yet

It is asked until it has answered well, and then only while there are kernels, which use it anyhow: a server whose
sessions end when nobody uses them is not kept from that.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

from emr_studio_cluster.config import NodeConfig

_LOOK_SECONDS, _AGAIN_SECONDS = 5.0, 60.0
_ASK_SECONDS = 10.0
# gRPC's names.
_REFUSALS = ("UNAUTHENTICATED", "PERMISSION_DENIED")
_AWAY = ("UNAVAILABLE", "DEADLINE_EXCEEDED")
Told = dict[str, str]


class Health:
    """What is known."""

    def __init__(self, ask: Callable[[], Told], has_kernels: Callable[[], bool]) -> None:
        self._ask, self._has_kernels = ask, has_kernels
        self.told: Told | None = None

    def look(self) -> float:
        """Ask if it is time to; how long to wait then, in seconds."""
        if self.told is None or self.told["code"] or self._has_kernels():
            self.told = self._ask()
        return _LOOK_SECONDS if self.told["code"] else _AGAIN_SECONDS

    def watch(self) -> None:
        """Ask for ever, beside whatever else this process does."""
        threading.Thread(target=self._watch, name="connect-health", daemon=True).start()

    def _watch(self) -> None:
        while True:
            threading.Event().wait(self.look())


def ask(config: NodeConfig) -> Told:
    """Ask for Spark's version, as a session would."""
    import grpc
    from pyspark.sql.connect.proto import AnalyzePlanRequest
    from pyspark.sql.connect.proto.base_pb2_grpc import SparkConnectServiceStub

    from emr_studio_cluster.session import connect_builder

    builder = connect_builder(config)
    request = AnalyzePlanRequest(session_id=str(uuid.uuid4()), client_type=builder.userAgent)
    request.user_context.user_id = builder.userId or ""
    request.spark_version.SetInParent()
    try:
        with builder.toChannel() as channel:
            stub = SparkConnectServiceStub(channel)
            answer = stub.AnalyzePlan(request, metadata=builder.metadata(), timeout=_ASK_SECONDS)
    except grpc.RpcError as error:
        return refusal(config.connect_authority, error)
    if not answer.spark_version.version:
        return {"code": "NO_SPARK_CONNECT", "message": f"{config.connect_authority} does not name a Spark version."}
    return {"code": "", "message": ""}


def refusal(name: str, error: Any) -> Told:
    """A gRPC error, as `code` and sentence."""
    status, detail = str(error.code().name), str(error.details() or "").partition("\n")[0][:300]
    if status in _REFUSALS:
        return {"code": "CREDENTIALS_REFUSED", "message": f"{name} refuses the credentials: {detail}"}
    if status in _AWAY:
        return {"code": "UNREACHABLE", "message": f"{name} does not answer: {detail}"}
    return {
        "code": "NO_SPARK_CONNECT",
        "message": f"{name} does not answer as Spark Connect does ({status}: {detail}).",
    }
