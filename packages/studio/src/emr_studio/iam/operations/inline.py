"""Inline policies: Put, Get, List and Delete for users, groups and roles."""

from __future__ import annotations

from emr_studio.aws.context import Context
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.iam import entities, writing
from emr_studio.iam.errors import LimitExceeded, NoSuchEntity
from emr_studio.iam.model import Group, InlinePolicy, Role, User
from emr_studio.iam.operations import common
from emr_studio.iam.operations.holders import HOLDERS, Holder
from emr_studio.iam.policy import PolicyKind, size_without_white_space


def _check_quota(context: Context, holder: Holder, entity: User | Group | Role, name: str, document: str) -> None:
    common.one_at_a_time(context)
    others = [one.document for one in entities.inline_policies(context.session, entity.id) if one.name != name]
    if sum(map(size_without_white_space, [*others, document])) > holder.inline_quota:
        raise LimitExceeded(
            f"Maximum policy size of {holder.inline_quota} bytes exceeded for {holder.kind} {entity.name}"
        )


def _the_inline(context: Context, holder: Holder, entity: User | Group | Role, name: str) -> InlinePolicy:
    found = context.session.get(InlinePolicy, (entity.id, name))
    if found is None:
        raise NoSuchEntity(f"The {holder.kind} policy with name {name} cannot be found.")
    return found


def _register(holder: Holder) -> None:
    word = holder.word

    @operation("iam", f"Put{word}Policy", checks=common.entity_checks(f"Put{word}Policy", holder.kind, holder.named))
    def put_policy(context: Context, request: Request) -> Response:
        entity = holder.changeable(context, request)
        name, document = str(request["PolicyName"]), str(request["PolicyDocument"])
        common.checked_policy(document, PolicyKind.IDENTITY)
        _check_quota(context, holder, entity, name, document)
        writing.put_inline(context.session, context.account_id, entity.id, name, document)
        return None

    @operation("iam", f"Get{word}Policy", checks=common.entity_checks(f"Get{word}Policy", holder.kind, holder.named))
    def get_policy(context: Context, request: Request) -> Response:
        entity = holder.get(context, request)
        found = _the_inline(context, holder, entity, str(request["PolicyName"]))
        document = common.url_quoted(found.document)
        return {f"{word}Name": entity.name, "PolicyName": found.name, "PolicyDocument": document}

    listing = f"List{word}Policies"

    @operation("iam", listing, checks=common.entity_checks(listing, holder.kind, holder.named))
    def list_policies(context: Context, request: Request) -> Response:
        entity = holder.get(context, request)
        names = [one.name for one in entities.inline_policies(context.session, entity.id)]
        return common.page(context, request, listing, names, "PolicyNames")

    deletion = f"Delete{word}Policy"

    @operation("iam", deletion, checks=common.entity_checks(deletion, holder.kind, holder.named))
    def delete_policy(context: Context, request: Request) -> Response:
        entity = holder.changeable(context, request)
        context.session.delete(_the_inline(context, holder, entity, str(request["PolicyName"])))
        return None


for _holder in HOLDERS:
    _register(_holder)
