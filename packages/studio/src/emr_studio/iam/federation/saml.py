"""SAML responses: verified against a provider's metadata, then read from what was signed and nothing else.

What XML signature wrapping needs is not there: a document has one assertion in all, no two elements of
an ID, and the signed element is verified alone and read anew from the very bytes that were signed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from emr_studio.iam.federation import xml, xml_encryption
from emr_studio.iam.federation.errors import BadProof, ExpiredProof
from emr_studio.iam.federation.saml_metadata import Metadata, moment
from emr_studio.iam.federation.xml import Element

_SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
_PROTOCOL = "{urn:oasis:names:tc:SAML:2.0:protocol}"
_SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
_BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
_FORMAT = "urn:oasis:names:tc:SAML:2.0:nameid-format:"
_SKEW = dt.timedelta(seconds=60)
_REDEEM = dt.timedelta(minutes=5)


@dataclass(frozen=True)
class Expected:
    """For whom responses must be: our names as an audience, our addresses as a recipient."""

    audiences: Collection[str]
    recipients: Collection[str]


@dataclass(frozen=True)
class Decryption:
    """Keys that assertions may be encrypted for, and whether they must be."""

    keys: Sequence[RSAPrivateKey] = ()
    required: bool = False


NO_DECRYPTION = Decryption()


@dataclass(frozen=True)
class Assertion:
    """What a verified assertion says. `attributes` are by name, `friendly` by their friendly names."""

    id: str
    issuer: str
    subject: str
    subject_type: str
    recipient: str
    not_on_or_after: dt.datetime
    session_not_on_or_after: dt.datetime | None
    attributes: dict[str, list[str]] = field(default_factory=dict)
    friendly: dict[str, list[str]] = field(default_factory=dict)


def read_response(
    data: bytes, metadata: Metadata, expected: Expected, now: dt.datetime, *, decryption: Decryption = NO_DECRYPTION
) -> Assertion:
    """Verify a response and read its assertion.

    Raises:
        BadProof: it is malformed, not signed by this provider, or not for us.
        ExpiredProof: its time is over.
    """
    root = xml.parse(data)
    if root.tag != f"{_PROTOCOL}Response":
        raise BadProof("The document is not a SAML response.")
    xml.refuse_twins(root)
    assertion = _signed_assertion(root, metadata, decryption)
    _check_status(root, expected)
    return _read(assertion, metadata, expected, now)


def _signed_assertion(root: Element, metadata: Metadata, decryption: Decryption) -> Element:
    """The one assertion, as it was signed: alone, or as a part of the response."""
    if len(_assertions(root)) != 1:
        raise BadProof("The response must have one assertion.")
    verified = xml.is_signed(root)
    whole = xml.signed(root, metadata.certificates) if verified else root
    assertion = _only(whole.findall(f"{_SAML}Assertion") + whole.findall(f"{_SAML}EncryptedAssertion"))
    if assertion.tag == f"{_SAML}EncryptedAssertion":
        assertion = _decrypted(assertion, decryption, verified)
    elif decryption.required:
        raise BadProof("The provider requires encrypted assertions.")
    if verified:
        return assertion
    if not xml.is_signed(assertion):
        raise BadProof("Response signature invalid")
    return xml.signed(assertion, metadata.certificates)


def _assertions(element: Element) -> list[Element]:
    return list(element.iter(f"{_SAML}Assertion", f"{_SAML}EncryptedAssertion"))


def _decrypted(encrypted: Element, decryption: Decryption, verified: bool) -> Element:
    if not decryption.keys:
        raise BadProof("The assertion is encrypted, and the provider has no private key here.")
    assertion = xml_encryption.decrypt(encrypted, decryption.keys, verified=verified)
    xml.refuse_twins(assertion)
    if assertion.tag != f"{_SAML}Assertion" or len(_assertions(assertion)) != 1:
        raise BadProof("The response must have one assertion.")
    return assertion


def _check_status(root: Element, expected: Expected) -> None:
    code = root.find(f"{_PROTOCOL}Status/{_PROTOCOL}StatusCode")
    if code is None or code.get("Value") != _SUCCESS:
        raise BadProof("The response does not say that the sign-in succeeded.")
    destination = root.get("Destination")
    if destination and destination not in expected.recipients:
        raise BadProof("The response is for another destination.")


def _read(assertion: Element, metadata: Metadata, expected: Expected, now: dt.datetime) -> Assertion:
    issuer = _text(assertion.find(f"{_SAML}Issuer"))
    if issuer != metadata.entity_id:
        raise BadProof("Issuer not present in specified provider")
    _check_issued(assertion, now)
    limit = _check_conditions(assertion, expected, now)
    recipient, until = _confirmed(assertion, expected, now)
    name = _only(assertion.findall(f"{_SAML}Subject/{_SAML}NameID"))
    attributes, friendly = _attributes(assertion)
    return Assertion(
        id=assertion.get("ID"),
        issuer=issuer,
        subject=_text(name),
        subject_type=name.get("Format", "").removeprefix(_FORMAT),
        recipient=recipient,
        not_on_or_after=max(until, limit) if limit else until,
        session_not_on_or_after=_session_end(assertion, now),
        attributes=attributes,
        friendly=friendly,
    )


def _check_issued(assertion: Element, now: dt.datetime) -> None:
    issued = moment(assertion.get("IssueInstant", ""))
    if issued > now + _SKEW:
        raise BadProof("The assertion was issued in the future.")
    if now - issued > _REDEEM:
        raise ExpiredProof("Token must be redeemed within 5 minutes of issuance")


def _check_conditions(assertion: Element, expected: Expected, now: dt.datetime) -> dt.datetime | None:
    conditions = _only(assertion.findall(f"{_SAML}Conditions"))
    end = _check_time(conditions, now)
    restrictions = conditions.findall(f"{_SAML}AudienceRestriction")
    if not restrictions:
        raise BadProof("Audience is required in the assertion.")
    for restriction in restrictions:
        audiences = {_text(audience) for audience in restriction.findall(f"{_SAML}Audience")}
        if not audiences & set(expected.audiences):
            raise BadProof("The assertion is for another audience.")
    return end


def _check_time(element: Element, now: dt.datetime) -> dt.datetime | None:
    """`NotBefore` and `NotOnOrAfter` of an element; returns the latter."""
    before, after = element.get("NotBefore"), element.get("NotOnOrAfter")
    if before and now < moment(before) - _SKEW:
        raise BadProof("The assertion is not valid yet.")
    if after and now >= moment(after) + _SKEW:
        raise ExpiredProof("The assertion has expired.")
    return moment(after) if after else None


def _confirmed(assertion: Element, expected: Expected, now: dt.datetime) -> tuple[str, dt.datetime]:
    """Recipient and end of the bearer's confirmation."""
    for confirmation in assertion.findall(f"{_SAML}Subject/{_SAML}SubjectConfirmation"):
        data = confirmation.find(f"{_SAML}SubjectConfirmationData")
        if confirmation.get("Method") != _BEARER or data is None:
            continue
        if data.get("Recipient") in expected.recipients and data.get("NotOnOrAfter"):
            end = _check_time(data, now)
            assert end is not None
            return data.get("Recipient"), end
    raise BadProof("The assertion is not for the bearer to present at this recipient.")


def _session_end(assertion: Element, now: dt.datetime) -> dt.datetime | None:
    statements = assertion.findall(f"{_SAML}AuthnStatement")
    if not statements:
        raise BadProof("The assertion does not say that somebody signed in.")
    ends = [moment(found) for statement in statements if (found := statement.get("SessionNotOnOrAfter"))]
    end = min(ends, default=None)
    if end is not None and end <= now:
        raise ExpiredProof("The identity provider's session has ended.")
    return end


def _attributes(assertion: Element) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    by_name: dict[str, list[str]] = {}
    friendly: dict[str, list[str]] = {}
    for attribute in assertion.findall(f"{_SAML}AttributeStatement/{_SAML}Attribute"):
        values = [_text(value) for value in attribute.findall(f"{_SAML}AttributeValue")]
        by_name.setdefault(attribute.get("Name", ""), []).extend(values)
        if attribute.get("FriendlyName"):
            friendly.setdefault(attribute.get("FriendlyName"), []).extend(values)
    return by_name, friendly


def _only(found: list[Element]) -> Element:
    if len(found) != 1:
        raise BadProof("The assertion lacks something, or has it twice.")
    return found[0]


def _text(element: Element | None) -> str:
    """All text of an element; comments were left out when it was read."""
    return "" if element is None else "".join(element.itertext()).strip()
