"""Tags of users, roles, policies and instance profiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from emr_studio.aws.context import Context
from emr_studio.aws.registry import ChecksFunction, Request, Response, operation
from emr_studio.iam.model import InstanceProfile, Role, User
from emr_studio.iam.operations import common, instance_profiles, policies, roles, users
from emr_studio.iam.sessions import merge_tags


class HasTags(Protocol):
    """A row with tags."""

    tags: Any


@dataclass(frozen=True)
class Tagged:
    """A kind of thing that has tags; `word` as in the operations' names (`TagUser`)."""

    word: str
    get: Callable[[Context, Request], HasTags]
    checks: Callable[[str, bool], ChecksFunction]


def _of(
    kind: str, named: Callable[[Context, Request], User | Role | InstanceProfile | str]
) -> Callable[[str, bool], ChecksFunction]:
    return lambda action, tags: common.entity_checks(action, kind, named, tags=tags)


_TAGGED = (
    Tagged("User", users.the_user, _of("user", users.named_user)),
    Tagged("Role", roles.the_role, _of("role", roles.named_role)),
    Tagged("InstanceProfile", instance_profiles.the_profile, _of("instance-profile", instance_profiles.named_profile)),
    Tagged("Policy", policies.the_policy, lambda action, tags: policies.arn_checks(action, tags=tags)),
)


def register(tagged: Tagged) -> None:
    """Register the three operations: tag, untag, list."""

    @operation("iam", f"Tag{tagged.word}", checks=tagged.checks(f"Tag{tagged.word}", True))
    def tag(context: Context, request: Request) -> Response:
        entity = _alone(context, tagged.get(context, request))
        entity.tags = common.check_tag_count(merge_tags(entity.tags, common.read_tags(request)))
        return None

    @operation("iam", f"Untag{tagged.word}", checks=tagged.checks(f"Untag{tagged.word}", True))
    def untag(context: Context, request: Request) -> Response:
        entity = _alone(context, tagged.get(context, request))
        gone = {str(key).lower() for key in request.get("TagKeys") or ()}
        entity.tags = {key: value for key, value in entity.tags.items() if key.lower() not in gone}
        return None

    listing = f"List{tagged.word}Tags"

    @operation("iam", listing, checks=tagged.checks(listing, False))
    def list_tags(context: Context, request: Request) -> Response:
        shapes = common.tag_list(tagged.get(context, request).tags)
        return common.page(context, request, listing, shapes, "Tags")


def _alone(context: Context, entity: HasTags) -> HasTags:
    """The entity as it is now, to be written by nobody else: its tags are one column."""
    common.one_at_a_time(context)
    context.session.refresh(entity)
    return entity


for _tagged in _TAGGED:
    register(_tagged)
