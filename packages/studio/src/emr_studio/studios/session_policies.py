"""What a user of Identity Center may do in a Studio (spec: EMR Studio, 2.5).

Effective permissions are those of the Studio's user role that its session policies allow as well:

* the session policy that is mapped to the user herself, if there is one: it takes the place of those
  mapped to her groups;
* else the union of the session policies of all her groups that are mapped;
* without any mapping she may not enter, whatever the user role allows.

AWS leaves open what a user's own mapping does beside her groups' (19.1). It replaces them here, so that
an administrator can give one member of a group less than the group has, as well as more; with a union
there would be no way to give her less.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from emr_studio.aws.context import Caller
from emr_studio.iam import entities
from emr_studio.iam.model import Role
from emr_studio.iam.sessions import role_caller

USER, GROUP = "USER", "GROUP"
_NOTHING = '{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}'


class NotAssigned(Exception):
    """Neither the user nor any of her groups is mapped to the Studio."""


@dataclass(frozen=True)
class Mapping:
    """A session policy that is mapped to a user or group (`identity_type` USER or GROUP) in a Studio."""

    identity_type: str
    identity_id: str
    session_policy_arn: str


def applying(mappings: Iterable[Mapping], user_id: str, group_ids: Collection[str]) -> tuple[str, ...]:
    """ARNs of the session policies that apply to a user of these groups; several are a union.

    Raises:
        NotAssigned: there is none.
    """
    found = list(mappings)
    own = [one for one in found if one.identity_type == USER and one.identity_id == user_id]
    groups = [one for one in found if one.identity_type == GROUP and one.identity_id in group_ids]
    arns = tuple(dict.fromkeys(one.session_policy_arn for one in own or groups))
    if not arns:
        raise NotAssigned(user_id)
    return arns


def caller_in_studio(session: Session, user_role: Role, session_name: str, policy_arns: Collection[str]) -> Caller:
    """The user as a session of the Studio's user role, narrowed by the session policies as they are now.

    A policy that is gone allows nothing. Call this at every request: then a change acts at once.
    """
    texts = [entities.policy_text(session, user_role.account_id, arn) for arn in policy_arns]
    # Never without a session policy: that would be all that the role has.
    return role_caller(user_role, session_name, [text for text in texts if text] or [_NOTHING])
