"""AssumeRoleWithWebIdentity: ID tokens of OpenID Connect providers."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from emr_studio.aws.context import Context, ContextValue, Preparation
from emr_studio.aws.errors import ClientError
from emr_studio.aws.registry import Request, Response, no_check, operation
from emr_studio.iam.federation.errors import BadProof, ExpiredProof, ProviderUnreachable
from emr_studio.iam.federation.issuers import IssuerKeys
from emr_studio.iam.federation.oidc import Identity, Peek, peek, read_token
from emr_studio.iam.model import OidcProvider
from emr_studio.iam.operations.sts import federated, parts
from emr_studio.iam.operations.sts.federated import SESSION_NAME, Stranger, invalid_token
from emr_studio.iam.policy import Principal

_ACTION = "sts:AssumeRoleWithWebIdentity"
# Claims of certain issuers that policies may ask for besides `aud`, `sub` and `amr`.
_CLAIMS = {
    "accounts.google.com": ("email", "hd"),
    "token.actions.githubusercontent.com": (
        *("actor", "actor_id", "job_workflow_ref", "repository", "repository_id", "repository_owner", "workflow"),
        *("ref", "environment", "enterprise_id"),
    ),
}


@dataclass(frozen=True)
class Vouched:
    """A verified token with its provider."""

    identity: Identity
    provider_arn: str
    url: str


def _verify(preparation: Preparation, request: Request) -> Vouched:
    """The `prepare`: the issuer may have to be asked, so no transaction is open."""
    role_arn, token = federated.checked_role_arn(request), str(request["WebIdentityToken"])
    if request.get("ProviderId"):
        raise parts.invalid_value("ProviderId is for OAuth 2.0 access tokens, which are not supported.")
    try:
        seen = peek(token)
        provider = _provider(preparation, role_arn.split(":", 5)[4], seen)
        keys = preparation.ports[IssuerKeys].find(provider.issuer, seen.key_id)
        identity = read_token(token, keys, provider.issuer, provider.client_ids, preparation.clock.now())
    except BadProof as error:
        raise invalid_token(str(error)) from None
    except ExpiredProof as error:
        raise federated.expired_token(str(error)) from None
    except ProviderUnreachable as error:
        raise ClientError("IDPCommunicationError", str(error)) from None
    return Vouched(identity, provider.arn, provider.url)


def _provider(preparation: Preparation, account_id: str, seen: Peek) -> OidcProvider:
    """The provider of the token's issuer in the role's account: nobody else's address is ever asked."""
    query = select(OidcProvider).where(OidcProvider.account_id == account_id, OidcProvider.issuer == seen.issuer)
    with preparation.database.read() as session:
        provider = session.scalars(query).first()
    if provider is None:
        raise invalid_token(f"No OpenIDConnect provider found in your account for {seen.issuer[:255]}")
    return provider


def _stranger(request: Request, vouched: Vouched) -> Stranger:
    identity = vouched.identity
    tags = parts.checked_tags(identity.tags)
    source = identity.source_identity
    if source is not None and not SESSION_NAME.fullmatch(source):
        raise federated.rejected_claim("The claim of the source identity must match [a-zA-Z_0-9+=,.@-]{2,64}")
    return Stranger(
        principal=Principal("web-identity", vouched.provider_arn),
        provider=vouched.provider_arn,
        session_name=str(request["RoleSessionName"]),
        keys=_keys(vouched),
        tags=tags,
        transitive=identity.transitive,
        source_identity=source,
    )


def _keys(vouched: Vouched) -> dict[str, ContextValue]:
    identity, url = vouched.identity, vouched.url
    keys: dict[str, ContextValue] = {
        f"{url}:aud": identity.audience,
        f"{url}:sub": identity.subject,
        f"{url}:oaud": identity.audiences[0] if len(identity.audiences) == 1 else identity.audiences,
    }
    if identity.amr:
        keys[f"{url}:amr"] = identity.amr
    for name in _CLAIMS.get(url, ()):
        value = identity.claims.get(name)
        if isinstance(value, str):
            keys[f"{url}:{name}"] = value
    return keys


@operation("sts", "AssumeRoleWithWebIdentity", checks=no_check, prepare=_verify, read_only=True)
def assume_role_with_web_identity(context: Context, request: Request) -> Response:
    vouched: Vouched = context.prepared
    answer = federated.become(context, request, _ACTION, _stranger(request, vouched))
    return {
        **answer,
        "SubjectFromWebIdentityToken": vouched.identity.subject,
        "Provider": vouched.provider_arn,
        "Audience": vouched.identity.audience,
    }
