"""The Java programs of a node: command lines, environment and Spark's properties."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path

from emr_studio_cluster.config import (
    APPLICATION_WEB_PORT,
    BLOCK_MANAGER_PORT,
    CONNECT_PORT,
    DRIVER_PORT,
    MASTER_PORT,
    MASTER_WEB_PORT,
    METASTORE_PORT,
    WORKER_PORT,
    WORKER_WEB_PORT,
    NodeConfig,
)

_S3A = "org.apache.hadoop.fs.s3a.S3AFileSystem"
# Hadoop 3.4 has the AWS SDK 2, Hadoop 3.3 the first one.
_CREDENTIALS = "software.amazon.awssdk.auth.credentials.ContainerCredentialsProvider"
_CREDENTIALS_BEFORE = "com.amazonaws.auth.EC2ContainerCredentialsProviderWrapper"
_PROPERTIES_FILE = "spark.properties"
_LOGGING_FILE = "log4j2.properties"
_LOGGING = """rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.target = SYSTEM_OUT
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd HH:mm:ss.SSS} %p %c{1}: %m%n%ex
logger.deploy.name = org.apache.spark.deploy
logger.deploy.level = info
logger.connect.name = org.apache.spark.sql.connect.service.SparkConnectServer
logger.connect.level = info
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
"""
LOGGING_TO_STDERR = _LOGGING.replace("SYSTEM_OUT", "SYSTEM_ERR")
"""What a step prints is its own; what Spark says of it goes beside it."""


def logging_of_applications(config: NodeConfig) -> str:
    """Logging of what a step submits; the workers of a `local-cluster`, which are in its driver, say nothing."""
    told = LOGGING_TO_STDERR
    return told.replace("deploy.level = info", "deploy.level = off") if config.master_url else told


# What Spark's own launcher adds for Java 17 (org.apache.spark.launcher.JavaModuleOptions).
_OPENED = (
    "java.lang java.lang.invoke java.lang.reflect java.io java.net java.nio java.util java.util.concurrent "
    "java.util.concurrent.atomic jdk.internal.ref sun.nio.ch sun.nio.cs sun.security.action sun.util.calendar"
)
MODULE_OPTIONS = (
    "-XX:+IgnoreUnrecognizedVMOptions",
    *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED.split()),
    "--add-opens=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
    "-Djdk.reflect.useDirectMethodHandle=false",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dio.netty.allocator.type=pooled",
    "-Dio.netty.handler.ssl.defaultEndpointVerificationAlgorithm=NONE",
    "--enable-native-access=ALL-UNNAMED",
)
HISTORY_PATH = "/shs"
"""Where the history server of a cluster is, on the origin of the cluster's application UIs."""
_SEAT = "notebook"
_SEATED = {
    f"spark.executor.resource.{_SEAT}.amount": "1",
    # A hundredth, so that it never bounds how many tasks an executor runs.
    f"spark.task.resource.{_SEAT}.amount": "0.01",
}
# When a cluster shrinks, tasks finish and what they have written moves to other workers.
_DECOMMISSION = {"spark.decommission.enabled": "true"}
DECOMMISSION_OF_APPLICATIONS = {
    **_DECOMMISSION,
    "spark.storage.decommission.enabled": "true",
    "spark.storage.decommission.shuffleBlocks.enabled": "true",
    "spark.storage.decommission.rddBlocks.enabled": "true",
    "spark.storage.decommission.replicationReattemptInterval": "5s",
}
# A serial collector needs no threads of its own and starts fastest in a heap of a gigabyte.
_SMALL_HEAP = ("-XX:+UseSerialGC", "-Xshare:auto")
# A program that never computes much is up sooner without the optimising compiler.
_QUICK_START = ("-XX:TieredStopAtLevel=1",)
# One that computes has it for what is hot indeed: after ten times as many calls and rounds as by default. Loops over
# rows have so many in no time; most of what is optimised before that, in Spark's first minutes, never pays for itself.
_LATE_OPTIMISING = (
    "-XX:Tier4InvocationThreshold=50000",
    "-XX:Tier4MinInvocationThreshold=6000",
    "-XX:Tier4CompileThreshold=150000",
    "-XX:Tier4BackEdgeThreshold=400000",
)
OPTIMISING_OF_APPLICATIONS = {
    f"spark.{side}.defaultJavaOptions": " ".join(_LATE_OPTIMISING) for side in ("driver", "executor")
}


class NoJava(Exception):
    """There is no Java to run Spark with."""


def spark_home() -> Path:
    """Spark's folder: that of the package pyspark (found without importing it, which takes a while)."""
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        raise NoJava("pyspark is not installed in this environment")
    return Path(found.origin).parent


def version_of(jar: str) -> str:
    """The version of one of Spark's jars: `3.5.7` of `spark-core`, whatever Scala is in its name; else empty."""
    found = next(iter(sorted((spark_home() / "jars").glob(f"{jar}[-_]*.jar"))), None)
    return found.stem.rpartition("-")[2] if found else ""


def scala_version() -> str:
    """The Scala that Spark was built with: `2.12` or `2.13`."""
    return ".".join(version_of("scala-library").split(".")[:2]) or "2.13"


def _connect_server() -> str:
    """The Connect server's class: of Spark 3.5, whose own knows neither address nor token, it is ours (`scala/`)."""
    ours = version_of("spark-core").startswith("3.")
    return "emr.studio.ConnectServer" if ours else "org.apache.spark.sql.connect.service.SparkConnectServer"


def java() -> str:
    """The Java launcher: of JAVA_HOME, or the first in PATH.

    Raises:
        NoJava: if there is none.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin" if home else None)
    if found is None:
        raise NoJava("Java was not found: install Java 17 (openjdk-17-jre-headless), or set JAVA_HOME")
    return found


def environment(config: NodeConfig, folder: Path) -> dict[str, str]:
    """Environment of the node's Java programs and, from there, of executors and their Python."""
    local = folder / "local"
    local.mkdir(exist_ok=True)
    return {
        **os.environ,
        "SPARK_HOME": str(_home(config, folder)),
        "SPARK_LOCAL_IP": config.address,
        "SPARK_LOCAL_HOSTNAME": config.address,
        "SPARK_LOCAL_DIRS": str(local),
        "SPARK_SCALA_VERSION": scala_version(),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }


def _home(config: NodeConfig, folder: Path) -> Path:
    """Spark's folder; for a master of `local-cluster` one of links, since its executors work below it."""
    if not config.master_url.startswith("local-cluster"):
        return spark_home()
    home = folder / "spark"
    home.mkdir(exist_ok=True)
    for entry in spark_home().iterdir():
        if not (home / entry.name).is_symlink():
            (home / entry.name).symlink_to(entry)
    return home


def master_command(config: NodeConfig, folder: Path) -> list[str]:
    """The standalone master; its state is kept, so that it finds workers and application after a restart."""
    options = {
        "spark.deploy.recoveryMode": "FILESYSTEM",
        "spark.deploy.recoveryDirectory": str(folder / "recovery"),
        **_DECOMMISSION,
        "spark.ui.killEnabled": "false",
    }
    arguments = ["--host", config.address, "--port", str(MASTER_PORT), "--webui-port", str(MASTER_WEB_PORT)]
    return _daemon(config, folder, "org.apache.spark.deploy.master.Master", options, arguments)


def worker_command(config: NodeConfig, folder: Path) -> list[str]:
    """A standalone worker."""
    options = {
        "spark.ui.killEnabled": "false",
        "spark.worker.cleanup.enabled": "true",
        "spark.worker.cleanup.appDataTtl": "86400",
        **_seats(folder),
        **_DECOMMISSION,
    }
    arguments = ["--host", config.address, "--port", str(WORKER_PORT), "--webui-port", str(WORKER_WEB_PORT)]
    arguments += ["--cores", str(2 * config.cores), "--memory", f"{2 * config.worker_memory}m"]
    arguments += ["--work-dir", str(folder / "work"), config.master]
    return _daemon(config, folder, "org.apache.spark.deploy.worker.Worker", options, arguments)


def _seats(folder: Path) -> dict[str, str]:
    """One executor of the Connect server on each worker, whenever either comes; the other half is for steps.

    Spark's standalone master gives an application all it can have. A worker therefore has one `notebook`,
    a custom resource that each of the Connect server's executors needs.
    """
    path = folder / "resources.json"
    name = {"componentName": "spark.worker", "resourceName": _SEAT}
    path.write_text(json.dumps([{"id": name, "addresses": ["0"]}]))
    return {"spark.worker.resourcesFile": str(path), f"spark.worker.resource.{_SEAT}.amount": "1"}


def connect_command(config: NodeConfig, folder: Path) -> list[str]:
    """The Spark Connect server: the driver of the one application that all notebooks share."""
    properties = write_properties(folder / _PROPERTIES_FILE, connect_properties(config, folder))
    flags = (*_SMALL_HEAP, *(_LATE_OPTIMISING if config.local_mode else _QUICK_START))
    return [
        *_java(config, folder, "connect", config.driver_memory, flags),
        "org.apache.spark.deploy.SparkSubmit",
        "--properties-file",
        str(properties),
        "--class",
        _connect_server(),
        "spark-internal",
    ]


def connect_properties(config: NodeConfig, folder: Path) -> dict[str, str]:
    """Properties of the Connect server; the cluster's own configuration stands between ours and what must be."""
    return {
        "spark.scheduler.mode": "FAIR",
        "spark.sql.shuffle.partitions": "8",
        "spark.executor.cores": "1",
        "spark.executor.memory": f"{config.worker_memory}m",
        "spark.executor.extraJavaOptions": " ".join(_SMALL_HEAP),
        **OPTIMISING_OF_APPLICATIONS,
        "spark.executor.logs.rolling.strategy": "size",
        "spark.executor.logs.rolling.maxSize": "4194304",
        "spark.executor.logs.rolling.maxRetainedFiles": "3",
        # A notebook left open over night finds its session in the morning.
        "spark.connect.session.manager.defaultSessionTimeout": "24h",
        # Of a query that runs, to whoever asked it.
        "spark.connect.progress.reportInterval": "500ms",
        "spark.ui.killEnabled": "false",
        "spark.ui.showConsoleProgress": "false",
        **DECOMMISSION_OF_APPLICATIONS,
        **event_log_properties(config),
        **s3_properties(config, folder),
        **catalog_properties(config, folder),
        **config.spark_defaults,
        **security_properties(config),
        "spark.master": config.master,
        "spark.app.name": config.cluster_id,
        "spark.submit.deployMode": "client",
        "spark.driver.memory": f"{config.driver_memory}m",
        "spark.driver.host": config.address,
        "spark.driver.bindAddress": config.address,
        "spark.driver.port": str(DRIVER_PORT),
        "spark.driver.blockManager.port": str(BLOCK_MANAGER_PORT),
        "spark.ui.port": str(APPLICATION_WEB_PORT),
        "spark.connect.grpc.binding.address": config.address,
        "spark.connect.grpc.binding.port": str(CONNECT_PORT),
        "spark.connect.authenticate.token": config.connect_token,
        **({} if config.local_mode else _SEATED),
        **ui_properties(config),
    }


def ui_properties(config: NodeConfig) -> dict[str, str]:
    """Spark's own filter before all its pages: every user of the machine can reach their ports. Spark 3.5 has none."""
    if not config.ui_key or version_of("spark-core").startswith("3."):
        return {}
    name = "org.apache.spark.ui.JWSFilter"
    return {"spark.ui.filters": name, f"spark.{name}.param.secretKey": config.ui_key}


def catalog_properties(config: NodeConfig, folder: Path) -> dict[str, str]:
    """Where tables are: in the Data Catalog, by the metastore beside the Connect server, or in the driver's memory."""
    if not config.has_catalog:
        here = "" if config.warehouse_dir.startswith("s3") else config.warehouse_dir
        return {"spark.sql.warehouse.dir": here or str(folder / "warehouse")}
    scratch = str(folder / "local" / "hive")
    hive = {
        "hive.metastore.uris": f"thrift://{config.primary_address}:{METASTORE_PORT}",
        "hive.metastore.client.socket.timeout": "120s",
        "hive.exec.scratchdir": scratch,
        "hive.exec.local.scratchdir": scratch,
    }
    return {
        **{f"spark.hadoop.{name}": value for name, value in hive.items()},
        "spark.sql.catalogImplementation": "hive",
        "spark.sql.warehouse.dir": config.warehouse_dir,
        # `CREATE TABLE t (…)` makes one of Spark's own format in every release.
        "spark.sql.legacy.createHiveTableByDefault": "false",
    }


def event_log_properties(config: NodeConfig) -> dict[str, str]:
    """Event logs of every application: local files, readable while it runs; the studio carries them to S3.

    In pieces, so that what was carried once need not be carried again.
    """
    if not config.events_dir:
        return {}
    folder = Path(config.events_dir)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": folder.as_uri(),
        "spark.eventLog.compress": "true",
        "spark.eventLog.rolling.enabled": "true",
        "spark.eventLog.rolling.maxFileSize": "16m",
    }


def history_command(config: NodeConfig, folder: Path) -> list[str]:
    """A history server; it is served below `HISTORY_PATH` and answers to whoever has a token of `ui_key`."""
    options = {
        "spark.history.fs.logDirectory": Path(config.events_dir).as_uri(),
        "spark.history.fs.update.interval": "5s",
        "spark.history.retainedApplications": "5",
        "spark.history.ui.port": str(config.history_port),
        "spark.port.maxRetries": "0",
        # Some of its redirects know nothing of the place where it is served.
        "spark.ui.proxyRedirectUri": "/",
        **ui_properties(config),
    }
    properties = write_properties(folder / _PROPERTIES_FILE, options)
    flags = (*_SMALL_HEAP, *_QUICK_START, "-XX:+ExitOnOutOfMemoryError", f"-Dspark.ui.proxyBase={HISTORY_PATH}")
    command = _java(config, folder, "history", config.driver_memory, flags)
    return [*command, "org.apache.spark.deploy.history.HistoryServer", "--properties-file", str(properties)]


def s3_properties(config: NodeConfig, folder: Path) -> dict[str, str]:
    """`s3://`, `s3a://` and `s3n://` through S3A, with the credentials of the node's instance profile."""
    if not config.s3_jars:
        return {}
    newer = not version_of("hadoop-client-api").startswith("3.3.")
    hadoop = {
        "fs.s3.impl": _S3A,
        "fs.s3n.impl": _S3A,
        "fs.AbstractFileSystem.s3.impl": "org.apache.hadoop.fs.s3a.S3A",
        "fs.s3a.endpoint": config.s3_endpoint,
        "fs.s3a.endpoint.region": config.region,
        "fs.s3a.path.style.access": "true",
        "fs.s3a.aws.credentials.provider": _CREDENTIALS if newer else _CREDENTIALS_BEFORE,
        "fs.s3a.buffer.dir": str(folder / "local"),
        # Say soon that something is wrong: the defaults try for many minutes.
        "fs.s3a.attempts.maximum": "4",
        "fs.s3a.retry.limit": "3",
        "fs.s3a.connection.establish.timeout": "15s" if newer else "15000",
    }
    classpath = os.path.join(config.jars_dir, "*")
    return {
        **{f"spark.hadoop.{key}": value for key, value in hadoop.items() if value},
        "spark.executor.extraClassPath": classpath,
    }


def security_properties(config: NodeConfig) -> dict[str, str]:
    # Whoever can reach the ports cannot join the cluster or give it work without the secret.
    return {"spark.authenticate": "true", "spark.authenticate.secret": config.secret}


def _daemon(config: NodeConfig, folder: Path, main: str, options: dict[str, str], arguments: list[str]) -> list[str]:
    properties = write_properties(folder / _PROPERTIES_FILE, {**options, **security_properties(config)})
    kind = main.rpartition(".")[2].lower()
    command = _java(config, folder, kind, config.daemon_memory, (*_SMALL_HEAP, *_QUICK_START))
    return [*command, main, "--properties-file", str(properties), *arguments]


def _java(config: NodeConfig, folder: Path, kind: str, heap: int, flags: tuple[str, ...]) -> list[str]:
    logging = folder / _LOGGING_FILE
    logging.write_text(_LOGGING)
    classpath = [str(spark_home() / "jars" / "*")]
    if config.s3_jars:
        classpath.append(os.path.join(config.jars_dir, "*"))
    if config.classes_dir:
        classpath.append(os.path.join(config.classes_dir, "*"))
    return [
        java(),
        f"-Xmx{heap}m",
        *flags,
        *_class_data(config, kind),
        *MODULE_OPTIONS,
        f"-Dlog4j2.configurationFile={logging.as_uri()}",
        f"-Djava.io.tmpdir={folder / 'local'}",
        "-cp",
        ":".join(classpath),
    ]


def _class_data(config: NodeConfig, kind: str) -> list[str]:
    """The archive of parsed classes of this kind of program: half of a JVM's start is parsing them."""
    if not config.archives_dir:
        return []
    archive = Path(config.archives_dir) / f"{kind}.jsa"
    if config.record_archives:
        return [f"-XX:ArchiveClassesAtExit={archive}"]
    return [f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []


def write_properties(path: Path, properties: dict[str, str]) -> Path:
    """Write a file of Spark properties that only its owner can read: it holds secrets."""
    lines = [f"{_escape(key, key=True)} {_escape(value)}\n" for key, value in properties.items()]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(lines)
    return path


def _escape(text: str, *, key: bool = False) -> str:
    """Java's properties format (java.util.Properties.load)."""
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    if key:
        for character in " :=#!":
            escaped = escaped.replace(character, "\\" + character)
    elif escaped[:1] == " ":
        escaped = "\\" + escaped
    return escaped
