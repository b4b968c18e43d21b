"""What wraps the keys' material: a master key in a file of this installation, or a key of another KMS.

    FileMaster       AES-256-GCM under `<keys>/master.key` (see `iam.sealing`)
    ExternalMaster   Encrypt and Decrypt of any KMS that speaks AWS's API (AWS itself, another studio)

A wrapped piece begins with a byte that says by what; so after a change of the settings the old pieces
still open, and the upkeep wraps them anew.
"""

from __future__ import annotations

from typing import Any, Protocol

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session as BotoSession

from emr_studio.iam.sealing import BadSeal, Sealer
from emr_studio.keys.errors import KeyUnavailable
from emr_studio.settings import Settings

_FILE, _EXTERNAL = b"F", b"X"
_CONFIG = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "max_attempts": 3})


class Master(Protocol):
    """One way to wrap. `purpose` binds a piece to what it is."""

    mark: bytes

    def wrap(self, data: bytes, purpose: str) -> bytes:
        """Return `data` wrapped, without the mark.

        Raises:
            KeyUnavailable: if the master cannot be reached.
        """
        ...

    def unwrap(self, wrapped: bytes, purpose: str) -> bytes:
        """Undo it.

        Raises:
            KeyUnavailable: it cannot be reached, or did not wrap this.
        """
        ...


class FileMaster:
    """The master key in a file."""

    mark = _FILE

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def wrap(self, data: bytes, purpose: str) -> bytes:
        return self._sealer.seal(data, purpose)

    def unwrap(self, wrapped: bytes, purpose: str) -> bytes:
        try:
            return self._sealer.open(wrapped, purpose)
        except BadSeal:
            # Another installation's database, or the file was replaced.
            raise KeyUnavailable from None


class ExternalMaster:
    """A key of another KMS; credentials come as for any AWS SDK (environment, profile, role)."""

    mark = _EXTERNAL

    def __init__(self, client: Any, key_id: str) -> None:
        self._client = client
        self._key_id = key_id

    def wrap(self, data: bytes, purpose: str) -> bytes:
        try:
            answer = self._client.encrypt(KeyId=self._key_id, Plaintext=data, EncryptionContext={"purpose": purpose})
        except (BotoCoreError, ClientError) as error:
            raise KeyUnavailable from error
        wrapped: bytes = answer["CiphertextBlob"]
        return wrapped

    def unwrap(self, wrapped: bytes, purpose: str) -> bytes:
        try:
            answer = self._client.decrypt(
                KeyId=self._key_id, CiphertextBlob=wrapped, EncryptionContext={"purpose": purpose}
            )
        except (BotoCoreError, ClientError) as error:
            raise KeyUnavailable from error
        data: bytes = answer["Plaintext"]
        return data


class Masters:
    """The master that wraps now, and those that may have wrapped before."""

    def __init__(self, current: Master, *others: Master) -> None:
        self._current = current
        self._by_mark = {master.mark: master for master in (current, *others)}

    @classmethod
    def of(cls, settings: Settings, sealer: Sealer) -> Masters:
        """What the settings say."""
        in_file = FileMaster(sealer)
        if not settings.external_kms_key_id:
            return cls(in_file)
        return cls(ExternalMaster(_client(settings), settings.external_kms_key_id), in_file)

    def wrap(self, data: bytes, purpose: str) -> bytes:
        """Wrap with the present master."""
        return self._current.mark + self._current.wrap(data, purpose)

    def unwrap(self, wrapped: bytes, purpose: str) -> bytes:
        """Unwrap with the one that wrapped it.

        Raises:
            KeyUnavailable: it is not there, or did not.
        """
        master = self._by_mark.get(wrapped[:1])
        if master is None:
            raise KeyUnavailable
        return master.unwrap(wrapped[1:], purpose)

    @property
    def mark(self) -> bytes:
        """That of the present master."""
        return self._current.mark


def _client(settings: Settings) -> Any:
    region = settings.external_kms_region or settings.region
    url = settings.external_kms_endpoint_url or None
    return BotoSession().create_client("kms", region_name=region, endpoint_url=url, config=_CONFIG)
