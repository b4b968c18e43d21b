"""Encrypted SAML assertions (XML Encryption): AES under a key that RSA-OAEP carries.

AES-CBC says nothing of who wrote the text, and answering differently to what does not decrypt would give
it away: it is taken only inside a response whose signature was verified before. RSA 1.5 is not taken.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512, HashAlgorithm

from emr_studio.iam.federation.errors import BadProof
from emr_studio.iam.federation.xml import Element, parse

_XENC = "{http://www.w3.org/2001/04/xmlenc#}"
_XENC11 = "{http://www.w3.org/2009/xmlenc11#}"
_DS = "{http://www.w3.org/2000/09/xmldsig#}"
_GCM = {f"http://www.w3.org/2009/xmlenc11#aes{bits}-gcm": bits // 8 for bits in (128, 192, 256)}
_CBC = {f"http://www.w3.org/2001/04/xmlenc#aes{bits}-cbc": bits // 8 for bits in (128, 192, 256)}
_OAEP = ("http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p", "http://www.w3.org/2009/xmlenc11#rsa-oaep")
_HASHES: dict[str, type[HashAlgorithm]] = {
    "http://www.w3.org/2000/09/xmldsig#sha1": SHA1,
    "http://www.w3.org/2001/04/xmlenc#sha256": SHA256,
    "http://www.w3.org/2001/04/xmldsig-more#sha384": SHA384,
    "http://www.w3.org/2001/04/xmlenc#sha512": SHA512,
}
_MASKS: dict[str, type[HashAlgorithm]] = {
    f"http://www.w3.org/2009/xmlenc11#mgf1{name}": hashing
    for name, hashing in (("sha1", SHA1), ("sha256", SHA256), ("sha384", SHA384), ("sha512", SHA512))
}
_FAILED = "The assertion could not be decrypted."


def decrypt(encrypted: Element, keys: Sequence[RSAPrivateKey], *, verified: bool) -> Element:
    """The element inside an `EncryptedAssertion`.

    Args:
        verified: whether what is around it was signed, and the signature verified.

    Raises:
        BadProof: it is of a form that we do not take, or of none of the keys.
    """
    data, carriers = encrypted.findall(f"{_XENC}EncryptedData"), list(encrypted.iter(f"{_XENC}EncryptedKey"))
    if len(data) != 1 or len(carriers) != 1:
        raise BadProof(_FAILED)
    algorithm = _algorithm(data[0])
    if algorithm not in _GCM and not (verified and algorithm in _CBC):
        raise BadProof("The assertion is encrypted with an algorithm that is not supported here.")
    text = _value(data[0])
    for key in keys:
        plain = _opened(algorithm, _carried(carriers[0], key), text)
        if plain is not None:
            return parse(plain)
    raise BadProof(_FAILED)


def _algorithm(element: Element) -> str:
    method = element.find(f"{_XENC}EncryptionMethod")
    return "" if method is None else method.get("Algorithm", "")


def _value(element: Element) -> bytes:
    found = element.find(f"{_XENC}CipherData/{_XENC}CipherValue")
    try:
        return base64.b64decode("".join((found.text or "").split()) if found is not None else "", validate=True)
    except (binascii.Error, ValueError):
        raise BadProof(_FAILED) from None


def _carried(carrier: Element, key: RSAPrivateKey) -> bytes | None:
    """The AES key; None if it is for another RSA key."""
    method = carrier.find(f"{_XENC}EncryptionMethod")
    if method is None or method.get("Algorithm") not in _OAEP:
        raise BadProof("The assertion's key is encrypted with an algorithm that is not supported.")
    digest = _hash(method.find(f"{_DS}DigestMethod"), _HASHES)
    mask = _hash(method.find(f"{_XENC11}MGF"), _MASKS)
    try:
        return key.decrypt(_value(carrier), OAEP(MGF1(mask()), digest(), None))
    except ValueError:
        return None


def _hash(element: Element | None, known: dict[str, type[HashAlgorithm]]) -> type[HashAlgorithm]:
    """SHA-1 where nothing is said, as the standard has it: it protects nothing here."""
    if element is None:
        return SHA1
    found = known.get(element.get("Algorithm", ""))
    if found is None:
        raise BadProof(_FAILED)
    return found


def _opened(algorithm: str, key: bytes | None, text: bytes) -> bytes | None:
    if key is None or len(key) != (_GCM | _CBC)[algorithm] or len(text) < 32:
        return None
    if algorithm in _GCM:
        try:
            return AESGCM(key).decrypt(text[:12], text[12:], None)
        except InvalidTag:
            return None
    if len(text) % 16:
        return None
    decryptor = Cipher(algorithms.AES(key), modes.CBC(text[:16])).decryptor()
    plain = decryptor.update(text[16:]) + decryptor.finalize()
    # XML Encryption's padding: only the last byte counts.
    return plain[: -plain[-1]] if 1 <= plain[-1] <= 16 else None
