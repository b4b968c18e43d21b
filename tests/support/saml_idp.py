"""A SAML identity provider with a key of its own, whose responses tests may bend before or after signing."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner

SIGN_IN = "https://signin.aws.amazon.com/saml"
ATTRIBUTES = "https://aws.amazon.com/SAML/Attributes/"
NS = {
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
}


def instant(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Says:
    """What a response says; tests change a field at a time."""

    attributes: dict[str, list[str]]
    now: dt.datetime
    issuer: str = ""
    subject: str = "ann@example.com"
    format: str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
    audience: str = SIGN_IN
    recipient: str = SIGN_IN
    destination: str = SIGN_IN
    issued: dt.datetime | None = None
    not_before: dt.datetime | None = None
    ends: dt.datetime | None = None
    session_ends: dt.datetime | None = None
    status: str = "urn:oasis:names:tc:SAML:2.0:status:Success"
    id: str = ""


@dataclass
class Idp:
    """The provider. `sign` may be `assertion`, `response`, `both` or `none`."""

    entity_id: str = "https://idp.example.com/metadata"
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    count: int = 0

    def __post_init__(self) -> None:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp")])
        start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        builder = x509.CertificateBuilder(name, name, self.key.public_key(), 1, start, start + dt.timedelta(days=400))
        # Expired: what counts is that it stands in the metadata.
        self.certificate = builder.sign(self.key, hashes.SHA256())

    def metadata(self, more: str = "") -> str:
        pem = base64.b64encode(self.certificate.public_bytes(Encoding.DER)).decode()
        return (
            f'<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{self.entity_id}"{more}>'
            '<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">'
            f'<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="{NS["ds"]}"><ds:X509Data><ds:X509Certificate>{pem}'
            "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
            '<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" '
            'Location="https://idp.example.com/sso"/></md:IDPSSODescriptor></md:EntityDescriptor>'
        )

    def says(self, now: dt.datetime, **attributes: str | list[str]) -> Says:
        """Claims with these attributes of AWS's (`Role`, `RoleSessionName`, `PrincipalTag:team`…)."""
        values = {f"{ATTRIBUTES}{name}": _list(value) for name, value in attributes.items()}
        return Says(values, now)

    def tree(self, says: Says) -> Any:
        """The response, unsigned."""
        self.count += 1
        identifier = says.id or f"_a{self.count}"
        ends = instant(says.ends or says.now + dt.timedelta(minutes=5))
        issued = instant(says.issued or says.now)
        issuer = f"<saml:Issuer>{says.issuer or self.entity_id}</saml:Issuer>"
        session = f' SessionNotOnOrAfter="{instant(says.session_ends)}"' if says.session_ends else ""
        attributes = "".join(
            f'<saml:Attribute Name="{name}">'
            + "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values)
            + "</saml:Attribute>"
            for name, values in says.attributes.items()
        )
        text = (
            f'<samlp:Response xmlns:samlp="{NS["samlp"]}" xmlns:saml="{NS["saml"]}" ID="_r{self.count}" Version="2.0" '
            f'IssueInstant="{instant(says.now)}" Destination="{says.destination}">{issuer}'
            f'<samlp:Status><samlp:StatusCode Value="{says.status}"/></samlp:Status>'
            f'<saml:Assertion ID="{identifier}" Version="2.0" IssueInstant="{issued}">{issuer}'
            f'<saml:Subject><saml:NameID Format="{says.format}">{says.subject}</saml:NameID>'
            '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">'
            f'<saml:SubjectConfirmationData NotOnOrAfter="{ends}" Recipient="{says.recipient}"/>'
            "</saml:SubjectConfirmation></saml:Subject>"
            f'<saml:Conditions NotBefore="{instant(says.not_before or says.now)}" NotOnOrAfter="{ends}">'
            f"<saml:AudienceRestriction><saml:Audience>{says.audience}</saml:Audience></saml:AudienceRestriction>"
            f'</saml:Conditions><saml:AuthnStatement AuthnInstant="{instant(says.now)}"{session}/>'
            f"<saml:AttributeStatement>{attributes}</saml:AttributeStatement></saml:Assertion></samlp:Response>"
        )
        return etree.fromstring(text)

    def sign(self, element: Any, *, weak: bool = False, comments: bool = False) -> Any:
        """A signed copy of an element, its signature a child of it."""
        signer = _Weak if weak else XMLSigner
        made = signer(
            signature_algorithm=SignatureMethod.RSA_SHA1 if weak else SignatureMethod.RSA_SHA256,
            digest_algorithm=DigestAlgorithm.SHA1 if weak else DigestAlgorithm.SHA256,
            c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
        )
        alone = etree.fromstring(etree.tostring(element, with_tail=False))
        return made.sign(alone, key=self.key, cert=[self.certificate], reference_uri=alone.get("ID"))

    def response(self, says: Says, sign: str = "assertion", *, weak: bool = False) -> Any:
        """The signed response as a tree."""
        root = self.tree(says)
        if sign in ("assertion", "both"):
            assertion = root.find("saml:Assertion", NS)
            root.replace(assertion, self.sign(assertion, weak=weak))
        return self.sign(root, weak=weak) if sign in ("response", "both") else root

    def encoded(self, says: Says, sign: str = "assertion", change: Callable[[Any], Any] | None = None) -> str:
        """What a browser would post; `change` may bend the signed tree."""
        root = self.response(says, sign)
        return encode(change(root) if change else root)


class _Weak(XMLSigner):
    """Signs with SHA-1, which the library refuses by itself."""

    def check_deprecated_methods(self) -> None:
        return None


def encode(root: Any) -> str:
    return base64.b64encode(etree.tostring(root) if not isinstance(root, bytes) else root).decode()


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
