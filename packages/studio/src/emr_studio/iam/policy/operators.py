"""Names of condition operators: a set prefix, a base operator, `IfExists`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Quantifier = Literal["", "all", "any"]

_ORDER = ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
BASES = (
    *("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
    *("StringLike", "StringNotLike", "Bool", "BinaryEquals", "IpAddress", "NotIpAddress", "Null"),
    *("ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"),
    *(f"Numeric{name}" for name in _ORDER),
    *(f"Date{name}" for name in _ORDER),
)
_BY_LOWER = {name.lower(): name for name in BASES}
_PREFIXES: tuple[tuple[str, Quantifier], ...] = (("forallvalues:", "all"), ("foranyvalue:", "any"))


@dataclass(frozen=True, slots=True)
class Operator:
    """`base` without negation (`StringEquals` for `StringNotEquals`)."""

    base: str
    negated: bool
    if_exists: bool
    quantifier: Quantifier


@lru_cache(maxsize=512)
def read_operator(spelling: str) -> Operator | None:
    """Read an operator's name, ignoring case; None if there is no such operator."""
    rest = spelling.lower()
    quantifier: Quantifier = ""
    for prefix, meaning in _PREFIXES:
        if rest.startswith(prefix):
            quantifier, rest = meaning, rest.removeprefix(prefix)
    if_exists = rest.endswith("ifexists")
    name = _BY_LOWER.get(rest.removesuffix("ifexists"))
    if name is None or (name == "Null" and (if_exists or quantifier)):
        return None
    return Operator(name.replace("Not", ""), "Not" in name, if_exists, quantifier)
