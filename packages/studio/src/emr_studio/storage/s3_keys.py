"""What S3 needs of KMS for objects with `aws:kms`: a port, filled by the composition (`keys.objects`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from emr_studio.aws.context import Context
from emr_studio.aws.errors import ClientError
from emr_studio.storage.s3_request import S3Request

SSE = "x-amz-server-side-encryption"
KMS = "aws:kms"


class ObjectKeys(Protocol):
    """Asks for the keys of objects."""

    def replaced(self, context: Context, request: S3Request, headers: Mapping[str, str]) -> dict[str, str]:
        """Ask whether the caller may use the keys that an (otherwise permitted) request needs.

        Returns headers that the store is to get in place of the client's.

        Raises:
            AccessDenied: she may not use a key.
            ClientError: `KMS.DisabledException` and so on; NotImplemented.
        """
        ...

    def takes_time(self, context: Context, request: S3Request, headers: Mapping[str, str]) -> bool:
        """True if `replaced` must write, or ask the store or a KMS."""
        ...


class NoObjectKeys:
    """There is no KMS here."""

    def takes_time(self, context: Context, request: S3Request, headers: Mapping[str, str]) -> bool:
        return False

    def replaced(self, context: Context, request: S3Request, headers: Mapping[str, str]) -> dict[str, str]:
        if headers.get(SSE) == KMS:
            raise ClientError("NotImplemented", "Encryption with KMS keys is not implemented by this store.", 501)
        return {}
