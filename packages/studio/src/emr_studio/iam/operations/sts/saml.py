"""AssumeRoleWithSAML."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import re

from sqlalchemy import delete

from emr_studio.aws.context import Context, ContextValue, Preparation
from emr_studio.aws.registry import Request, Response, no_check, operation
from emr_studio.iam.federation.errors import BadProof, ExpiredProof
from emr_studio.iam.federation.saml import Assertion, Expected, read_response
from emr_studio.iam.federation.saml_metadata import read_metadata
from emr_studio.iam.model import SamlProvider, UsedAssertion
from emr_studio.iam.operations import common
from emr_studio.iam.operations.saml_providers import decryption
from emr_studio.iam.operations.sts import federated, parts
from emr_studio.iam.operations.sts.federated import SESSION_NAME, Stranger, invalid_token
from emr_studio.iam.policy import Principal
from emr_studio.iam.sealing import Sealer
from emr_studio.settings import Settings

_ACTION = "sts:AssumeRoleWithSAML"
_PROVIDER_ARN = re.compile(r"arn:[a-z\-]+:iam::\d{12}:saml-provider/[\w.-]+", re.ASCII)
_ATTRIBUTES = "https://aws.amazon.com/SAML/Attributes/"
_SIGN_IN = "https://signin.aws.amazon.com/saml"
_AUDIENCE = "urn:amazon:webservices"
_REMEMBER = dt.timedelta(minutes=10)
# Names of eduPerson and X.500 attributes that policies may ask for as `saml:NAME`; by friendly name or OID.
_PERSON = {
    "eduPersonAffiliation": "1.3.6.1.4.1.5923.1.1.1.1",
    "eduPersonNickname": "1.3.6.1.4.1.5923.1.1.1.2",
    "eduPersonOrgDN": "1.3.6.1.4.1.5923.1.1.1.3",
    "eduPersonOrgUnitDN": "1.3.6.1.4.1.5923.1.1.1.4",
    "eduPersonPrimaryAffiliation": "1.3.6.1.4.1.5923.1.1.1.5",
    "eduPersonPrincipalName": "1.3.6.1.4.1.5923.1.1.1.6",
    "eduPersonEntitlement": "1.3.6.1.4.1.5923.1.1.1.7",
    "eduPersonPrimaryOrgUnitDN": "1.3.6.1.4.1.5923.1.1.1.8",
    "eduPersonScopedAffiliation": "1.3.6.1.4.1.5923.1.1.1.9",
    "eduPersonTargetedID": "1.3.6.1.4.1.5923.1.1.1.10",
    "eduPersonAssurance": "1.3.6.1.4.1.5923.1.1.1.11",
    "cn": "2.5.4.3",
    "surname": "2.5.4.4",
    "givenName": "2.5.4.42",
    "x500UniqueIdentifier": "2.5.4.45",
    "uid": "0.9.2342.19200300.100.1.1",
    "mail": "0.9.2342.19200300.100.1.3",
}
_LISTS = ("eduPersonAffiliation", "eduPersonEntitlement", "eduPersonScopedAffiliation", "eduPersonAssurance")


def expected(settings: Settings) -> Expected:
    """AWS's own addresses, which identity providers have in their templates, and this installation's."""
    own = f"{settings.endpoint_url}/saml"
    regional = f"https://{settings.region}.signin.aws.amazon.com/saml"
    addresses = {_SIGN_IN, regional, own}
    return Expected(audiences={*addresses, _AUDIENCE}, recipients=addresses)


def _verify(preparation: Preparation, request: Request) -> Assertion:
    """The `prepare`: reads the provider, then verifies in no transaction."""
    arn, role_arn = str(request["PrincipalArn"]), federated.checked_role_arn(request)
    if not _PROVIDER_ARN.fullmatch(arn):
        raise common.validation_error(f"{arn} is invalid")
    with preparation.database.read() as session:
        provider = session.get(SamlProvider, arn)
    # A provider vouches in its own account only.
    if provider is None or provider.account_id != role_arn.split(":", 5)[4]:
        raise invalid_token("Specified provider doesn't exist")
    try:
        data = base64.b64decode("".join(str(request["SAMLAssertion"]).split()), validate=True)
    except (binascii.Error, ValueError):
        raise invalid_token("Invalid base64 SAMLResponse") from None
    try:
        metadata = read_metadata(provider.document)
        wanted, now = expected(preparation.ports[Settings]), preparation.clock.now()
        keys = decryption(preparation.ports[Sealer], provider)
        return read_response(data, metadata, wanted, now, decryption=keys)
    except BadProof as error:
        raise invalid_token(str(error)) from None
    except ExpiredProof as error:
        raise federated.expired_token(str(error)) from None


def _stranger(context: Context, request: Request, assertion: Assertion) -> Stranger:
    provider_arn = str(request["PrincipalArn"])
    tags, transitive = _tags(assertion)
    left = assertion.session_not_on_or_after
    return Stranger(
        principal=Principal("saml", provider_arn),
        provider=provider_arn,
        session_name=_session_name(assertion),
        keys=_keys(provider_arn, assertion),
        tags=tags,
        transitive=transitive,
        source_identity=_source_identity(assertion),
        longest=None if left is None else max(1, int((left - context.now()).total_seconds())),
    )


def _check_role(request: Request, assertion: Assertion) -> None:
    """The assertion must name the very pair of role and provider, in either order."""
    wanted = {str(request["RoleArn"]), str(request["PrincipalArn"])}
    pairs = assertion.attributes.get(f"{_ATTRIBUTES}Role", ())
    if not any({part.strip() for part in pair.split(",")} == wanted for pair in pairs):
        raise federated.not_authorized(_ACTION)


def _session_name(assertion: Assertion) -> str:
    values = assertion.attributes.get(f"{_ATTRIBUTES}RoleSessionName", [])
    if len(values) != 1:
        raise invalid_token("RoleSessionName is required in AuthnResponse")
    if not SESSION_NAME.fullmatch(values[0]):
        raise invalid_token("RoleSessionName in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}")
    return values[0]


def _source_identity(assertion: Assertion) -> str | None:
    values = assertion.attributes.get(f"{_ATTRIBUTES}SourceIdentity", [])
    if not values:
        return None
    if len(values) > 1 or not SESSION_NAME.fullmatch(values[0]):
        raise invalid_token("SourceIdentity in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{2,64}")
    return values[0]


def _tags(assertion: Assertion) -> tuple[dict[str, str], list[str]]:
    prefix = f"{_ATTRIBUTES}PrincipalTag:"
    given = []
    for name, values in assertion.attributes.items():
        if not name.startswith(prefix):
            continue
        if len(values) != 1:
            raise invalid_token(f"The session tag {name.removeprefix(prefix)} must have one value.")
        given.append((name.removeprefix(prefix), values[0]))
    tags = parts.checked_tags(given)
    return tags, assertion.attributes.get(f"{_ATTRIBUTES}TransitiveTagKeys", [])


def _keys(provider_arn: str, assertion: Assertion) -> dict[str, ContextValue]:
    account, name = provider_arn.split(":", 5)[4], provider_arn.rpartition("/")[2]
    keys: dict[str, ContextValue] = {
        "saml:aud": assertion.recipient,
        "saml:iss": assertion.issuer,
        "saml:sub": assertion.subject,
        "saml:sub_type": assertion.subject_type,
        "saml:namequalifier": name_qualifier(assertion.issuer, account, name),
        "saml:doc": f"{account}/{name}",
    }
    for friendly, oid in _PERSON.items():
        values = assertion.friendly.get(friendly) or assertion.attributes.get(f"urn:oid:{oid}")
        if values:
            keys[f"saml:{friendly}"] = values if friendly in _LISTS else values[0]
    return keys


def name_qualifier(issuer: str, account_id: str, provider_name: str) -> str:
    """AWS's: base64(SHA1(issuer + account + "/" + provider name))."""
    digest = hashlib.sha1(f"{issuer}{account_id}/{provider_name}".encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def _use_up(context: Context, assertion: Assertion) -> None:
    """Redeem an assertion: once, on whatever replica."""
    now = context.now()
    context.session.execute(delete(UsedAssertion).where(UsedAssertion.expires_at < now))
    digest = hashlib.sha256(f"{assertion.issuer}\0{assertion.id}".encode()).hexdigest()
    if context.session.get(UsedAssertion, digest) is not None:
        raise invalid_token("The assertion was redeemed before.")
    context.session.add(UsedAssertion(digest=digest, expires_at=assertion.not_on_or_after + _REMEMBER))
    context.session.flush()


@operation("sts", "AssumeRoleWithSAML", checks=no_check, prepare=_verify)
def assume_role_with_saml(context: Context, request: Request) -> Response:
    assertion: Assertion = context.prepared
    _check_role(request, assertion)
    stranger = _stranger(context, request, assertion)
    answer = federated.become(context, request, _ACTION, stranger)
    _use_up(context, assertion)
    return {
        **answer,
        "Subject": assertion.subject,
        "SubjectType": assertion.subject_type,
        "Issuer": assertion.issuer,
        "Audience": assertion.recipient,
        "NameQualifier": stranger.keys["saml:namequalifier"],
    }
