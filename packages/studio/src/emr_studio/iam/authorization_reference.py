"""What IAM is asked for each action: `authorization_reference.toml`, read once.

find("elasticmapreduce:StartEditor") -> Action | None
asked_by("elasticmapreduce", "CreateEditor") -> every action that the operation may ask for
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any

_FEDERATION = ("saml:*", "*:aud", "*:sub", "*:amr", "*:oaud", "aws:FederatedProvider")


@dataclass(frozen=True)
class Action:
    """An action; `resources` are forms of ARNs (`*`: none), `keys` patterns of its condition keys."""

    name: str
    resources: tuple[str, ...]
    keys: tuple[str, ...]

    def supports(self, key: str) -> bool:
        """True for a condition key of this action (global keys aside)."""
        return any(fnmatchcase(key, known) for known in self.keys)


def find(name: str) -> Action | None:
    """The action `prefix:Name`, in whatever case; None for one that is not in the reference."""
    return _actions().get(name.lower())


def all_actions() -> list[Action]:
    """All actions, by name."""
    return sorted(_actions().values(), key=lambda action: action.name)


def asked_by(prefix: str, operation: str) -> frozenset[str]:
    """The actions that an operation may ask for: its own and those that it depends on."""
    own = f"{prefix}:{operation}"
    return frozenset((own, *_read()["dependent"].get(own, ())))


@cache
def _read() -> Mapping[str, Any]:
    return tomllib.loads((files(__package__) / "authorization_reference.toml").read_text())


@cache
def _actions() -> Mapping[str, Action]:
    groups = _read()["actions"].items()
    return {
        action.name.lower(): action for prefix, entries in groups for entry in entries for action in _of(prefix, entry)
    }


def _of(prefix: str, entry: Mapping[str, Any]) -> Iterable[Action]:
    given = entry.get("resources", ())
    kinds = [name.removesuffix("?") for name in given]
    arns = [_read()["resources"][prefix][kind] for kind in kinds]
    if all(name.endswith("?") for name in given):
        arns.append("*")
    tags = _read()["resource-keys"][prefix]
    own = [key for kind in kinds for key in tags[kind if kind in tags else "all"]]
    keys = tuple(dict.fromkeys([*own, *(key for name in entry.get("keys", ()) for key in _keys(prefix, name))]))
    return (Action(f"{prefix}:{name}", tuple(arns), keys) for name in entry["names"].split())


def _keys(prefix: str, name: str) -> tuple[str, ...]:
    if name == "federation":
        return _FEDERATION
    if name != "request-tags":
        return (name,)
    own = ("elasticmapreduce:RequestTag/*",) if prefix == "elasticmapreduce" else ()
    return ("aws:RequestTag/*", *own, "aws:TagKeys")
