"""Tags of secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from emr_studio.secrets.errors import BadParameter

_MOST = 50


def read_tags(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Read a request's tags.

    Raises:
        BadParameter
    """
    found: dict[str, str] = {}
    for tag in tags or ():
        name = tag.get("Key", "")
        if not name or name.lower().startswith("aws:"):
            raise BadParameter(f"Tag key '{name}' is not valid: keys must not be empty nor start with aws:.")
        if name in found:
            raise BadParameter(f"Tag key '{name}' is given more than once.")
        found[name] = tag.get("Value", "")
    return limited(found)


def limited(tags: dict[str, str]) -> dict[str, str]:
    """Return `tags` if they are not too many.

    Raises:
        BadParameter
    """
    if len(tags) > _MOST:
        raise BadParameter(f"A secret can have at most {_MOST} tags.")
    return tags
