"""The kernel's `spark`: a Spark Connect session to the cluster, made while the user still types.

The kernel is ready at once; the session is made in the background. A cell that mentions `spark`
waits for it. If Spark cannot be reached, `spark` is an object that says so and the next such cell
tries again; if the server ended the session (it was restarted), the next cell gets a new one.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

import grpc
from pyspark.errors import PySparkException
from pyspark.sql.connect import client as connect_client

from emr_studio_cluster.config import CONNECT_PORT, NodeConfig, read_config

_MENTIONS = re.compile(r"\b(?:spark|display)\b|^\s*%%sql", re.MULTILINE)
_GONE = ("INVALID_HANDLE.SESSION_", "SESSION_CLOSED", "SESSION_CHANGED", "SESSION_NOT_FOUND")
_NO_S3 = (
    "S3 paths do not work on this cluster: Spark's S3 libraries were not there when it started. Run the "
    "installation again where Maven Central can be reached, then create a new cluster."
)


class SparkUnreachable(RuntimeError):
    """The cluster's Spark does not answer."""


class _Unreachable:
    """Stands for `spark` while there is none: any use of it says why."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        raise SparkUnreachable(
            f"Spark on this cluster does not answer ({self._reason}). Run the cell again in a few seconds; "
            "if it stays so, look at the cluster's state."
        )

    def __repr__(self) -> str:
        return f"<Spark does not answer: {self._reason}>"


def connect(config: NodeConfig) -> Any:
    """Return a new session.

    Raises:
        PySparkException: or a gRPC error, if the server does not answer.
    """
    # These two make pyspark's own entry points (functions, `SparkSession.builder.getOrCreate()`) mean
    # this session and never start a Spark of their own.
    url = f"sc://{config.primary_address}:{CONNECT_PORT}"
    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"
    os.environ["SPARK_REMOTE"] = url
    from pyspark.sql.connect.session import SparkSession

    # Spark 3.5 has one class for it, Spark 4 one for each kind.
    make = getattr(connect_client, "DefaultChannelBuilder", None) or connect_client.ChannelBuilder
    builder = make(url)
    builder.toChannel = lambda: _channel(builder, config)
    return SparkSession.builder.channelBuilder(builder).create()


def _channel(builder: Any, config: NodeConfig) -> grpc.Channel:
    # pyspark sends a token over TLS only, or to the name localhost; these credentials are what it uses
    # for the latter: gRPC accepts them on loopback addresses and nowhere else.
    credentials = grpc.composite_channel_credentials(
        grpc.local_channel_credentials(), grpc.access_token_call_credentials(config.connect_token)
    )
    endpoint = f"{config.primary_address}:{CONNECT_PORT}"
    if hasattr(builder, "_secure_channel"):
        return builder._secure_channel(endpoint, credentials)
    return grpc.secure_channel(endpoint, credentials, options=builder._channel_options)


def install(shell: Any) -> None:
    """Give the shell its `spark`, and begin to make it."""
    keeper = SessionKeeper(shell, read_config(Path(os.environ["EMR_STUDIO_NODE_FOLDER"])))
    shell.events.register("pre_run_cell", keeper.before_cell)
    shell.events.register("post_run_cell", keeper.after_cell)
    keeper.begin()


class SessionKeeper:
    """Keeps the shell's `spark` usable."""

    def __init__(self, shell: Any, config: NodeConfig) -> None:
        self._shell = shell
        self._config = config
        self._thread: threading.Thread | None = None
        self._usable = False
        self._own: Any = None

    def begin(self) -> None:
        """Make a session in the background."""
        self._thread = threading.Thread(target=self._make, name="spark-session", daemon=True)
        self._thread.start()

    def before_cell(self, info: Any) -> None:
        """IPython's event: wait for the session if the cell mentions it."""
        if not _MENTIONS.search(info.raw_cell or ""):
            return
        if self._thread is None and not self._usable:
            self.begin()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def after_cell(self, result: Any) -> None:
        """IPython's event: explain what Spark's own message does not, and forget a dead session."""
        error = getattr(result, "error_in_exec", None)
        if error is None:
            return
        text = str(error)
        if isinstance(error, PySparkException) and any(mark in text for mark in _GONE):
            self._usable = False
            print("The Spark session ended; the next cell that uses spark gets a new one.", file=sys.stderr)
        if not self._config.s3_jars and ("S3AFileSystem" in text or 'scheme "s3' in text):
            print(_NO_S3, file=sys.stderr)

    def _make(self) -> None:
        # What the user has called `spark` meanwhile stays.
        namespace = self._shell.user_ns
        mine = namespace.get("spark") is self._own or "spark" not in namespace
        try:
            made: Any = connect(self._config)
            self._usable = True
        except Exception as error:  # whatever it is, the user is to read it when using spark
            made = _Unreachable(_first_line(error))
        if mine:
            self._own = namespace["spark"] = made
            self._shell.user_ns_hidden["spark"] = made


def _first_line(error: BaseException) -> str:
    if isinstance(error, grpc.RpcError) and hasattr(error, "details"):
        return str(error.details())
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
