"""The EMR API's operations on security configurations and on block public access."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from emr_studio.aws.context import Context
from emr_studio.aws.errors import InvalidRequest
from emr_studio.aws.pagination import paginate
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.clusters.security.documents import read_document
from emr_studio.clusters.security.model import (
    BlockPublicAccess,
    SecurityConfiguration,
    default_ranges,
    find_configuration,
)
from emr_studio.iam.entities import get_account
from emr_studio.settings import partition_of

_PAGE = 50
_LONGEST_NAME = 256

# Security configurations.


@operation("emr", "CreateSecurityConfiguration", checks=action("elasticmapreduce:CreateSecurityConfiguration"))
def create_security_configuration(context: Context, request: Request) -> Response:
    """Keep a document under a name that is not taken; it cannot be changed later."""
    name = request["Name"]
    if not 1 <= len(name) <= _LONGEST_NAME:
        raise InvalidRequest(f"The name of a security configuration must have 1 to {_LONGEST_NAME} characters.")
    read_document(request["SecurityConfiguration"])
    row = SecurityConfiguration(
        account_id=context.account_id,
        region=context.region,
        name=name,
        document=request["SecurityConfiguration"],
        creation_time=context.now(),
    )
    try:
        with context.session.begin_nested():
            context.session.add(row)
    except IntegrityError as error:
        raise InvalidRequest(f"Security configuration with name '{name}' already exists.") from error
    return {"Name": name, "CreationDateTime": row.creation_time}


@operation("emr", "DescribeSecurityConfiguration", checks=action("elasticmapreduce:DescribeSecurityConfiguration"))
def describe_security_configuration(context: Context, request: Request) -> Response:
    """The document as it was given."""
    row = _named(context, request)
    return {"Name": row.name, "SecurityConfiguration": row.document, "CreationDateTime": row.creation_time}


@operation("emr", "ListSecurityConfigurations", checks=action("elasticmapreduce:ListSecurityConfigurations"))
def list_security_configurations(context: Context, request: Request) -> Response:
    """Names with their times, oldest first, 50 a page."""
    own = select(SecurityConfiguration).where(
        SecurityConfiguration.account_id == context.account_id, SecurityConfiguration.region == context.region
    )
    page, marker = paginate(
        context,
        own,
        (SecurityConfiguration.creation_time, SecurityConfiguration.name),
        _PAGE,
        request.get("Marker"),
        bound_to="ListSecurityConfigurations",
    )
    found = [{"Name": row.name, "CreationDateTime": row.creation_time} for row in page]
    answer: dict[str, Any] = {"SecurityConfigurations": found}
    return answer if marker is None else {**answer, "Marker": marker}


@operation("emr", "DeleteSecurityConfiguration", checks=action("elasticmapreduce:DeleteSecurityConfiguration"))
def delete_security_configuration(context: Context, request: Request) -> Response:
    """Delete it, also while clusters use it: they keep what it said."""
    context.session.delete(_named(context, request))
    return {}


def _named(context: Context, request: Request) -> SecurityConfiguration:
    return find_configuration(context.session, context.account_id, context.region, request["Name"])


# Block public access.


@operation(
    "emr", "GetBlockPublicAccessConfiguration", checks=action("elasticmapreduce:GetBlockPublicAccessConfiguration")
)
def get_block_public_access_configuration(context: Context, _request: Request) -> Response:
    """What the account has decided for this region; if nothing, what holds for every new account."""
    row = context.session.get(BlockPublicAccess, (context.account_id, context.region))
    if row is not None:
        return _shape(row.blocked, row.permitted, row.creation_time, row.created_by)
    account = get_account(context.session, context.account_id)
    root = f"arn:{partition_of(context.region)}:iam::{context.account_id}:root"
    return _shape(True, default_ranges(), account.created_at, root)


def _shape(blocked: bool, permitted: list[Any], created: Any, by: str) -> Mapping[str, Any]:
    return {
        "BlockPublicAccessConfiguration": {
            "BlockPublicSecurityGroupRules": blocked,
            "PermittedPublicSecurityGroupRuleRanges": permitted,
        },
        "BlockPublicAccessConfigurationMetadata": {"CreationDateTime": created, "CreatedByArn": by},
    }


@operation(
    "emr", "PutBlockPublicAccessConfiguration", checks=action("elasticmapreduce:PutBlockPublicAccessConfiguration")
)
def put_block_public_access_configuration(context: Context, request: Request) -> Response:
    """Decide for this account and region; it holds for clusters that are created from now on."""
    given = request["BlockPublicAccessConfiguration"]
    row = BlockPublicAccess(
        account_id=context.account_id,
        region=context.region,
        blocked=given["BlockPublicSecurityGroupRules"],
        permitted=[_range(one) for one in given.get("PermittedPublicSecurityGroupRuleRanges") or ()],
        creation_time=context.now(),
        created_by=context.caller.arn,
    )
    context.session.merge(row)
    return {}


def _range(given: Mapping[str, int]) -> dict[str, int]:
    least, most = given["MinRange"], given.get("MaxRange", given["MinRange"])
    if most < least:
        raise InvalidRequest(f"PermittedPublicSecurityGroupRuleRanges: MinRange {least} is above MaxRange {most}.")
    return {"MinRange": least, "MaxRange": most}
