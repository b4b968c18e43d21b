"""SAML identity providers."""

from __future__ import annotations

import base64
import datetime as dt
import secrets
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy import func, select

from emr_studio import ids
from emr_studio.aws.context import Context
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.iam.errors import EntityAlreadyExists, InvalidInput, LimitExceeded, NoSuchEntity
from emr_studio.iam.federation.errors import BadProof
from emr_studio.iam.federation.saml import Decryption
from emr_studio.iam.federation.saml_metadata import read_metadata
from emr_studio.iam.model import SamlProvider
from emr_studio.iam.operations import common
from emr_studio.iam.operations.by_arn import ByArn, creation_checks, with_tags
from emr_studio.iam.sealing import Sealer

QUOTA = 100
_MOST_KEYS = 2
_CENTURY = dt.timedelta(days=36_525)
_PROVIDERS = ByArn(SamlProvider, "SAMLProviderArn", "Manifest not found for arn {arn}")


def key_purpose(key_id: str) -> str:
    """What a provider's private key is sealed for."""
    return f"iam:saml-private-key:{key_id}"


def decryption(sealer: Sealer, provider: SamlProvider) -> Decryption:
    """The provider's keys, opened."""
    keys = []
    for kept in provider.private_keys:
        key = load_pem_private_key(sealer.open(base64.b64decode(kept["sealed"]), key_purpose(kept["id"])), None)
        assert isinstance(key, RSAPrivateKey)
        keys.append(key)
    return Decryption(keys, required=provider.encryption_mode == "Required")


def _arn(context: Context, request: Request) -> str:
    return common.entity_arn(context, "saml-provider", str(request["Name"]))


@operation("iam", "CreateSAMLProvider", checks=creation_checks("CreateSAMLProvider", _arn))
def create_saml_provider(context: Context, request: Request) -> Response:
    arn, document = _arn(context, request), str(request["SAMLMetadataDocument"])
    if context.session.get(SamlProvider, arn) is not None:
        raise EntityAlreadyExists(f"Provider with name {request['Name']} already exists.")
    count = select(func.count()).where(SamlProvider.account_id == context.account_id)
    if (context.session.scalar(count) or 0) >= QUOTA:
        raise LimitExceeded(f"Cannot exceed quota for SAMLProvidersPerAccount: {QUOTA}")
    provider = SamlProvider(
        arn=arn,
        account_id=context.account_id,
        uuid=ids.iam_id("ASAM"),
        document=document,
        valid_until=_valid_until(context, document),
        created_at=context.now(),
        tags=common.read_tags(request),
        encryption_mode=_mode(request),
        private_keys=[_new_key(context, request)] if "AddPrivateKey" in request else [],
    )
    _check_keys(provider)
    context.session.add(provider)
    return with_tags({"SAMLProviderArn": arn}, provider)


@operation("iam", "UpdateSAMLProvider", checks=_PROVIDERS.checks("UpdateSAMLProvider"))
def update_saml_provider(context: Context, request: Request) -> Response:
    provider = _PROVIDERS.get(context, request)
    if "SAMLMetadataDocument" in request:
        provider.document = str(request["SAMLMetadataDocument"])
        provider.valid_until = _valid_until(context, provider.document)
    provider.encryption_mode = _mode(request) or provider.encryption_mode
    if key_id := request.get("RemovePrivateKey"):
        if all(key["id"] != key_id for key in provider.private_keys):
            raise NoSuchEntity(f"Private key {key_id} not found.")
        provider.private_keys = [key for key in provider.private_keys if key["id"] != key_id]
    if "AddPrivateKey" in request:
        provider.private_keys = [*provider.private_keys, _new_key(context, request)]
    _check_keys(provider)
    return {"SAMLProviderArn": provider.arn}


@operation("iam", "GetSAMLProvider", checks=_PROVIDERS.checks("GetSAMLProvider"))
def get_saml_provider(context: Context, request: Request) -> Response:
    provider = _PROVIDERS.get(context, request)
    shape: dict[str, Any] = {
        "SAMLProviderUUID": provider.uuid,
        "SAMLMetadataDocument": provider.document,
        "CreateDate": provider.created_at,
        "ValidUntil": provider.valid_until,
    }
    if provider.encryption_mode:
        shape["AssertionEncryptionMode"] = provider.encryption_mode
    if provider.private_keys:
        keys = [
            {"KeyId": key["id"], "Timestamp": dt.datetime.fromisoformat(key["added"])} for key in provider.private_keys
        ]
        shape["PrivateKeyList"] = keys
    return with_tags(shape, provider)


@operation("iam", "DeleteSAMLProvider", checks=_PROVIDERS.checks("DeleteSAMLProvider"))
def delete_saml_provider(context: Context, request: Request) -> Response:
    context.session.delete(_PROVIDERS.get(context, request))
    return None


@operation("iam", "ListSAMLProviders", checks=action("iam:ListSAMLProviders"))
def list_saml_providers(context: Context, _request: Request) -> Response:
    query = select(SamlProvider).where(SamlProvider.account_id == context.account_id).order_by(SamlProvider.arn)
    shapes = [
        {"Arn": provider.arn, "ValidUntil": provider.valid_until, "CreateDate": provider.created_at}
        for provider in context.session.scalars(query)
    ]
    return {"SAMLProviderList": shapes}


def _valid_until(context: Context, document: str) -> dt.datetime:
    """When the metadata ends by their own word; AWS says a century where they do not."""
    try:
        return read_metadata(document).valid_until or context.now() + _CENTURY
    except BadProof:
        raise InvalidInput("Could not parse metadata") from None


def _mode(request: Request) -> str | None:
    mode = request.get("AssertionEncryptionMode")
    return str(mode) if mode else None


def _new_key(context: Context, request: Request) -> dict[str, str]:
    pem = str(request["AddPrivateKey"]).encode()
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        raise InvalidInput("The private key cannot be read: it must be RSA, in PEM, without a password.") from None
    if not isinstance(key, RSAPrivateKey):
        raise InvalidInput("The private key must be an RSA key.")
    key_id = base64.b32encode(secrets.token_bytes(20)).decode()
    sealed = context.port(Sealer).seal(pem, key_purpose(key_id))
    return {"id": key_id, "added": context.now().isoformat(), "sealed": base64.b64encode(sealed).decode()}


def _check_keys(provider: SamlProvider) -> None:
    if len(provider.private_keys) > _MOST_KEYS:
        raise LimitExceeded(f"Cannot exceed quota for PrivateKeysPerSAMLProvider: {_MOST_KEYS}")
    if provider.encryption_mode == "Required" and not provider.private_keys:
        raise InvalidInput("A private key is needed to require encrypted assertions.")


_PROVIDERS.register_tags("SAMLProvider")
