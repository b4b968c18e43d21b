"""What KMS's operations have in common: pages with Limit and Marker, the metadata of a key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Select

from emr_studio.aws.context import Context
from emr_studio.aws.errors import AwsError, ClientError
from emr_studio.aws.pagination import paginate
from emr_studio.aws.registry import Request, Response
from emr_studio.keys.model import KeyState, KmsKey

T = TypeVar("T")
_PAGE = 100


def page_of(
    context: Context,
    request: Request,
    statement: Select[T],
    keys: Sequence[Any],
    *,
    member: str,
    shape: Callable[[T], Any],
    bound_to: str,
) -> Response:
    """One page of rows as KMS lists them."""
    size = request.get("Limit") or _PAGE
    rows, marker = paginate(
        context, statement, keys, size, request.get("Marker"), bound_to=bound_to, invalid=_bad_marker
    )
    answer: dict[str, Any] = {member: [shape(row) for row in rows], "Truncated": marker is not None}
    return answer if marker is None else answer | {"NextMarker": marker}


def _bad_marker(message: str) -> AwsError:
    return ClientError("InvalidMarkerException", message)


def metadata(key: KmsKey) -> dict[str, Any]:
    """The `KeyMetadata` of answers."""
    shown: dict[str, Any] = {
        "AWSAccountId": key.account_id,
        "KeyId": key.id,
        "Arn": key.arn,
        "CreationDate": key.created,
        "Enabled": key.state is KeyState.ENABLED,
        "Description": key.description,
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": key.state.value,
        "Origin": "AWS_KMS",
        "KeyManager": key.manager,
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": False,
    }
    return shown | ({"DeletionDate": key.deletion_date} if key.deletion_date else {})
