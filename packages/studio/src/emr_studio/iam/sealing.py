"""Sealing: AES-256-GCM under the installation's master key.

The key lies in `<keys>/master.key` (32 bytes, mode 600) and is made when absent. What is sealed is
bound to its purpose: a secret of one access key cannot be passed off as another's, nor a token as a
secret.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES = 32
_NONCE_BYTES = 12


class BadSeal(ValueError):
    """What was given was not sealed here for this purpose."""


class Sealer:
    """Seals and opens bytes; safe to share between threads."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._cipher = AESGCM(key)

    @classmethod
    def load(cls, keys_dir: Path) -> Sealer:
        """Read the master key; make it where there is none."""
        path = keys_dir / "master.key"
        if not path.exists():
            _make_key(path)
        return cls(path.read_bytes())

    def derive(self, purpose: str) -> bytes:
        """32 bytes that only this installation can make, always the same for a purpose."""
        return HKDF(SHA256(), _KEY_BYTES, salt=None, info=purpose.encode()).derive(self._key)

    def seal(self, data: bytes, purpose: str) -> bytes:
        """Return `data` sealed for `purpose`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Return what was sealed for `purpose`.

        Raises:
            BadSeal: if it was not.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], purpose.encode())
        except (InvalidTag, ValueError):
            raise BadSeal("not sealed here for this purpose") from None


def _make_key(path: Path) -> None:
    """Write a new key whole or not at all; the first of several processes wins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # A link fails where the name exists, so nobody replaces a key that is in use.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
