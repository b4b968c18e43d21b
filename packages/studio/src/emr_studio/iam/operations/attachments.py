"""Attached managed policies: Attach, Detach and ListAttached for users, groups and roles."""

from __future__ import annotations

from emr_studio.aws.context import Context
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.iam import entities, writing
from emr_studio.iam.errors import LimitExceeded, NoSuchEntity
from emr_studio.iam.model import Attachment
from emr_studio.iam.operations import common
from emr_studio.iam.operations.holders import HOLDERS, Holder

_MOST = 10


def _register(holder: Holder) -> None:
    attachment = f"Attach{holder.word}Policy"

    @operation("iam", attachment, checks=common.entity_checks(attachment, holder.kind, holder.named))
    def attach(context: Context, request: Request) -> Response:
        entity = holder.changeable(context, request)
        arn = common.attachable(context, str(request["PolicyArn"]))
        common.one_at_a_time(context)
        others = [one for one in entities.attachments(context.session, entity.id) if one.policy_arn != arn]
        if len(others) >= _MOST:
            raise LimitExceeded(f"Cannot exceed quota for PoliciesPer{holder.word}: {_MOST}")
        writing.attach(context.session, context.account_id, entity.id, arn, context.now())
        return None

    detachment = f"Detach{holder.word}Policy"

    @operation("iam", detachment, checks=common.entity_checks(detachment, holder.kind, holder.named))
    def detach(context: Context, request: Request) -> Response:
        entity = holder.changeable(context, request)
        arn = common.valid_arn(str(request["PolicyArn"]))
        row = context.session.get(Attachment, (entity.id, arn))
        if row is None:
            raise NoSuchEntity(f"Policy {arn} was not found.")
        context.session.delete(row)
        return None

    listing = f"ListAttached{holder.word}Policies"

    @operation("iam", listing, checks=common.entity_checks(listing, holder.kind, holder.named))
    def list_attached(context: Context, request: Request) -> Response:
        entity = holder.get(context, request)
        prefix = str(request.get("PathPrefix") or "/")
        arns = [one.policy_arn for one in entities.attachments(context.session, entity.id)]
        shapes = [
            {"PolicyName": arn.rsplit("/", 1)[-1], "PolicyArn": arn} for arn in arns if _path(arn).startswith(prefix)
        ]
        return common.page(context, request, listing, shapes, "AttachedPolicies")


def _path(policy_arn: str) -> str:
    """The path in a policy's ARN, slashes included."""
    return policy_arn[policy_arn.index("/") : policy_arn.rindex("/") + 1]


for _holder in HOLDERS:
    _register(_holder)
