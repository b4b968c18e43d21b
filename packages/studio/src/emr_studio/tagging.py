"""Tags: their rules, the condition keys that they give to policies, and who has them.

AddTags and RemoveTags find the resource by the prefix of its id. A domain says what it has:

    register("es-", TagTarget("studio", find_studio, studio_arn))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.orm import Session

from emr_studio.aws.context import Check, Context, ContextValue
from emr_studio.aws.errors import InvalidRequest
from emr_studio.settings import partition_of

_MAX_TAGS = 50
_MAX_KEY = 128
_MAX_VALUE = 256


class Taggable(Protocol):
    """A row with tags; the dictionary is replaced, never changed in place."""

    tags: Any


@dataclass(frozen=True)
class TagTarget:
    """What AddTags and RemoveTags need of a kind of resource.

    `kind` stands in its ARN (`studio`). `find(session, account_id, resource_id)` returns the row or
    raises the domain's own error; `arn(row)` names it to IAM.
    """

    kind: str
    find: Callable[[Session, str, str], Any]
    arn: Callable[[Any], str]

    def check(
        self, context: Context, action: str, resource_id: str, more: Mapping[str, ContextValue] | None = None
    ) -> Check:
        """The question whether the caller may do `action` on the resource, with its tags and `more` keys.

        One that does not exist is asked about under the ARN that it would have, so that only those
        who may use it learn that it is missing.
        """
        try:
            row = self.find(context.session, context.account_id, resource_id)
        except InvalidRequest:
            arn = emr_arn(context.region, context.account_id, f"{self.kind}/{resource_id}")
            return Check(action, arn, more or {})
        return Check(action, self.arn(row), {**resource_tag_context(row.tags), **(more or {})})


_targets: dict[str, TagTarget] = {}


def register(prefix: str, target: TagTarget) -> None:
    """Let ids that begin with `prefix` (`es-`, `e-`, `j-`) be tagged."""
    _targets[prefix] = target


def target_of(resource_id: str) -> TagTarget:
    """Return who has resources with such ids.

    Raises:
        InvalidRequest: nobody has.
    """
    # The longest prefix wins; `es-` and `e-` cannot be confused, the dash is part of the prefix.
    for prefix in sorted(_targets, key=len, reverse=True):
        if resource_id.startswith(prefix):
            return _targets[prefix]
    raise InvalidRequest(f"Resource id '{resource_id}' is not valid.")


def read_tags(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Read a `TagList` of a request; an absent value is an empty one.

    Raises:
        InvalidRequest: for a key or value that breaks a rule, or one key given twice.
    """
    found: dict[str, str] = {}
    for tag in tags or ():
        key, value = tag.get("Key", ""), tag.get("Value", "")
        _check_key(key)
        if len(value) > _MAX_VALUE:
            raise InvalidRequest(f"The value of tag '{key}' is longer than {_MAX_VALUE} characters.")
        if key in found:
            raise InvalidRequest(f"Tag key '{key}' is given more than once.")
        found[key] = value
    _check_count(found)
    return found


def _check_key(key: str) -> None:
    if not 1 <= len(key) <= _MAX_KEY:
        raise InvalidRequest(f"A tag key must have 1 to {_MAX_KEY} characters.")
    if key.lower().startswith("aws:"):
        raise InvalidRequest(f"Tag key '{key}' is not valid: keys that start with 'aws:' are reserved.")
    if any(ord(character) < 32 for character in key):
        raise InvalidRequest("A tag key must not contain control characters.")


def _check_count(tags: Mapping[str, str]) -> None:
    if len(tags) > _MAX_TAGS:
        raise InvalidRequest(f"A resource can have at most {_MAX_TAGS} tags.")


def add_tags(resource: Taggable, tags: Mapping[str, str]) -> None:
    """Set tags, replacing values of keys that are there.

    Raises:
        InvalidRequest: if there would be more than 50.
    """
    merged = {**resource.tags, **tags}
    _check_count(merged)
    resource.tags = merged


def remove_tags(resource: Taggable, keys: Iterable[str]) -> None:
    """Remove tags; keys that are not there are ignored."""
    gone = set(keys)
    resource.tags = {key: value for key, value in resource.tags.items() if key not in gone}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """The `TagList` of an answer."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def resource_tag_context(tags: Mapping[str, str]) -> dict[str, ContextValue]:
    """Condition keys of a resource's own tags: `aws:ResourceTag/k`, `elasticmapreduce:ResourceTag/k`."""
    return _with_prefixes("ResourceTag", tags)


def request_tag_context(tags: Mapping[str, str]) -> dict[str, ContextValue]:
    """Condition keys of tags in a request: `…:RequestTag/k` with both prefixes and `aws:TagKeys`."""
    context = _with_prefixes("RequestTag", tags)
    return {**context, **tag_keys_context(tags)}


def tag_keys_context(keys: Iterable[str]) -> dict[str, ContextValue]:
    """`aws:TagKeys`; absent where the request names no tag, as `Null` conditions expect."""
    names = list(keys)
    return {"aws:TagKeys": names} if names else {}


def _with_prefixes(name: str, tags: Mapping[str, str]) -> dict[str, ContextValue]:
    return {f"{p}:{name}/{key}": value for key, value in tags.items() for p in ("aws", "elasticmapreduce")}


def emr_arn(region: str, account_id: str, resource: str) -> str:
    """`arn:aws:elasticmapreduce:<region>:<account>:<resource>`."""
    return f"arn:{partition_of(region)}:elasticmapreduce:{region}:{account_id}:{resource}"
