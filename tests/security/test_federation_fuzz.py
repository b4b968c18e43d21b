"""Bent proofs of identity providers: whatever is changed, nobody becomes somebody else, and nothing else goes wrong."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable

import pytest
from joserfc.jwk import KeySet
from lxml import etree

from emr_studio.iam.federation.errors import BadProof, ExpiredProof
from emr_studio.iam.federation.oidc import Identity, peek, read_token
from emr_studio.iam.federation.saml import Assertion, Expected, read_response
from emr_studio.iam.federation.saml_metadata import read_metadata
from tests.support.oidc_issuer import Issuer
from tests.support.saml_idp import SIGN_IN, Idp

CASES = 600


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


def flip(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def cut(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    return data[:start] + data[start + chance.randrange(1, 40) :]


def repeat(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    end = start + chance.randrange(1, 400)
    return data[:end] + data[start:end] + data[end:]


def move(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    piece, rest = data[start : start + 60], data[:start] + data[start + 60 :]
    to = chance.randrange(len(rest) + 1)
    return rest[:to] + piece + rest[to:]


def names(data: bytes, chance: random.Random) -> bytes:
    old, new = chance.choice([(b"ann@", b"root@"), (b"_a", b"_b"), (b"saml:", b"samlp:"), (b"Assertion", b"Advice")])
    return data.replace(old, new, chance.randrange(1, 3))


def graft(data: bytes, chance: random.Random) -> bytes:
    """Move or copy an element of the tree elsewhere."""
    root = etree.fromstring(data)
    elements = list(root.iter())
    moved, to = chance.choice(elements[1:]), chance.choice(elements)
    if moved is to or moved in to.iterancestors():
        return data
    piece = moved if chance.random() < 0.5 else etree.fromstring(etree.tostring(moved))
    to.insert(chance.randrange(len(to) + 1), piece)
    return bytes(etree.tostring(root))


BENDS: list[Callable[[bytes, random.Random], bytes]] = [flip, cut, repeat, move, names]


@pytest.mark.parametrize("sign", ["assertion", "response"])
def test_saml(sign: str) -> None:
    idp, at = Idp(), now()
    says = idp.says(at, RoleSessionName="ann", Role="a,b")
    good = etree.tostring(idp.response(says, sign))
    metadata, expected = read_metadata(idp.metadata()), Expected({SIGN_IN}, {SIGN_IN})
    right = facts(read_response(good, metadata, expected, at))
    chance = random.Random(20261126)
    refused = 0
    for _ in range(CASES):
        bent = chance.choice([*BENDS, graft])(good, chance)
        try:
            assert facts(read_response(bent, metadata, expected, at)) == right
        except (BadProof, ExpiredProof):
            refused += 1
    assert refused > CASES / 2


def facts(found: Assertion) -> tuple[object, ...]:
    return (found.id, found.issuer, found.subject, found.recipient, found.not_on_or_after, found.attributes)


def test_oidc() -> None:
    issuer = Issuer("https://issuer.example.com")
    issuer.new_key("k1")
    keys = KeySet(list(issuer.keys))
    good, at = issuer.token().encode(), now()

    def read(token: str) -> Identity:
        peek(token)
        return read_token(token, keys, issuer.url, ["sts.amazonaws.com"], at)

    right = read(good.decode()).claims
    chance = random.Random(20261126)
    refused = 0
    for _ in range(CASES):
        bent = chance.choice(BENDS)(good, chance)
        try:
            assert read(bent.decode("latin-1")).claims == right
        except (BadProof, ExpiredProof):
            refused += 1
    assert refused > CASES / 2
