"""Users, groups and roles as what policies hang on: one description of each, for the operations alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from emr_studio.aws.context import Context
from emr_studio.aws.registry import Request
from emr_studio.iam.model import Group, Role, User
from emr_studio.iam.operations import groups, roles, users


@dataclass(frozen=True)
class Holder:
    """A kind of entity. `inline_quota` in characters without white space."""

    word: str
    kind: str
    inline_quota: int
    named: Callable[[Context, Request], User | Group | Role | str]
    get: Callable[[Context, Request], User | Group | Role]
    changeable: Callable[[Context, Request], User | Group | Role]
    """As `get`, but refuses service-linked roles."""


HOLDERS = (
    Holder("User", "user", 2048, users.named_user, users.the_user, users.the_user),
    Holder("Group", "group", 5120, groups.named_group, groups.the_group, groups.the_group),
    Holder("Role", "role", 10240, roles.named_role, roles.the_role, roles.changeable_role),
)
