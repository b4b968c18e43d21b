"""Metadata of a SAML identity provider: who it is, and with which keys it signs."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from dataclasses import dataclass

from cryptography import x509

from emr_studio.iam.federation.errors import BadProof
from emr_studio.iam.federation.xml import Element, parse

_MD = "{urn:oasis:names:tc:SAML:2.0:metadata}"
_DS = "{http://www.w3.org/2000/09/xmldsig#}"


@dataclass(frozen=True)
class Metadata:
    """What is used of a metadata document."""

    entity_id: str
    certificates: tuple[x509.Certificate, ...]
    sign_on: tuple[tuple[str, str], ...]
    """(binding, address) of its sign-on services."""
    valid_until: dt.datetime | None


def read_metadata(document: str) -> Metadata:
    """Read a metadata document.

    Raises:
        BadProof: it is not one of an identity provider that signs and has a sign-on service.
    """
    root = parse(document.encode())
    entity = root if root.tag == f"{_MD}EntityDescriptor" else root.find(f"{_MD}EntityDescriptor")
    if entity is None or not entity.get("entityID"):
        raise BadProof("Could not parse metadata")
    provider = entity.find(f"{_MD}IDPSSODescriptor")
    if provider is None:
        raise BadProof("Could not parse metadata")
    certificates = tuple(_certificates(provider))
    services = provider.findall(f"{_MD}SingleSignOnService")
    sign_on = tuple((service.get("Binding", ""), service.get("Location", "")) for service in services)
    if not certificates or not sign_on:
        raise BadProof("Could not parse metadata")
    return Metadata(entity.get("entityID"), certificates, sign_on, _valid_until(root, entity))


def _certificates(provider: Element) -> list[x509.Certificate]:
    found = []
    for descriptor in provider.findall(f"{_MD}KeyDescriptor"):
        if descriptor.get("use", "signing") != "signing":
            continue
        for element in descriptor.iter(f"{_DS}X509Certificate"):
            try:
                der = base64.b64decode("".join((element.text or "").split()), validate=True)
                found.append(x509.load_der_x509_certificate(der))
            except (binascii.Error, ValueError):
                raise BadProof("Could not parse metadata") from None
    return found


def _valid_until(*elements: Element) -> dt.datetime | None:
    found = [moment(element.get("validUntil")) for element in elements if element.get("validUntil")]
    return min(found, default=None)


def moment(text: str) -> dt.datetime:
    """An `xs:dateTime`; one without a zone is in UTC.

    Raises:
        BadProof: if it is none.
    """
    try:
        found = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadProof(f"{text[:64]!r} is no time.") from None
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
