"""The cryptography: AES-256-GCM under a key's material, in the manner of KMS's symmetric ciphertexts.

    ciphertext   1 byte form · 16 bytes key id · 4 bytes material version · 12 bytes nonce · sealed data, 16 bytes tag

The head and the encryption context are authenticated: a ciphertext opens only with the context that it
was made with. Material is unwrapped once a process and kept in memory, as an HSM would; whether a key
may be used now (enabled, not about to be deleted) is read from its row each time.
"""

from __future__ import annotations

import json
import secrets
import struct
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.orm import Session

from emr_studio.bounded import Bounded
from emr_studio.keys.errors import InvalidCiphertext, NotFound
from emr_studio.keys.master import Masters
from emr_studio.keys.model import KeyMaterial, KmsKey

MATERIAL_BYTES = 32
_FORM = 1
_HEAD = struct.Struct(">B16sI")
_NONCE_BYTES = 12
_REMEMBERED = 1000


@dataclass(frozen=True)
class Header:
    """What a ciphertext says of itself."""

    key_id: str
    version: int


class KeyRing:
    """Seals and opens with keys of the database; register it under its own type as a port. Thread-safe."""

    def __init__(self, masters: Masters) -> None:
        self._masters = masters
        self._known: Bounded[tuple[str, int], AESGCM] = Bounded(_REMEMBERED)
        self._lock = threading.Lock()

    @property
    def mark(self) -> bytes:
        """The byte with which everything begins that the present master wrapped."""
        return self._masters.mark

    def new_material(self, key_id: str, version: int) -> bytes:
        """Make material for a key; returns it wrapped."""
        return self._masters.wrap(secrets.token_bytes(MATERIAL_BYTES), _purpose(key_id, version))

    def rewrap(self, material: KeyMaterial) -> None:
        """Wrap with the present master what an earlier one wrapped."""
        purpose = _purpose(material.key_id, material.version)
        material.wrapped = self._masters.wrap(self._masters.unwrap(material.wrapped, purpose), purpose)

    def seal(self, session: Session, key: KmsKey, data: bytes, context: Mapping[str, str]) -> bytes:
        """Seal with the newest material of `key`."""
        head = _HEAD.pack(_FORM, uuid.UUID(key.id).bytes, key.current_version)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = self._cipher(session, key.id, key.current_version)
        return head + nonce + cipher.encrypt(nonce, data, head + _canonical(context))

    def open(self, session: Session, sealed: bytes, context: Mapping[str, str]) -> bytes:
        """Open what `seal` made.

        Raises:
            InvalidCiphertext: it was not made here, not with this context, or was changed.
        """
        header = read_header(sealed)
        head, nonce, rest = sealed[: _HEAD.size], sealed[_HEAD.size :][:_NONCE_BYTES], sealed[_HEAD.size :]
        try:
            cipher = self._cipher(session, header.key_id, header.version)
            return cipher.decrypt(nonce, rest[_NONCE_BYTES:], head + _canonical(context))
        except (InvalidTag, ValueError, NotFound):
            raise InvalidCiphertext from None

    def _cipher(self, session: Session, key_id: str, version: int) -> AESGCM:
        with self._lock:
            if found := self._known.get((key_id, version)):
                self._known.move_to_end((key_id, version))
                return found
        material = session.get(KeyMaterial, (key_id, version))
        if material is None:
            raise NotFound(f"Key '{key_id}' does not exist")
        cipher = AESGCM(self._masters.unwrap(material.wrapped, _purpose(key_id, version)))
        with self._lock:
            self._known[key_id, version] = cipher
        return cipher

    def forget(self, key_id: str) -> None:
        """Drop what is remembered of a key that is gone."""
        with self._lock:
            for known in [known for known in self._known if known[0] == key_id]:
                del self._known[known]


def read_header(sealed: bytes) -> Header:
    """Read by which key a ciphertext was made.

    Raises:
        InvalidCiphertext: it has not our form.
    """
    if len(sealed) < _HEAD.size + _NONCE_BYTES + 16:
        raise InvalidCiphertext
    form, key_id, version = _HEAD.unpack(sealed[: _HEAD.size])
    if form != _FORM:
        raise InvalidCiphertext
    return Header(str(uuid.UUID(bytes=key_id)), version)


def _purpose(key_id: str, version: int) -> str:
    return f"kms:{key_id}:{version}"


def _canonical(context: Mapping[str, str]) -> bytes:
    return json.dumps(sorted(context.items()), separators=(",", ":")).encode()
