"""XML of strangers, read without harm, and signatures in it, verified so that only what was signed is seen.

The one place that knows the signature library (signxml over lxml).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography import x509
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.verifier import SignatureConfiguration, XMLVerifier

from emr_studio.iam.federation.errors import BadProof

Element = Any
_DS = "{http://www.w3.org/2000/09/xmldsig#}"
_TRANSFORMS = frozenset(
    {
        "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
        "http://www.w3.org/2001/10/xml-exc-c14n#",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    }
)
# No SHA-1, no HMAC (its key would be the certificate), no DSA.
_METHODS = frozenset(
    method for method in SignatureMethod if not method.name.startswith(("HMAC", "DSA")) and "SHA1" not in method.name
)
_DIGESTS = frozenset(digest for digest in DigestAlgorithm if "SHA1" not in digest.name)


def parse(data: bytes) -> Element:
    """Read a document. Comments and processing instructions are left out: text is then in one piece.

    Raises:
        BadProof: it is not well-formed, or has a document type (and so could have entities).
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise BadProof("The document is not well-formed XML.") from None
    info = root.getroottree().docinfo
    if info.doctype or info.internalDTD is not None or info.externalDTD is not None:
        raise BadProof("The document has a document type declaration.")
    return root


def refuse_twins(root: Element) -> None:
    """Raises BadProof if two elements have the same ID: a reference could mean either."""
    found = [element.get("ID") for element in root.iter() if element.get("ID") is not None]
    if len(found) != len(set(found)):
        raise BadProof("The document has two elements of the same ID.")


def is_signed(element: Element) -> bool:
    """True if a signature is a direct child."""
    return element.find(f"{_DS}Signature") is not None


def signed(element: Element, certificates: Sequence[x509.Certificate]) -> Element:
    """The element as it was signed, read anew from the bytes that the signature covers.

    The element is looked at alone, so nothing around it can be mistaken for it.

    Raises:
        BadProof: no signature of this very element by one of these certificates' keys.
    """
    _check_form(element)
    data = etree.tostring(element, with_tail=False)
    for certificate in certificates:
        covered = _verified(data, certificate)
        if covered is not None and (covered.tag, covered.get("ID")) == (element.tag, element.get("ID")):
            return covered
    raise BadProof("Response signature invalid")


def _check_form(element: Element) -> None:
    signatures = element.findall(f"{_DS}Signature")
    if len(signatures) != 1:
        raise BadProof("Response signature invalid")
    references = signatures[0].findall(f"{_DS}SignedInfo/{_DS}Reference")
    identifier = element.get("ID")
    if not identifier or [reference.get("URI") for reference in references] != [f"#{identifier}"]:
        raise BadProof("Response signature invalid")
    transforms = {transform.get("Algorithm") for transform in references[0].iter(f"{_DS}Transform")}
    if not transforms <= _TRANSFORMS:
        raise BadProof("Response signature invalid")


def _verified(data: bytes, certificate: x509.Certificate) -> Element | None:
    config = SignatureConfiguration(
        location="./",
        expect_references=1,
        signature_methods=_METHODS,
        digest_algorithms=_DIGESTS,
        # The key is trusted because it is in the provider's metadata; like AWS, we do not look at the
        # certificate's dates.
        verification_time=certificate.not_valid_before_utc,
    )
    try:
        result = XMLVerifier().verify(data, x509_cert=certificate, expect_config=config, id_attribute="ID")
    except Exception:  # whatever the library trips over was not verified
        return None
    return None if isinstance(result, list) or result.signed_xml is None else parse(result.signed_data)
