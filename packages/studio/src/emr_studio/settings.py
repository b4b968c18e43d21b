"""Typed settings: defaults, then `emr-studio.toml` in the data folder, then `EMR_STUDIO_*`.

Every process of an installation is started with `EMR_STUDIO_DATA_DIR`; everything else follows.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

# A unix socket's path has at most 107 characters; the longest name below the run folder needs 46.
_LONGEST_RUN_DIR = 60
DEFAULT_DATA_DIR = Path.home() / ".emr-studio"


def partition_of(region: str) -> str:
    """ARN partition of a region."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


class Settings(BaseSettings):
    """Settings of one installation."""

    model_config = SettingsConfigDict(
        env_prefix="EMR_STUDIO_", extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    data_dir: Path = DEFAULT_DATA_DIR
    """Where this installation keeps everything."""
    port: int = 8080
    """Port of the edge, the one door (loopback only)."""
    domain: str = ""
    """Base domain with port; empty: `localhost:<port>`."""
    scheme: Literal["http", "https"] = "http"
    """Scheme of all URLs; `https` where TLS ends at the edge or before it."""
    account_id: str = "123456789012"
    """The account that the first start makes."""
    region: str = "us-east-1"
    """The one region that is served; a request signed for another is refused."""
    s3_endpoint: str = ""
    """URL of an S3 of your own (`https://s3.example.com`); empty: the embedded store. Reached in path style."""
    lane: bool = True
    """Requests to the embedded store go straight to it once they are allowed; off: through the edge, as with TLS."""
    s3_region: str = ""
    """Region that requests to it are signed for; empty: the studio's."""
    s3_credentials_file: Path | None = None
    """JSON with `access_key_id`, `secret_access_key` and perhaps `session_token` of it; read again when it changes."""
    database_url: str = ""
    """SQLAlchemy URL; empty: SQLite in the data folder. PostgreSQL: `postgresql+psycopg://…`."""
    loopback_octet: int = 31
    """Second octet of the loopback addresses of instances: `172.31.y.z` is `127.<octet>.y.z`."""
    log_level: str = "INFO"
    """Python level name: DEBUG, INFO, WARNING, ERROR."""
    session_idle_seconds: int = 900
    """A console session ends so long after its last use, 15 minutes as in EMR Studio."""
    workspace_idle_seconds: int = Field(default=86_400, ge=0, le=604_800)
    """A Workspace in which nothing is at work for so long is stopped, with a warning; 0: never. Or its own limit."""
    workspace_disk_mb: int = Field(default=10_240, ge=0)
    """What a Workspace may have on disk (files and settings), 64 at least; 0: no limit. A running one keeps its own."""
    workspace_memory_mb: int = Field(default=4096, ge=0)
    """Memory of a Workspace's server and terminals, 512 at least; 0: no limit. Kernels run on clusters."""
    workspace_cpus: float = Field(default=2.0, ge=0)
    """Processors that they may use; 0: no limit."""
    workspace_processes: int = Field(default=1024, ge=0)
    """Processes and threads that they may be; 0: no limit."""
    disk_reserve_mb: int = Field(default=1024, ge=0)
    """While the host's disk has less free, Workspaces refuse to save, and programs that fill it (clusters' too) end."""
    lifecycle_seconds: int = Field(default=3600, ge=1)
    """How often the lifecycle rules of buckets are carried out (the embedded store's)."""
    credentials_seconds: int = Field(default=900, ge=5, le=43_200)
    """How long the credentials live that Workspaces, kernels and nodes fetch, and never longer than these."""
    warm_spares: int | None = Field(default=None, ge=0, le=16)
    """Clusters that are kept running for the next RunJobFlow; not set: 1, or 0 on a machine with less than 8 GB."""
    notebook_limit: Literal["warn", "refuse", "off"] = "warn"
    """What comes of kernels beyond those that a primary node is meant for (8 of an `xlarge`): a warning, no start."""
    outside_local_targets: str = ""
    """This machine's own `address:port`s that registered clusters may be at, by commas: `127.0.0.1:8888`; else none."""
    outside_ca_file: Path | None = None
    """PEM of certificate authorities that registered clusters may have beside the system's."""
    external_kms_key_id: str = ""
    """A key of another KMS that wraps the keys of this one; empty: the master key in the data folder's `keys`."""
    external_kms_endpoint_url: str = ""
    """Where that KMS is; empty: AWS. Its credentials are found as by any AWS SDK."""
    external_kms_region: str = ""
    """That KMS's region; empty: the region of this installation."""
    suggestions_url: str = Field(default="", pattern=r"^(https?://[!-~]+)?$")
    """OpenAI-compatible API of a model for code suggestions (`http://127.0.0.1:11434/v1`); empty: there are none."""
    suggestions_model: str = ""
    """The model's name there; empty: whichever the server has."""
    suggestions_key_file: Path | None = None
    """File with the API key, which no Workspace sees; read anew each time. None: the server wants no key."""
    suggestions_api: Literal["chat", "completions"] = "chat"
    """`/chat/completions`, for models that follow instructions; `/completions`, for those that fill in the middle."""
    suggestions_prompt: str = ""
    """With `completions`: the prompt around `{before}` and `{after}`; empty: `prompt` and `suffix`."""
    suggestions_count: int = Field(default=1, ge=1, le=5)
    """Suggestions to choose from, where the server can make more than one."""
    suggestions_timeout_seconds: float = Field(default=10.0, gt=0, le=60)
    """The model is waited for so long."""
    suggestions_per_minute: int = Field(default=60, ge=1)
    """What a user may ask for in a minute, by hand or by typing (of each replica of the control plane)."""
    trail_retention_days: int = 90
    """Records of the audit trail are kept so long in the database, 90 days as CloudTrail's event history."""
    trail_delivery_seconds: int = 300
    """A trail's log files are written to its bucket so often, at least."""
    trail_digest_seconds: int = 3600
    """Digest files are made so often."""
    repository_root: Path | None = None
    """Where `.envs` lies; empty: the checkout that this package runs from."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # Secrets come from files with their own modes, never from a .env or a secrets folder.
        del dotenv_settings, file_secret_settings
        values = init_settings()
        folder = Path(values.get("data_dir") or os.environ.get("EMR_STUDIO_DATA_DIR") or DEFAULT_DATA_DIR)
        toml = TomlConfigSettingsSource(settings_cls, folder / "emr-studio.toml")
        return init_settings, env_settings, toml

    @property
    def has_lane(self) -> bool:
        """True if the lane has the port, and the edge is behind it."""
        return self.lane and self.scheme == "http" and not self.s3_endpoint

    @property
    def host_port(self) -> str:
        """Base domain with port, as it stands in URLs."""
        return self.domain or f"localhost:{self.port}"

    @property
    def endpoint_url(self) -> str:
        """The one AWS endpoint (and the console)."""
        return f"{self.scheme}://{self.host_port}"

    @property
    def outside_targets(self) -> tuple[str, ...]:
        """`outside_local_targets`, one by one."""
        return tuple(one.strip() for one in self.outside_local_targets.split(",") if one.strip())

    @property
    def partition(self) -> str:
        """ARN partition of the region."""
        return partition_of(self.region)

    def studio_url(self, studio_id: str) -> str:
        """Access URL of a Studio: its own origin."""
        return f"{self.scheme}://{studio_id.lower()}.studio.{self.host_port}"

    def workspace_url(self, editor_id: str) -> str:
        """Origin of a Workspace."""
        return f"{self.scheme}://{editor_id.lower()}.workspace.{self.host_port}"

    def app_ui_url(self, cluster_id: str) -> str:
        """Origin of a cluster's application UIs."""
        return f"{self.scheme}://{cluster_id.lower()}.appui.{self.host_port}"

    @property
    def sqlalchemy_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'db' / 'studio.sqlite'}"

    @property
    def root(self) -> Path:
        """The checkout or installation folder that holds `.envs` and `.venv`."""
        return self.repository_root or Path(__file__).resolve().parents[4]

    def env_python(self, name: str) -> Path:
        """The interpreter of a separate environment: `workspace`, or a release label."""
        return self.root / ".envs" / name / "bin" / "python"

    # Folders. The supervisor makes them (mode 700 but where a Workspace's own user must pass).
    @property
    def run_dir(self) -> Path:
        """Sockets and process ids; moved below /tmp where the data folder's path is too long."""
        wanted = self.data_dir / "run"
        if len(str(wanted)) <= _LONGEST_RUN_DIR:
            return wanted
        digest = hashlib.sha256(str(self.data_dir.resolve()).encode()).hexdigest()[:12]
        return Path("/tmp") / f"emr-studio-{os.getuid()}-{digest}"

    @property
    def keys_dir(self) -> Path:
        return self.data_dir / "keys"

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def trail_dir(self) -> Path:
        """Journals of the audit trail."""
        return self.data_dir / "trail"

    @property
    def store_dir(self) -> Path:
        return self.data_dir / "store"

    @property
    def agent_dir(self) -> Path:
        return self.data_dir / "agent"

    @property
    def workspaces_dir(self) -> Path:
        return self.data_dir / "workspaces"

    @property
    def clusters_dir(self) -> Path:
        return self.data_dir / "clusters"

    @property
    def history_dir(self) -> Path:
        """History servers, and the event logs of ended clusters that they show."""
        return self.data_dir / "history"

    @property
    def api_socket(self) -> Path:
        return self.run_dir / "api.sock"

    @property
    def agent_socket(self) -> Path:
        return self.run_dir / "agent.sock"

    @property
    def controller_socket(self) -> Path:
        return self.run_dir / "controller.sock"

    def workspace_run_dir(self, editor_id: str) -> Path:
        """Where a Workspace's server listens (`s.sock`) and finds its kernel gateway (`g.sock`)."""
        return self.run_dir / "w" / editor_id
