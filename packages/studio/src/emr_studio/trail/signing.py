"""The key that signs digest files: RSA 2048, in `<keys>/trail-digest.pem`, made at first use."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

_BITS = 2048
_VALID = dt.timedelta(days=3650)


class DigestKey:
    """The private key and what is told of its public half."""

    def __init__(self, key: rsa.RSAPrivateKey, made: dt.datetime) -> None:
        self._key = key
        self.valid_from = made - dt.timedelta(days=1)
        self.valid_until = made + _VALID

    @classmethod
    def load(cls, keys_dir: Path) -> DigestKey:
        """Read the key, or make it (mode 600)."""
        path = keys_dir / "trail-digest.pem"
        if not path.exists():
            _make(path)
        key = load_pem_private_key(path.read_bytes(), None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError(f"{path} holds no RSA key")
        return cls(key, dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC))

    @property
    def public_key(self) -> bytes:
        """PKCS #1, DER, as ListPublicKeys has it."""
        return self._key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits; a name, no proof."""
        return hashlib.md5(self.public_key, usedforsecurity=False).hexdigest()

    def sign(self, text: bytes) -> str:
        """SHA256withRSA, in hexadecimal digits."""
        return self._key.sign(text, padding.PKCS1v15(), SHA256()).hex()


def _make(path: Path) -> None:
    """Write a new key whole or not at all; the first of several processes wins."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
