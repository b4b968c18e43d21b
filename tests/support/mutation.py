"""Mutations for fuzzers: of JSON values (a member here, a type there) and of bytes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

LONG = 10_000
STRINGS = (
    *("", "*", "?", "a", "allow", "Allow", "Deny", "true", "2012-10-17", "2008-10-17", "s3:*", "s3:Get:x", "s*:Get"),
    *("arn:aws:s3:::b/${aws:username}/*", "${", "${}", "${a", "${a,'b'}", "${*}${?}${$}", "${${a}}", "${a, 'b", "}"),
    *("a*" * (LONG // 2), "*" * LONG, "?" * LONG, "*?" * (LONG // 2), "*" + "a" * LONG + "b", "a" * LONG, "${a}" * 500),
    *(":" * LONG, "arn:" * 500, "arn:aws:s3:::" + "*a" * 1000, "arn:aws:*:*:*:*", "arn", "arn:aws", "arn:aws:iam::1:x"),
    *("\x00", "\x7f", "\xe9", "\u0130\u017f\u212a", "\U0001f600", "\u2028", "'\"<&>", "%00", "a\tb\r\nc", " "),
    *(
        "1e999",
        "-0",
        "9" * 400,
        "1e-400",
        "NaN",
        "0x10",
        "9999-12-31T23:59:59.999Z",
        "0000-00-00",
        "2026-02-30T25:61:61Z",
    ),
    *("10.0.0.0/33", "::/129", "fe80::1%eth0", "1.2.3.4/", "QUJD=", "====", "AIDAAAAAAAAAAAAAAAAAA", "111111111111"),
    *("ForAllValues:Null", "NullIfExists", "ForAnyValue:ForAllValues:Bool", "StringEqualsIfExistsIfExists", "Not"),
)
JUNK: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    10**400,
    [],
    {},
    [[]],
    [None],
    {"": ""},
    {"AWS": "*"},
    {"a": {"b": "c"}},
)
NAMES = (
    *("Version", "Id", "Statement", "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource"),
    *("NotResource", "Condition", "StringEquals", "ForAllValues:StringLike", "NotIpAddressIfExists", "AWS", "Service"),
)
PIECES = (
    *(b"*", b"?", b"${", b"}", b'"', b"[", b"]", b"{", b":", b",", b"\x00", b"\xff", b"\xed\xa0\x80", b"\\u0000"),
    *(b"1", b"", b"[" * 5000, b'{"a":' * 5000, b"\\ud800", b"\n"),
)


def mutated(random: Random, value: Any, most: int = 4) -> Any:
    """A copy with one change or more."""
    value = [copy.deepcopy(value)]
    for _ in range(random.randint(1, most)):
        places = list(_places(value))
        container, key = random.choice(places)
        _change(random, container, key)
        if not value:
            value.append(None)
    return value[0]


def mutated_bytes(random: Random, line: bytes) -> bytes:
    """A copy with one to five pieces put in, or in place of one or two bytes."""
    made = bytearray(line)
    for _ in range(random.randrange(1, 6)):
        at = random.randrange(len(made) + 1)
        made[at : at + random.randrange(3)] = random.choice(PIECES)
    return bytes(made)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a tree."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list) and value[key]:
            yield from _places(value[key])


def _change(random: Random, container: Any, key: Any) -> None:
    what = random.randrange(8)
    if what == 0:
        del container[key]
    elif what == 1:
        container[key] = copy.deepcopy(random.choice(JUNK))
    elif what == 2:
        container[key] = [container[key], copy.deepcopy(container[key])]
    elif what == 3 and isinstance(container, dict):
        container[random.choice(NAMES)] = container.pop(key)
    elif what == 4 and isinstance(container[key], str):
        container[key] = _spoiled(random, container[key])
    elif what == 5:
        container[key] = _deep(random.choice((3, 30, 90)), container[key])
    else:
        container[key] = random.choice(STRINGS)


def _spoiled(random: Random, text: str) -> str:
    at = random.randrange(len(text) + 1)
    return text[:at] + random.choice(STRINGS)[: random.choice((1, 20, LONG))] + text[at + random.randrange(2) :]


def _deep(levels: int, value: Any) -> Any:
    for level in range(levels):
        value = [value] if level % 2 else {"Statement": value}
    return value
