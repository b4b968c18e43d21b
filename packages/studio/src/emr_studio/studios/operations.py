"""The Studio operations of the EMR API, AddTags and RemoveTags (emr-studio.md 1 and 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import bindparam, select

from emr_studio import ids
from emr_studio.aws.context import Check, Context, ContextValue
from emr_studio.aws.pagination import paginate
from emr_studio.aws.registry import ChecksFunction, Request, Response, action, operation
from emr_studio.edge.presign import Presigner
from emr_studio.settings import Settings
from emr_studio.studios import rules
from emr_studio.studios.model import Studio, find_studio, studio_arn, studio_url
from emr_studio.studios.service_role import check_key_access, check_location_access, pass_role, usable_role_arn
from emr_studio.tagging import (
    TagTarget,
    add_tags,
    emr_arn,
    read_tags,
    register,
    remove_tags,
    request_tag_context,
    tag_keys_context,
    tag_list,
    target_of,
)

_PAGE = 50
_TARGET = TagTarget("studio", find_studio, studio_arn)
register("es-", _TARGET)

# Members of requests and answers that are columns as they are.
_COLUMNS = {
    "Name": "name",
    "Description": "description",
    "AuthMode": "auth_mode",
    "VpcId": "vpc_id",
    "SubnetIds": "subnet_ids",
    "ServiceRole": "service_role",
    "UserRole": "user_role",
    "WorkspaceSecurityGroupId": "workspace_security_group_id",
    "EngineSecurityGroupId": "engine_security_group_id",
    "DefaultS3Location": "default_s3_location",
    "IdpAuthUrl": "idp_auth_url",
    "IdpRelayStateParameterName": "idp_relay_state_parameter_name",
    "TrustedIdentityPropagationEnabled": "trusted_identity_propagation_enabled",
    "IdcUserAssignment": "idc_user_assignment",
    "IdcInstanceArn": "idc_instance_arn",
    "EncryptionKeyArn": "encryption_key_arn",
}
_OF_ACCOUNT = select(Studio).where(Studio.account_id == bindparam("account"), Studio.region == bindparam("region"))
_LISTED_BY = (Studio.creation_time, Studio.id)
_SUMMARY = ("Name", "VpcId", "Description", "AuthMode")
_CHANGEABLE = ("Name", "Description", "SubnetIds", "DefaultS3Location", "EncryptionKeyArn")


def _on_studio(name: str) -> ChecksFunction:
    def checks(context: Context, request: Request) -> Iterable[Check]:
        return (_TARGET.check(context, name, request["StudioId"]),)

    return checks


def _on_create(context: Context, request: Request) -> Iterable[Check]:
    tags = read_tags(request.get("Tags"))
    yield Check("elasticmapreduce:CreateStudio", "*", request_tag_context(tags))
    for member in ("ServiceRole", "UserRole"):
        if role := request.get(member):
            yield pass_role(context, role)


@operation("emr", "CreateStudio", checks=_on_create)
def create_studio(context: Context, request: Request) -> Response:
    """Create a Studio; it is there at once."""
    session, settings = context.session, context.port(Settings)
    rules.check_create(session, context.account_id, context.region, request)
    studio_id = ids.studio_id()
    own_arn = emr_arn(context.region, context.account_id, f"studio/{studio_id}")
    service_role_arn = usable_role_arn(context, request["ServiceRole"], own_arn)
    check_location_access(context, service_role_arn, request["DefaultS3Location"])
    if key := request.get("EncryptionKeyArn"):
        check_key_access(context, service_role_arn, key, request["DefaultS3Location"])
    studio = Studio(
        id=studio_id,
        account_id=context.account_id,
        region=context.region,
        service_role_arn=service_role_arn,
        url=studio_url(settings, studio_id),
        creation_time=context.now(),
        tags=read_tags(request.get("Tags")),
        **{column: request[member] for member, column in _COLUMNS.items() if request.get(member) is not None},
    )
    session.add(studio)
    session.flush()
    return {"StudioId": studio.id, "Url": studio.url}


@operation("emr", "DescribeStudio", checks=_on_studio("elasticmapreduce:DescribeStudio"))
def describe_studio(context: Context, request: Request) -> Response:
    """Describe a Studio."""
    studio = find_studio(context.session, context.account_id, request["StudioId"])
    described = _members(studio, _COLUMNS)
    described |= {
        "StudioId": studio.id,
        "StudioArn": studio_arn(studio),
        "Url": studio.url,
        "CreationTime": studio.creation_time,
        "Tags": tag_list(studio.tags),
    }
    return {"Studio": described}


def _members(studio: Studio, names: Iterable[str]) -> dict[str, Any]:
    values = {name: getattr(studio, _COLUMNS[name]) for name in names}
    return {name: value for name, value in values.items() if value is not None}


@operation("emr", "ListStudios", checks=action("elasticmapreduce:ListStudios"))
def list_studios(context: Context, request: Request) -> Response:
    """List the account's Studios, 50 a page, oldest first."""
    page, marker = paginate(
        context,
        _OF_ACCOUNT,
        _LISTED_BY,
        _PAGE,
        request.get("Marker"),
        bound_to="ListStudios",
        parameters={"account": context.account_id, "region": context.region},
    )
    return _with_marker({"Studios": [_summary(studio) for studio in page]}, marker)


def _summary(studio: Studio) -> dict[str, Any]:
    own = {"StudioId": studio.id, "Url": studio.url, "CreationTime": studio.creation_time}
    return _members(studio, _SUMMARY) | own


def _with_marker(answer: dict[str, Any], marker: str | None) -> Mapping[str, Any]:
    return answer if marker is None else {**answer, "Marker": marker}


@operation("emr", "UpdateStudio", checks=_on_studio("elasticmapreduce:UpdateStudio"))
def update_studio(context: Context, request: Request) -> Response:
    """Change what may change; members that are absent stay. Subnets can only be added."""
    studio = find_studio(context.session, context.account_id, request["StudioId"])
    changes = {member: request[member] for member in _CHANGEABLE if request.get(member) is not None}
    if "Name" in changes:
        rules.check_name(changes["Name"])
    if "SubnetIds" in changes:
        rules.check_more_subnets(context.session, studio, changes["SubnetIds"])
    rules.check_encryption_key(changes.get("EncryptionKeyArn"))
    if "DefaultS3Location" in changes:
        rules.check_s3_location(changes["DefaultS3Location"])
        check_location_access(context, studio.service_role_arn, changes["DefaultS3Location"])
    key = changes.get("EncryptionKeyArn", studio.encryption_key_arn)
    if key and changes.keys() & {"EncryptionKeyArn", "DefaultS3Location"}:
        check_key_access(
            context, studio.service_role_arn, key, changes.get("DefaultS3Location", studio.default_s3_location)
        )
    for member, value in changes.items():
        setattr(studio, _COLUMNS[member], value)
    return None


@operation("emr", "DeleteStudio", checks=_on_studio("elasticmapreduce:DeleteStudio"))
def delete_studio(context: Context, request: Request) -> Response:
    """Delete a Studio. Its Workspaces and their files stay (emr-studio.md 1.5)."""
    context.session.delete(find_studio(context.session, context.account_id, request["StudioId"]))
    return None


@operation("emr", "CreateStudioPresignedUrl", checks=_on_studio("elasticmapreduce:CreateStudioPresignedUrl"))
def create_studio_presigned_url(context: Context, request: Request) -> Response:
    """Make a single-use link that signs the caller in to a Studio."""
    studio = find_studio(context.session, context.account_id, request["StudioId"])
    url, expiration = context.port(Presigner).presign_studio(context.session, context.caller, studio.id)
    return {"Url": url, "Expiration": expiration}


def _on_tagged(name: str, tag_context: Callable[[Request], Mapping[str, ContextValue]]) -> ChecksFunction:
    def checks(context: Context, request: Request) -> Iterable[Check]:
        target, resource_id = _tagged(request)
        return (target.check(context, name, resource_id, tag_context(request)),)

    return checks


def _tagged(request: Request) -> tuple[TagTarget, str]:
    return target_of(request["ResourceId"]), request["ResourceId"]


@operation(
    "emr",
    "AddTags",
    checks=_on_tagged("elasticmapreduce:AddTags", lambda r: request_tag_context(read_tags(r["Tags"]))),
)
def add_tags_operation(context: Context, request: Request) -> Response:
    """Tag a Studio, a Workspace or a cluster."""
    target, resource_id = _tagged(request)
    add_tags(target.find(context.session, context.account_id, resource_id), read_tags(request["Tags"]))
    return {}


@operation(
    "emr", "RemoveTags", checks=_on_tagged("elasticmapreduce:RemoveTags", lambda r: tag_keys_context(r["TagKeys"]))
)
def remove_tags_operation(context: Context, request: Request) -> Response:
    """Remove tags from a Studio, a Workspace or a cluster."""
    target, resource_id = _tagged(request)
    remove_tags(target.find(context.session, context.account_id, resource_id), request["TagKeys"])
    return {}
