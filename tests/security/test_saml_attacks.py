"""Attacks on SAML responses: none may yield an assertion that the provider did not sign."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from emr_studio.iam.federation.errors import BadProof
from emr_studio.iam.federation.saml import Assertion, Expected, read_response
from emr_studio.iam.federation.saml_metadata import read_metadata
from tests.support.saml_idp import NS, SIGN_IN, Idp

NOW = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)
IDP = Idp()
METADATA = read_metadata(IDP.metadata())
EXPECTED = Expected({SIGN_IN}, {SIGN_IN})
EVIL = "root@example.com"
SAML, SAMLP, DS = (f"{{{NS[name]}}}" for name in ("saml", "samlp", "ds"))


def read(root: Any, now: dt.datetime = NOW) -> Assertion:
    data = root if isinstance(root, bytes) else etree.tostring(root)
    return read_response(data, METADATA, EXPECTED, now)


def good(sign: str = "assertion", **more: Any) -> Any:
    says = IDP.says(NOW, RoleSessionName="ann")
    for name, value in more.items():
        setattr(says, name, value)
    return IDP.response(says, sign)


def evil_twin(element: Any, identifier: str = "_evil") -> Any:
    """A copy with another subject and no signature."""
    twin = copy.deepcopy(element)
    twin.set("ID", identifier)
    for signature in twin.findall(f".//{DS}Signature"):
        signature.getparent().remove(signature)
    for name in twin.iter(f"{SAML}NameID"):
        name.text = EVIL
    return twin


def assertion_of(root: Any) -> Any:
    return root.find(f"{SAML}Assertion")


def signature_of(element: Any) -> Any:
    return element.find(f"{DS}Signature")


# The eight wrappings of Somorovsky et al., "On Breaking SAML: Be Whoever You Want to Be".


def xsw1() -> Any:
    """Signed response: the original inside the evil response's signature."""
    original = good("response")
    evil = evil_twin(original)
    signature = signature_of(original)
    evil.insert(1, signature)
    signature.append(_object(original))
    return evil


def xsw2() -> Any:
    """The original response before a detached signature."""
    original = good("response")
    evil = evil_twin(original)
    signature = signature_of(original)
    evil.append(original)
    evil.append(signature)
    return evil


def xsw3() -> Any:
    """The evil assertion before the signed one."""
    root = good()
    root.insert(root.index(assertion_of(root)), evil_twin(assertion_of(root)))
    return root


def xsw4() -> Any:
    """The signed assertion inside the evil one."""
    root = good()
    signed = assertion_of(root)
    evil = evil_twin(signed)
    root.replace(signed, evil)
    evil.append(signed)
    return root


def xsw5() -> Any:
    """The evil assertion has the signature, the original stands at the end."""
    root = good()
    signed = assertion_of(root)
    evil = evil_twin(signed)
    root.replace(signed, evil)
    evil.insert(1, signature_of(signed))
    root.append(signed)
    return root


def xsw6() -> Any:
    """The original inside the signature that the evil assertion has."""
    root = good()
    signed = assertion_of(root)
    evil = evil_twin(signed)
    root.replace(signed, evil)
    signature = signature_of(signed)
    evil.insert(1, signature)
    signature.append(_object(signed))
    return root


def xsw7() -> Any:
    """The evil assertion in an element of extensions."""
    root = good()
    extensions = etree.Element(f"{SAMLP}Extensions")
    extensions.append(evil_twin(assertion_of(root)))
    root.insert(1, extensions)
    return root


def xsw8() -> Any:
    """The evil assertion with the signature, the original in an object of it."""
    root = good()
    signed = assertion_of(root)
    signature = signature_of(signed)
    evil = evil_twin(signed, signed.get("ID"))
    evil.insert(1, signature)
    root.replace(signed, evil)
    signature.append(_object(signed))
    return root


def _object(content: Any) -> Any:
    holder = etree.Element(f"{DS}Object")
    holder.append(content)
    return holder


@pytest.mark.parametrize("attack", [xsw1, xsw2, xsw3, xsw4, xsw5, xsw6, xsw7, xsw8])
def test_signature_wrapping(attack: Callable[[], Any]) -> None:
    with pytest.raises(BadProof):
        read(attack())


def _tampered() -> Any:
    root = good()
    next(root.iter(f"{SAML}NameID")).text = EVIL
    return root


def _tampered_outside() -> Any:
    root = good("both")
    root.set("Destination", "https://evil.example.com")
    return root


def _unsigned() -> Any:
    return good("none")


def _stripped() -> Any:
    root = good()
    assertion_of(root).remove(signature_of(assertion_of(root)))
    return root


def _signed_by_another() -> Any:
    return Idp(IDP.entity_id).response(IDP.says(NOW, RoleSessionName="ann"))


def _empty_reference() -> Any:
    root = good()
    next(root.iter(f"{DS}Reference")).set("URI", "")
    return root


def _two_references() -> Any:
    root = good()
    reference = next(root.iter(f"{DS}Reference"))
    reference.addnext(copy.deepcopy(reference))
    return root


def _two_signatures() -> Any:
    root = good()
    signature = signature_of(assertion_of(root))
    signature.addnext(copy.deepcopy(signature))
    return root


def _twins() -> Any:
    root = good()
    root.set("ID", assertion_of(root).get("ID"))
    return root


def _odd_transform() -> Any:
    root = good()
    next(root.iter(f"{DS}Transform")).set("Algorithm", "http://www.w3.org/TR/1999/REC-xslt-19991116")
    return root


def _weak() -> Any:
    return IDP.response(IDP.says(NOW, RoleSessionName="ann"), weak=True)


def _certificate_as_secret() -> Any:
    root = good()
    next(root.iter(f"{DS}SignatureMethod")).set("Algorithm", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")
    return root


def _bare_assertion() -> Any:
    return assertion_of(good())


def _no_assertion() -> Any:
    root = good("response")
    root.remove(assertion_of(root))
    return root


@pytest.mark.parametrize(
    "attack",
    [
        *(_tampered, _tampered_outside, _unsigned, _stripped, _signed_by_another, _empty_reference, _two_references),
        *(_two_signatures, _twins, _odd_transform, _weak, _certificate_as_secret, _bare_assertion, _no_assertion),
    ],
)
def test_forgeries(attack: Callable[[], Any]) -> None:
    with pytest.raises(BadProof):
        read(attack())


def test_a_comment_does_not_cut_a_name() -> None:
    """`ann@example.com<!---->.evil.com` is all of it, not what stands before the comment."""
    whole = good(subject="ann@example.com<!---->.evil.com")
    assert read(whole).subject == "ann@example.com.evil.com"
    text = etree.tostring(good(subject="ann@example.com.evil.com")).replace(b"com.evil", b"com<!-- -->.evil")
    assert read(text).subject == "ann@example.com.evil.com"
    parts = etree.tostring(good(subject="ann@example.com.evil.com")).replace(b"com.evil", b"com<?x y?>.evil")
    assert read(parts).subject == "ann@example.com.evil.com"


@pytest.mark.parametrize(
    "head",
    [
        b'<!DOCTYPE r [<!ENTITY a "x">]>',
        b'<!DOCTYPE r SYSTEM "file:///etc/passwd">',
        b'<!DOCTYPE r [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x"> %p;]>',
        b'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;">]>',
    ],
)
def test_document_types_are_refused(head: bytes) -> None:
    with pytest.raises(BadProof):
        read(head + etree.tostring(good()))
    with pytest.raises(BadProof):
        read((head + etree.tostring(good())).decode().encode("utf-16"))


def test_nonsense_is_refused_and_nothing_else_happens() -> None:
    text = etree.tostring(good())
    for data in (
        b"",
        b"\0" * 9,
        b"<a/>",
        text[:-9],
        text * 2,
        b"<a>" * 5000,
        text.replace(b"saml", b"xaml"),
        b"\xff\xfe",
    ):
        with pytest.raises(BadProof):
            read(data)


@pytest.mark.parametrize("sign", ["assertion", "response", "both"])
def test_the_same_without_an_attack_is_taken(sign: str) -> None:
    found = read(good(sign))
    assert (found.subject, found.issuer) == ("ann@example.com", IDP.entity_id)
