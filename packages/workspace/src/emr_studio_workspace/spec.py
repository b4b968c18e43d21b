"""What a Workspace's server is told at its start. It holds no secret of anybody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ServerSpec:
    """One server.

    `files` is what the user sees (and what is mirrored), `home` holds settings, `run` holds the
    sockets and `gateway.json`. They are the paths as the server sees them: inside its sandbox.
    `public_key` (PEM, Ed25519) verifies identity tokens for the audience `editor_id`; with
    `agent_secret` the agent shows itself, only to have this Workspace's kernels ended.
    """

    editor_id: str
    name: str
    origin: str
    public_key: str
    default_notebook: str
    files: Path
    home: Path
    run: Path
    agent_secret: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    git_token: str = ""
    """With it git's credential helper asks for the credentials of linked repositories."""
    own_network: bool = False
    """It has a network namespace of its own, in which there is nothing but its loopback."""

    @property
    def gateway_socket(self) -> Path:
        """The relay's end: the way to the kernel gateway of the attached cluster."""
        return self.run / "g.sock"

    @property
    def gateway_pointer(self) -> Path:
        """The agent writes here which cluster is attached."""
        return self.run / "gateway.json"

    @property
    def edge_socket(self) -> Path:
        """The relay's end: the way to the edge, AWS's endpoint."""
        return self.run / "e.sock"

    @property
    def out_socket(self) -> Path:
        """The relay's end: the way out, as the Studio's security group has it."""
        return self.run / "n.sock"

    @property
    def credentials_token(self) -> Path:
        """The agent writes here the token for the attached cluster's credentials; empty while there is none."""
        return self.run / "credentials-token"

    @property
    def disk_state(self) -> Path:
        """The agent writes here how full the disk is."""
        return self.run / "disk.json"

    @property
    def backup_state(self) -> Path:
        """The agent writes here how far the files are in S3."""
        return self.run / "backup.json"

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ServerSpec:
        """Read what `to_json` (or the agent) wrote; unknown keys are left aside."""
        known = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        for name in ("files", "home", "run"):
            known[name] = Path(known[name])
        return cls(**known)
