"""What a program of a node is told: `node.json` in its folder, written by whoever starts it.

The file is readable by the node's own user only: it holds the cluster's secrets, which therefore
stand in no command line and in no environment that a kernel would inherit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

NODE_FILE = "node.json"
MASTER_PORT = 7077
MASTER_WEB_PORT = 8080
WORKER_PORT = 7078
WORKER_WEB_PORT = 8081
DRIVER_PORT = 7178
BLOCK_MANAGER_PORT = 7179
APPLICATION_WEB_PORT = 4040
CONNECT_PORT = 15002
GATEWAY_PORT = 18888
KERNELS_PORT = 18889
LIVY_PORT = 8998
METASTORE_PORT = 9083
PRACTICE = "emr_studio_practice"
"""The database in which Spark practises (`metastore/practice.py`)."""
SPARK_CONNECT, LIVY = "SPARK_CONNECT", "LIVY"
"""What a cluster from outside may be whose kernels run here."""


@dataclass(frozen=True)
class NodeConfig:
    """Settings of one program. Sizes are in MB (2^20 bytes)."""

    cluster_id: str
    address: str
    """The node's own loopback address: everything binds there and nowhere else."""
    primary_address: str
    local_mode: bool
    """A cluster of one node: no master and no workers, the Connect server computes by itself."""
    secret: str
    connect_token: str
    gateway_token: str = ""
    livy_token: str = ""
    """What opens Livy's port; empty where the cluster has no Livy, or its Livy is none of the program's business."""
    livy_conf: dict[str, str] = field(default_factory=dict)
    """The configuration classification `livy-conf`."""
    jeg_config: dict[str, str] = field(default_factory=dict)
    """The configuration classification `jeg-config` (`culling.py`)."""
    kernel_host: bool = False
    """Kernels live in a program of their own (`kernel_host.py`), which outlives the gateway."""
    cores: int = 1
    worker_memory: int = 1024
    driver_memory: int = 1024
    daemon_memory: int = 256
    release: str = ""
    jars_dir: str = ""
    """Folder of the jars that Spark's package lacks (`jars.py`); empty or absent: S3 paths do not work in Spark."""
    classes_dir: str = ""
    """Folder of our own classes for Spark's JVMs (`classes.py`)."""
    archives_dir: str = ""
    """Folder of the JVMs' class data archives; empty or absent: none are used."""
    record_archives: bool = False
    """Write the archives at the programs' ends instead of using them (`archives.py`)."""
    warehouse_dir: str = ""
    """Folder of managed tables; in S3: tables are kept in the Data Catalog and survive the cluster."""
    events_dir: str = ""
    """Folder of the event logs of all applications; empty: none are written. A history server reads them there."""
    history_port: int = 0
    """Port of a history server, which is on no node of a cluster."""
    ui_key: str = ""
    """Base64url of the key with which who asks Spark's UI signs (HS256); empty: the UI asks for nothing."""
    instance_type: str = ""
    """Of the primary node."""
    notebooks: int = 0
    """How many it is meant for at once; 0: any number."""
    notebook_limit: str = "off"
    """What a further one gets: `warn`, `refuse`, or `off`, nothing."""
    s3_endpoint: str = ""
    region: str = "us-east-1"
    master_url: str = ""
    """Spark's name of the master, where it is not the cluster's own; empty otherwise."""
    outside: str = ""
    """Set where Spark is not ours (`SPARK_CONNECT`, `LIVY`): its port here leads to it. Empty: a cluster of ours."""
    outside_url: str = ""
    """Where it is, as people are told: without credentials."""
    connect_authority: str = ""
    """`host:port` that an outside Spark Connect server is asked for."""
    connect_parameters: str = ""
    """What its connection string says beside the token: `user_id=ana;x-tenant=a`."""
    spark_defaults: dict[str, str] = field(default_factory=dict)
    """The configuration classification `spark-defaults`: wins over ours, but not over addresses and secrets."""

    @property
    def master(self) -> str:
        """Spark's name of the master."""
        if self.master_url:
            return self.master_url
        return "local[*]" if self.local_mode else f"spark://{self.primary_address}:{MASTER_PORT}"

    @property
    def session_ui(self) -> str:
        """Which of Spark's pages shows what the Connect server's sessions do; empty where none does."""
        return "" if self.master_url or self.outside else "live"

    @property
    def driver_ui(self) -> str:
        """The same of a notebook's own driver, which has no live page but an event log."""
        return "history" if self.events_dir and not self.master_url else ""

    @property
    def has_catalog(self) -> bool:
        """Whether Spark keeps its tables in the Data Catalog: their data must be in S3, which needs the S3 jars."""
        warehouse = self.spark_defaults.get("spark.sql.warehouse.dir", self.warehouse_dir)
        wanted = self.spark_defaults.get("spark.sql.catalogImplementation", "hive") == "hive"
        return wanted and bool(self.s3_jars) and warehouse.startswith(("s3://", "s3a://", "s3n://"))

    @property
    def s3_jars(self) -> list[Path]:
        """The S3 jars that are there."""
        return sorted(Path(self.jars_dir).glob("*.jar")) if self.jars_dir else []


def read_config(folder: Path) -> NodeConfig:
    """Read the program's settings; unknown members are of a newer studio and are ignored."""
    values: dict[str, Any] = json.loads((folder / NODE_FILE).read_text())
    known = {f.name for f in fields(NodeConfig)}
    return NodeConfig(**{key: value for key, value in values.items() if key in known})
