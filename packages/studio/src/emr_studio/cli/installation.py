"""One installation on disk: its folders, its settings file, its `studio.json`."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from emr_studio.loopback import free_port
from emr_studio.settings import DEFAULT_DATA_DIR, Settings

STUDIO_JSON = "studio.json"
_FOLDERS = ("db", "keys", "logs", "store", "agent", "edge", "workspaces", "clusters")


class NotInstalled(Exception):
    """There is no studio in that data folder yet."""


def data_dir(given: Path | None) -> Path:
    """The folder to use: as given, else `EMR_STUDIO_DATA_DIR`, else `~/.emr-studio`."""
    return (given or Path(os.environ.get("EMR_STUDIO_DATA_DIR") or DEFAULT_DATA_DIR)).expanduser().resolve()


def load(given: Path | None) -> Settings:
    """Settings of an existing installation.

    Raises:
        NotInstalled: nothing was ever started there.
    """
    folder = data_dir(given)
    if not (folder / "emr-studio.toml").exists():
        raise NotInstalled(f"There is no studio in {folder}. Start one: emr-studio up --data-dir {folder}")
    return Settings(data_dir=folder)


def prepare(given: Path | None, port: int | None) -> Settings:
    """Make the folders and the settings file; `port` 0 picks a free one, None keeps what was set.

    What is chosen at the first start (port, loopback addresses) is written down, so that URLs and
    addresses stay the same afterwards.
    """
    folder = data_dir(given)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)  # a Workspace's own user passes through to its own folder; nobody lists it
    for name in _FOLDERS:
        (folder / name).mkdir(exist_ok=True)
        (folder / name).chmod(0o711 if name in {"workspaces", "clusters"} else 0o700)
    _write_toml(folder / "emr-studio.toml", port)
    settings = Settings(data_dir=folder)
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    settings.run_dir.chmod(0o711)
    return settings


def _write_toml(path: Path, port: int | None) -> None:
    known: dict[str, Any] = tomllib.loads(path.read_text()) if path.exists() else {}
    wanted = dict(known)
    if port is not None:
        wanted["port"] = port or known.get("port") or free_port()
    # Two installations on one machine must not share the instances' loopback addresses.
    wanted.setdefault("loopback_octet", 1 + secrets.randbelow(254))
    if wanted != known:
        path.write_text(tomli_w.dumps(wanted))
        path.chmod(0o600)


def is_furnished(settings: Settings) -> bool:
    """True if this very code has already made schema and sample world here, at the same addresses.

    Then `up` need not look for every part of it again.
    """
    stamp = settings.data_dir / "db" / "furnished"
    database = settings.data_dir / "db" / "studio.sqlite"
    there = database.exists() or bool(settings.database_url)
    return there and bool(read_studio_json(settings)) and stamp.exists() and stamp.read_text() == _furniture(settings)


def note_furnished(settings: Settings) -> None:
    """Write down that the sample world is whole; called at the end of making it."""
    (settings.data_dir / "db" / "furnished").write_text(_furniture(settings))


def _furniture(settings: Settings) -> str:
    """What the world was made by and for: the code of the revisions and the bootstrap, and the settings."""
    package = Path(__file__).resolve().parents[1]
    sources = [*sorted((package / "db" / "migrations").rglob("*.py")), *sorted(package.rglob("bootstrap*.py"))]
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.read_bytes())
    digest.update(settings.model_dump_json(exclude={"log_level"}).encode())
    return digest.hexdigest()


def read_studio_json(settings: Settings) -> dict[str, Any]:
    """What the last `up` wrote, empty before the first."""
    path = settings.data_dir / STUDIO_JSON
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def write_studio_json(settings: Settings, content: dict[str, Any]) -> None:
    """Write `studio.json` whole or not at all, readable by the owner only."""
    path = settings.data_dir / STUDIO_JSON
    temporary = path.with_suffix(".tmp")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=2)
    temporary.replace(path)
