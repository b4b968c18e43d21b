"""The kernel's `spark`: a session of the cluster's Spark Connect server, or a driver of its own, made while the user
still types.

The kernel is ready at once; the session is made in the background. A cell that mentions `spark`
waits for it. If Spark cannot be reached, `spark` is an object that says so and the next such cell
tries again; if the server ended the session (it was restarted), the next cell gets a new one. A cell
that is interrupted takes its Spark jobs with it.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import grpc
from pyspark.errors import PySparkException
from pyspark.sql.connect import client as connect_client

from emr_studio_cluster import driver, libraries, progress, virtualenv
from emr_studio_cluster.background import Background
from emr_studio_cluster.cancelling import cancel_jobs, interrupt_session, was_interrupted
from emr_studio_cluster.config import CONNECT_PORT, NodeConfig, read_config
from emr_studio_cluster.waiting import Gate

_MENTIONS = re.compile(r"\b(?:spark|sc|sqlContext|display)\b|^\s*%%?(?:sql|info|scalaspark|rspark)\b", re.MULTILINE)
# Cells that speak of the session and do not use it.
_ABOUT = re.compile(r"\s*%%?(?:configure|info|help)\b")
# The last is what the client itself says once it has closed the session that its server no longer knows.
_GONE = ("INVALID_HANDLE.SESSION_", "SESSION_CLOSED", "SESSION_CHANGED", "SESSION_NOT_FOUND", "NO_ACTIVE_SESSION")
# Properties that only a Spark which starts can have; any other unknown one is a user's own.
_SERVERS = ("spark.executor.", "spark.driver.", "spark.jars", "spark.files", "spark.archives", "spark.submit.")
_TABLES = re.compile(r"\bsaveAsTable\b|\bcreate\s+(?:or\s+replace\s+)?table\b", re.IGNORECASE)
_NO_CATALOG = (
    "Tables of this cluster end with it: Spark's S3 libraries were not there when it started, or its settings keep "
    "tables in memory (spark.sql.catalogImplementation, spark.sql.warehouse.dir)."
)
_NO_S3 = (
    "S3 paths do not work on this cluster: Spark's S3 libraries were not there when it started. Run the "
    "installation again where Maven Central can be reached, then create a new cluster."
)
_NEEDS_DRIVER = (
    "{} cannot be set for a session of the cluster's shared Spark Connect server: choose the kernel “PySpark "
    "(classic)”, or set it for the cluster (classification spark-defaults)."
)


class NotConfigured(RuntimeError):
    """Spark refuses what `%%configure` asks for."""


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


def connect(config: NodeConfig, queries: progress.Queries | None = None) -> Any:
    """Return a new session, of the cluster's own Connect server or of the one outside that its port leads to.

    `queries` hears how far its queries are, from Spark 4 on.

    Raises:
        PySparkException: or a gRPC error, if the server does not answer.
    """
    # These two make pyspark's own entry points (functions, `SparkSession.builder.getOrCreate()`) mean
    # this session and never start a Spark of their own.
    url = f"sc://{config.primary_address}:{CONNECT_PORT}"
    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"
    os.environ["SPARK_REMOTE"] = url
    from pyspark.sql.connect.session import SparkSession

    _be_quiet()
    made = SparkSession.builder.channelBuilder(connect_builder(config)).create()
    if queries is not None and hasattr(made, "registerProgressHandler"):
        made.registerProgressHandler(queries)
    return made


def connect_builder(config: NodeConfig) -> Any:
    """What makes the channel to the cluster's Connect port."""
    # Spark 3.5 has one class for it, Spark 4 one for each kind.
    make = getattr(connect_client, "DefaultChannelBuilder", None) or connect_client.ChannelBuilder
    url = f"sc://{config.primary_address}:{CONNECT_PORT}"
    builder = make(f"{url}/;{config.connect_parameters}" if config.connect_parameters else url)
    if config.outside:
        _name_outside(builder, config)
        builder.toChannel = lambda: builder._insecure_channel(builder.endpoint)
    else:
        builder.toChannel = lambda: _channel(builder, config)
    return builder


def _be_quiet() -> None:
    """What Spark refuses is raised; pyspark's own log of it is off, but Jupyter turns all logs on that it finds."""
    if "SPARK_CONNECT_LOG_LEVEL" not in os.environ:
        logging.getLogger("pyspark.sql.connect.logging").disabled = True


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


def _name_outside(builder: Any, config: NodeConfig) -> None:
    """Whom the door leads to, which speaks TLS to it where it does (`runtime/door.py` of the studio).

    gRPC's credentials for loopback addresses insist on the address as authority; the outside wants its own name.
    """
    builder.setChannelOption("grpc.default_authority", config.connect_authority)
    if config.connect_token:
        builder.set("authorization", f"Bearer {config.connect_token}")


def is_gone(error: BaseException) -> bool:
    """Whether the server says that it knows the session no more."""
    return isinstance(error, PySparkException) and any(mark in str(error) for mark in _GONE)


def _set(spark: Any, name: str, value: str) -> bool:
    """Whether the session took it: a static property is the server's."""
    if not spark.conf.isModifiable(name) and name.startswith(_SERVERS):
        return False
    try:
        spark.conf.set(name, value)
    except PySparkException:
        return False
    return True


def _give_python(spark: Any, wanted: virtualenv.Wanted) -> str:
    """Give a session its archives and the Python of one of them; returns what its executors run, where they work."""
    folder = libraries.session.pythons
    files = {archive: virtualenv.fetch(archive, folder) for archive in wanted.archives}
    try:
        virtualenv.packages.use(virtualenv.here(wanted, folder, files))
        for archive, file in files.items():
            spark.addArtifacts(f"{file}#{archive.name}", archive=True)
    finally:
        virtualenv.forget(files.values(), folder)
    if wanted.python:
        spark.conf.set("spark.sql.execution.pyspark.python", wanted.python)
    return wanted.python or sys.executable


def node_config() -> NodeConfig:
    """Settings of the node that the kernel runs on."""
    return read_config(Path(os.environ[driver.NODE_FOLDER]))


def install(shell: Any, *, classic: bool = False) -> SessionKeeper:
    """Give the shell its `spark` and `sc`, and begin to make them; `classic`: of a driver of its own."""
    keeper = (ClassicKeeper if classic else SessionKeeper)(shell, node_config())
    Gate(shell, keeper.before_cell)
    shell.events.register("post_run_cell", keeper.after_cell)
    keeper.begin()
    return keeper


class SessionKeeper:
    """Keeps the shell's `spark` usable: a session of the Connect server."""

    def __init__(self, shell: Any, config: NodeConfig) -> None:
        self._shell = shell
        self._config = config
        self._making: Background | None = None
        self._usable = False
        self._told = False
        self._given: dict[str, Any] = {}
        self._reporter = progress.Reporter("query", config.session_ui)
        self._queries = progress.Queries(self._reporter)
        self.properties: dict[str, str] = {}
        """What `%%configure` asked for."""
        self.is_used = False
        """Whether a cell has worked with the session: one that ends then takes views and tables in memory along."""

    def begin(self) -> None:
        """Make a session in the background."""
        self._making = Background(self._make, "spark-session").start()

    def before_cell(self, info: Any) -> None:
        """Wait for the session if the cell mentions it; `info` is that of IPython's event."""
        self._wait(info.raw_cell or "")
        self._queries.begin()
        self._reporter.begin(progress.publisher(self._shell.kernel))

    def _wait(self, cell: str) -> None:
        if not _MENTIONS.search(cell):
            return
        self.is_used = self.is_used or not _ABOUT.match(cell)
        self._say_of_tables(cell)
        if self._making is None and not self._usable:
            self.begin()
        if self._making is not None:
            self._making.wait()
            self._making = None

    def _say_of_tables(self, cell: str) -> None:
        """Once: that a table which the cell makes does not outlive the cluster, if so."""
        if not self._told and not self._config.outside and not self._config.has_catalog and _TABLES.search(cell):
            self._told = True
            print(_NO_CATALOG, file=sys.stderr)

    def after_cell(self, result: Any) -> None:
        """IPython's event: explain what Spark's own message does not, and forget a dead session."""
        error = getattr(result, "error_in_exec", None)
        self._reporter.end(progress.reason_of(error), at_work=progress.is_at_work(error))
        if error is None:
            return
        if was_interrupted(error) and self._usable:
            self._cancel(self._given["spark"])
        text = str(error)
        if is_gone(error):
            self._usable = False
            print("The Spark session ended; the next cell that uses spark gets a new one.", file=sys.stderr)
        if not self._config.outside and not self._config.s3_jars and ("S3AFileSystem" in text or 'scheme "s3' in text):
            print(_NO_S3, file=sys.stderr)

    def reconfigure(self, properties: Mapping[str, str]) -> None:
        """Take a session with these properties in place of the one that is there, which ends.

        Raises:
            NotConfigured: Spark refuses them; there is a session with those from before.
        """
        if self._making is not None:
            self._making.wait()
            self._making = None
        before, self.properties = self.properties, dict(properties)
        try:
            self._replace()
        except Exception as error:
            self.properties = before
            if not self._usable:
                self.begin()
            raise NotConfigured(_first_line(error)) from error
        self.is_used = False
        libraries.session.forget()

    def _replace(self) -> None:
        """A new session first: one that is refused costs nothing."""
        made, old = self._open(), self._given.get("spark")
        usable, self._usable = self._usable, True
        self._give(made)
        if usable and old is not None:
            # It may be gone already.
            with suppress(Exception):
                old.stop()
                # What pyspark's own entry points take.
                made["spark"]._set_default_and_active_session(made["spark"])

    def facts(self) -> dict[str, str]:
        """What there is to know about the session; `ui`: which of Spark's pages shows it."""
        spark = self._given["spark"]
        return {
            "Kind": "Spark Connect session",
            "Session": str(spark.session_id),
            "Cluster": self._config.cluster_id,
            "Spark": str(spark.version),
            "Application": str(spark.conf.get("spark.app.id", "")),
            "Master": self._config.outside_url or self._config.master,
            "ui": self._reporter.ui,
        }

    def _open(self) -> dict[str, Any]:
        wanted = virtualenv.wanted_of(virtualenv.of_python(self._config.spark_defaults) | self.properties)
        spark = connect(self._config, self._queries)
        try:
            refused = [name for name, value in wanted.others.items() if not _set(spark, name, value)]
            if refused:
                raise NotConfigured(_NEEDS_DRIVER.format(", ".join(refused)))
            python = _give_python(spark, wanted)
        except BaseException:
            spark.stop()
            raise
        return {"spark": spark, "sc": libraries.ConnectContext(spark, python)}

    def _cancel(self, spark: Any) -> None:
        interrupt_session(spark)

    def end(self) -> None:
        """End the session, and what runs in it: the kernel ends."""
        # The outside may be away.
        if self._usable:
            with suppress(Exception):
                self._given["spark"].stop()

    def _make(self) -> None:
        try:
            made: dict[str, Any] = self._open()
            self._usable = True
        except Exception as error:  # whatever it is, the user is to read it when using spark
            away = _Unreachable(_first_line(error))
            made = {"spark": away, "sc": away}
        self._give(made)

    def _give(self, made: Mapping[str, Any]) -> None:
        # What the user has called `spark` meanwhile stays.
        namespace = self._shell.user_ns
        for name, value in made.items():
            if name not in namespace or namespace[name] is self._given.get(name):
                namespace[name] = self._shell.user_ns_hidden[name] = value
            self._given[name] = value


class ClassicKeeper(SessionKeeper):
    """The same with a driver of the kernel's own: RDDs, `sc`, all that needs a JVM."""

    _group = ""
    _label = ""
    _watch: progress.DriverWatch | None = None
    _classes = Path()
    _scala: Any = None

    def __init__(self, shell: Any, config: NodeConfig) -> None:
        super().__init__(shell, config)
        self._reporter.unit = "job"
        self._reporter.ui = config.driver_ui

    def _replace(self) -> None:
        """The old driver ends first: a process has one."""
        self._usable = False
        driver.stop()
        self._give(self._open())
        self._usable = True

    def facts(self) -> dict[str, str]:
        """As above; a driver has no live UI, and its event log is in the history."""
        context = self._given["sc"]
        return {
            "Kind": "driver of this notebook's own",
            "Cluster": self._config.cluster_id,
            "Spark": str(context.version),
            "Application": str(context.applicationId),
            "Master": str(context.master),
            "ui": self._reporter.ui,
        }

    def _open(self) -> dict[str, Any]:
        # Beside the libraries: the working folder may be another by now.
        classes = libraries.session.folder.with_name(f".classes-{uuid.uuid4().hex}")
        classes.mkdir()
        properties = {"spark.repl.class.outputDir": str(classes), **self.properties}
        spark = driver.start(self._config, "notebook", properties)
        self._classes, self._scala = classes, None
        context = spark.sparkContext
        libraries.extend(context)
        return {"spark": spark, "sc": context}

    def before_cell(self, info: Any) -> None:
        """As above; the cell's jobs form a group of their own."""
        super().before_cell(info)
        if self._usable and self._making is None:
            self._group = f"cell-{uuid.uuid4()}"
            context = self._given["sc"]
            self._label = _first_line_of(info.raw_cell or "")
            self.set_group()
            self._watch = progress.DriverWatch(context, self._group, self._reporter)
            self._watch.start()

    def set_group(self) -> None:
        """What this thread submits belongs to the cell."""
        self._given["sc"].setJobGroup(self._group, self._label)

    def scala(self) -> Any:
        """Scala's side of the session (`scala/Notebook.scala`)."""
        if self._scala is None:
            self._scala = self._given["sc"]._jvm.emr.studio.Notebook(str(self._classes))
        return self._scala

    def cancel(self) -> None:
        """Stop the cell's jobs."""
        self._cancel(self._given["spark"])

    def after_cell(self, result: Any) -> None:
        """As above."""
        watch, self._watch = self._watch, None
        try:
            if watch is not None:
                watch.stop()
        finally:
            # Whoever has waited for long enough interrupts that.
            super().after_cell(result)

    def _cancel(self, spark: Any) -> None:
        cancel_jobs(spark.sparkContext, self._group, for_good=self._scala is None)


def _first_line_of(cell: str) -> str:
    """What Spark's UI calls the jobs of a cell."""
    return (cell.strip().splitlines() or [""])[0]


def _first_line(error: BaseException) -> str:
    if isinstance(error, grpc.RpcError) and hasattr(error, "details"):
        return str(error.details())
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
