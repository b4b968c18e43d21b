"""The store's way to KMS: how it gets and opens the keys of objects with `aws:kms`.

The store asks KMS as any client of AWS would, through the edge, with an access key that is good for
nothing else (`keys.store_access`). Where it has a network of its own, a small process beside it takes
its connections there and makes them on the machine's network.

    store ── 127.0.0.1:4599 (its own network) ──> this process ──> 127.0.0.1:<edge> (the machine's)
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import string
import sys
from dataclasses import dataclass
from pathlib import Path

from emr_studio.settings import Settings
from emr_studio.storage.beside import fork_beside

_PORT = 4599
_ID_LETTERS = string.ascii_uppercase + "234567"


@dataclass(frozen=True)
class StoreKey:
    """The store's access key."""

    access_key_id: str
    secret_access_key: str


def store_key(settings: Settings) -> StoreKey:
    """Read the store's access key; make it where there is none."""
    path = settings.keys_dir / "store-kms.json"
    if not path.exists():
        _make(path)
    return StoreKey(**json.loads(path.read_text()))


def _make(path: Path) -> None:
    """Write it whole or not at all; the first of several processes wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = {
        "access_key_id": "AKIA" + "".join(secrets.choice(_ID_LETTERS) for _ in range(16)),
        "secret_access_key": secrets.token_urlsafe(30),
    }
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(key, file)
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


def write_config(settings: Settings, *, hidden: bool) -> Path:
    """Write the store's S3 configuration: everybody who reaches it may do all; KMS is ours."""
    key = store_key(settings)
    kms = {
        "type": "aws",
        "region": settings.region,
        "endpoint": f"http://127.0.0.1:{_PORT if hidden else settings.port}",
        "access_key": key.access_key_id,
        "secret_key": key.secret_access_key,
        # Asked each time: a key that is disabled is of no use at once.
        "cache_enabled": False,
        "request_timeout": 10,
    }
    anonymous = {"name": "anonymous", "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
    config = {"identities": [anonymous], "kms": {"default_provider": "studio", "providers": {"studio": kms}}}
    path = settings.store_dir / "s3.json"
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(config, file)
    draft.replace(path)
    return path


def start_way(settings: Settings, machine: int) -> None:
    """Fork the process; call it in the store's network. `machine`: a handle of the machine's network."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", _PORT))
    listener.listen(128)
    if not fork_beside():
        listener.close()
        return
    for handle in (listener.fileno(), machine):
        os.set_inheritable(handle, True)
    arguments = [str(value) for value in (listener.fileno(), machine, settings.port)]
    forward = str(Path(__file__).with_name("kms_forward.py"))
    os.execve(sys.executable, [sys.executable, "-I", "-S", forward, *arguments], dict(os.environ))
