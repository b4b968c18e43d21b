"""Encrypt, Decrypt, ReEncrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext, GenerateRandom."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from emr_studio.aws.context import Check, Context, ContextValue
from emr_studio.aws.errors import AccessDenied, ClientError, ValidationError
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.keys.authorization import encryption_context_keys, key_check, on_key, requested
from emr_studio.keys.errors import IncorrectKey
from emr_studio.keys.finding import FoundKey, usable
from emr_studio.keys.model import KmsKey
from emr_studio.keys.ring import KeyRing, read_header

_ALGORITHM = "SYMMETRIC_DEFAULT"
_BYTES = {"AES_128": 16, "AES_256": 32}
_UNKNOWN_KEY = (
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are "
    "not allowed to access."
)


def _pairs(request: Request, member: str = "EncryptionContext") -> Mapping[str, str]:
    return request.get(member) or {}


def _context_keys(request: Request) -> Mapping[str, ContextValue]:
    return encryption_context_keys(_pairs(request))


def _check_algorithm(request: Request, *members: str) -> None:
    for member in members or ("EncryptionAlgorithm",):
        if request.get(member) not in (None, _ALGORITHM):
            raise ClientError("InvalidKeyUsageException", f"{request[member]} is not a valid algorithm for this key.")
    if request.get("Recipient"):
        raise ClientError("UnsupportedOperationException", "Nitro Enclaves are not known here.")


def _dry_run(request: Request) -> None:
    if request.get("DryRun"):
        raise ClientError("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")


@operation("kms", "Encrypt", checks=on_key("Encrypt", aliases=True, more=_context_keys), read_only=True)
def encrypt(context: Context, request: Request) -> Response:
    """Seal at most 4096 bytes."""
    _check_algorithm(request)
    key = usable(requested(context, request["KeyId"], aliases=True).key)
    _dry_run(request)
    sealed = context.port(KeyRing).seal(context.session, key, request["Plaintext"], _pairs(request))
    return {"CiphertextBlob": sealed, "KeyId": key.arn, "EncryptionAlgorithm": _ALGORITHM}


def _sealing_key(context: Context, request: Request, member: str = "KeyId") -> FoundKey:
    """The key that made a ciphertext, which must be the one that the request names, if it names one.

    Raises:
        InvalidCiphertext, IncorrectKey, AccessDenied
    """
    sealed = request.get("CiphertextBlob")
    if not sealed:
        raise ValidationError("1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy "
                              "constraint: Member must not be null")  # fmt: skip
    found = requested(context, request[member], aliases=True) if request.get(member) else None
    key = context.session.get(KmsKey, read_header(sealed).key_id)
    if key is None or key.region != context.region:
        raise AccessDenied(_UNKNOWN_KEY)
    if found is not None and found.key.id != key.id:
        raise IncorrectKey
    return found or FoundKey(key)


def _on_decrypt(context: Context, request: Request) -> Iterable[Check]:
    found = _sealing_key(context, request)
    yield key_check(context.session, context.account_id, found, "Decrypt", _context_keys(request))


@operation("kms", "Decrypt", checks=_on_decrypt, read_only=True)
def decrypt(context: Context, request: Request) -> Response:
    """Open what Encrypt, ReEncrypt or GenerateDataKey sealed."""
    _check_algorithm(request)
    key = usable(_sealing_key(context, request).key)
    plaintext = context.port(KeyRing).open(context.session, request["CiphertextBlob"], _pairs(request))
    _dry_run(request)
    return {"KeyId": key.arn, "Plaintext": plaintext, "EncryptionAlgorithm": _ALGORITHM}


def _on_reencrypt(context: Context, request: Request) -> Iterable[Check]:
    source = _sealing_key(context, request, "SourceKeyId")
    target = requested(context, request["DestinationKeyId"], aliases=True)
    same: dict[str, ContextValue] = {"kms:ReEncryptOnSameKey": str(source.key.id == target.key.id).lower()}
    for found, name, member in (
        (source, "ReEncryptFrom", "SourceEncryptionContext"),
        (target, "ReEncryptTo", "DestinationEncryptionContext"),
    ):
        keys = {**encryption_context_keys(_pairs(request, member)), **same}
        yield key_check(context.session, context.account_id, found, name, keys)


@operation("kms", "ReEncrypt", checks=_on_reencrypt, read_only=True)
def reencrypt(context: Context, request: Request) -> Response:
    """Seal anew, with another key or context; the plaintext stays here."""
    _check_algorithm(request, "SourceEncryptionAlgorithm", "DestinationEncryptionAlgorithm")
    ring = context.port(KeyRing)
    source = usable(_sealing_key(context, request, "SourceKeyId").key)
    target = usable(requested(context, request["DestinationKeyId"], aliases=True).key)
    data = ring.open(context.session, request["CiphertextBlob"], _pairs(request, "SourceEncryptionContext"))
    _dry_run(request)
    return {
        "CiphertextBlob": ring.seal(context.session, target, data, _pairs(request, "DestinationEncryptionContext")),
        "SourceKeyId": source.arn,
        "KeyId": target.arn,
        "SourceEncryptionAlgorithm": _ALGORITHM,
        "DestinationEncryptionAlgorithm": _ALGORITHM,
    }


def _data_key(context: Context, request: Request) -> tuple[dict[str, Any], bytes]:
    spec, length = request.get("KeySpec"), request.get("NumberOfBytes")
    if (spec is None) == (length is None):
        raise ValidationError("Please specify either number of bytes or key spec.")
    _check_algorithm(request)
    key = usable(requested(context, request["KeyId"], aliases=True).key)
    _dry_run(request)
    data = secrets.token_bytes(_BYTES[spec] if spec else length)
    sealed = context.port(KeyRing).seal(context.session, key, data, _pairs(request))
    return {"CiphertextBlob": sealed, "KeyId": key.arn}, data


@operation("kms", "GenerateDataKey", checks=on_key("GenerateDataKey", aliases=True, more=_context_keys), read_only=True)
def generate_data_key(context: Context, request: Request) -> Response:
    """A new key for data, in the clear and sealed."""
    answer, data = _data_key(context, request)
    return answer | {"Plaintext": data}


@operation(
    "kms",
    "GenerateDataKeyWithoutPlaintext",
    checks=on_key("GenerateDataKeyWithoutPlaintext", aliases=True, more=_context_keys),
    read_only=True,
)
def generate_data_key_without_plaintext(context: Context, request: Request) -> Response:
    """A new key for data, sealed only."""
    return _data_key(context, request)[0]


@operation("kms", "GenerateRandom", checks=action("kms:GenerateRandom"), read_only=True)
def generate_random(_context: Context, request: Request) -> Response:
    """Random bytes."""
    length = request.get("NumberOfBytes")
    if length is None:
        raise ValidationError("Please specify number of bytes.")
    return {"Plaintext": secrets.token_bytes(length)}
