"""OpenID Connect identity providers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import func, select

from emr_studio.aws.context import Context
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.iam.errors import EntityAlreadyExists, InvalidInput, LimitExceeded
from emr_studio.iam.federation.issuers import is_address
from emr_studio.iam.model import OidcProvider
from emr_studio.iam.operations import common
from emr_studio.iam.operations.by_arn import ByArn, creation_checks, with_tags

QUOTA = 100
_MOST_CLIENTS = 100
_MOST_THUMBPRINTS = 5
_THUMBPRINT = re.compile(r"[0-9a-fA-F]{40}")
_PROVIDERS = ByArn(OidcProvider, "OpenIDConnectProviderArn", "OpenIDConnect Provider not found for arn {arn}")


def _without_scheme(url: str) -> str:
    return url.partition("://")[2]


def _arn(context: Context, request: Request) -> str:
    return provider_arn(common.account_of(context).partition, context.account_id, str(request["Url"]))


def provider_arn(partition: str, account_id: str, issuer: str) -> str:
    """ARN of an issuer's provider in an account."""
    return f"arn:{partition}:iam::{account_id}:oidc-provider/{_without_scheme(issuer)}"


def _checked_thumbprints(given: Sequence[object]) -> list[str]:
    thumbprints = list(dict.fromkeys(str(text) for text in given))
    if len(thumbprints) > _MOST_THUMBPRINTS:
        raise InvalidInput(f"Thumbprint list must contain fewer than {_MOST_THUMBPRINTS} entries.")
    if not all(_THUMBPRINT.fullmatch(text) for text in thumbprints):
        raise InvalidInput("Thumbprint must be 40 hexadecimal characters.")
    return thumbprints


def _checked_clients(given: Sequence[object]) -> list[str]:
    clients = list(dict.fromkeys(str(text) for text in given))
    if len(clients) > _MOST_CLIENTS:
        raise LimitExceeded(f"Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {_MOST_CLIENTS}")
    return clients


@operation("iam", "CreateOpenIDConnectProvider", checks=creation_checks("CreateOpenIDConnectProvider", _arn))
def create_open_id_connect_provider(context: Context, request: Request) -> Response:
    issuer, arn = str(request["Url"]), _arn(context, request)
    if not is_address(issuer):
        raise InvalidInput("Invalid Open ID Connect Provider URL")
    if context.session.get(OidcProvider, arn) is not None:
        raise EntityAlreadyExists(f"Provider with url {issuer} already exists.")
    count = select(func.count()).where(OidcProvider.account_id == context.account_id)
    if (context.session.scalar(count) or 0) >= QUOTA:
        raise LimitExceeded(f"Cannot exceed quota for OpenIdConnectProvidersPerAccount: {QUOTA}")
    provider = OidcProvider(
        arn=arn,
        account_id=context.account_id,
        url=_without_scheme(issuer),
        issuer=issuer,
        client_ids=_checked_clients(request.get("ClientIDList") or ()),
        thumbprints=_checked_thumbprints(request.get("ThumbprintList") or ()),
        created_at=context.now(),
        tags=common.read_tags(request),
    )
    context.session.add(provider)
    return with_tags({"OpenIDConnectProviderArn": arn}, provider)


@operation("iam", "GetOpenIDConnectProvider", checks=_PROVIDERS.checks("GetOpenIDConnectProvider"))
def get_open_id_connect_provider(context: Context, request: Request) -> Response:
    provider = _PROVIDERS.get(context, request)
    shape = {
        "Url": provider.url,
        "ClientIDList": provider.client_ids,
        "ThumbprintList": provider.thumbprints,
        "CreateDate": provider.created_at,
    }
    return with_tags(shape, provider)


@operation("iam", "ListOpenIDConnectProviders", checks=action("iam:ListOpenIDConnectProviders"))
def list_open_id_connect_providers(context: Context, _request: Request) -> Response:
    query = select(OidcProvider.arn).where(OidcProvider.account_id == context.account_id).order_by(OidcProvider.arn)
    return {"OpenIDConnectProviderList": [{"Arn": arn} for arn in context.session.scalars(query)]}


@operation("iam", "DeleteOpenIDConnectProvider", checks=_PROVIDERS.checks("DeleteOpenIDConnectProvider"))
def delete_open_id_connect_provider(context: Context, request: Request) -> Response:
    """Deleting one that is not there is fine, as with AWS."""
    provider = _PROVIDERS.find(context, request)
    if provider is not None:
        context.session.delete(provider)
    return None


@operation("iam", "AddClientIDToOpenIDConnectProvider", checks=_PROVIDERS.checks("AddClientIDToOpenIDConnectProvider"))
def add_client_id(context: Context, request: Request) -> Response:
    provider = _PROVIDERS.get(context, request)
    provider.client_ids = _checked_clients([*provider.client_ids, request["ClientID"]])
    return None


@operation(
    "iam",
    "RemoveClientIDFromOpenIDConnectProvider",
    checks=_PROVIDERS.checks("RemoveClientIDFromOpenIDConnectProvider"),
)
def remove_client_id(context: Context, request: Request) -> Response:
    provider = _PROVIDERS.get(context, request)
    provider.client_ids = [client for client in provider.client_ids if client != request["ClientID"]]
    return None


@operation(
    "iam", "UpdateOpenIDConnectProviderThumbprint", checks=_PROVIDERS.checks("UpdateOpenIDConnectProviderThumbprint")
)
def update_thumbprint(context: Context, request: Request) -> Response:
    provider = _PROVIDERS.get(context, request)
    provider.thumbprints = _checked_thumbprints(request["ThumbprintList"])
    return None


_PROVIDERS.register_tags("OpenIDConnectProvider")
