"""Tags of keys (members are called TagKey and TagValue here)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from emr_studio.keys.errors import TagProblem, TooMany

_MOST = 50
_RESERVED = "aws:"


def read_tags(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Read a request's tags.

    Raises:
        TagProblem, TooMany
    """
    found: dict[str, str] = {}
    for tag in tags or ():
        name = tag["TagKey"]
        if name.lower().startswith(_RESERVED):
            raise TagProblem("aws: prefixed tag key names are not allowed for external use.")
        if name in found:
            raise TagProblem(f"Duplicate tag keys: {name}")
        found[name] = tag["TagValue"]
    return limited(found)


def limited(tags: dict[str, str]) -> dict[str, str]:
    """Return `tags` if they are not too many.

    Raises:
        TooMany
    """
    if len(tags) > _MOST:
        raise TooMany(f"A key can have at most {_MOST} tags.")
    return tags
