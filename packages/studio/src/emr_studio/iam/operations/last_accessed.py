"""Service last accessed: which services an entity may use, when it did, and which policies let it."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, select

from emr_studio.aws.context import Check, Context
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.iam import simulation, uses
from emr_studio.iam.errors import InvalidInput, NoSuchEntity
from emr_studio.iam.model import Attachment, Group, GroupMember, Role, Task, User
from emr_studio.iam.operations import common
from emr_studio.iam.operations.simulator import entity_of, the_entity
from emr_studio.iam.policy import PolicyKind, parse
from emr_studio.iam.policy.glob import match_tokens, tokenize
from emr_studio.iam.simulation import Source

_KIND = "access"
_KEPT = dt.timedelta(hours=24)
_SERVICES = {
    "cloudformation": "AWS CloudFormation",
    "cloudtrail": "AWS CloudTrail",
    "ec2": "Amazon EC2",
    "elasticmapreduce": "Amazon Elastic MapReduce",
    "emr-containers": "Amazon EMR on EKS (EMR Containers)",
    "iam": "AWS Identity and Access Management",
    "identitystore": "AWS Identity Store",
    "kms": "AWS Key Management Service",
    "s3": "Amazon S3",
    "secretsmanager": "AWS Secrets Manager",
    "servicecatalog": "AWS Service Catalog",
    "sso": "AWS SSO",
    "sts": "AWS Security Token Service",
    "tag": "Amazon Resource Group Tagging API",
}
"""What can be accessed here, by namespace."""


def _is_granted(source: Source, namespace: str) -> bool:
    """True if an Allow of the policy covers something of the service."""
    return any(
        statement.allow and _covers(statement.actions, statement.not_actions, namespace)
        for statement in parse(source.text, PolicyKind.IDENTITY).statements
    )


def _covers(actions: Iterable[str], negated: bool, namespace: str) -> bool:
    if negated:
        return not any(one == "*" or one.lower() == f"{namespace}:*" for one in actions)
    vendors = (one.partition(":")[0].lower() for one in actions)
    return any(match_tokens(tokenize(vendor), namespace) for vendor in vendors)


# Whose accesses


def _entities(context: Context, arn: str) -> tuple[list[User | Role], list[Source]]:
    """Whose uses count, and the policies that grant: of a user, role, group, or of all who have a policy."""
    session = context.session
    if ":policy/" in arn:
        source = simulation.managed_source(session, context.account_id, common.valid_arn(arn))
        if source is None:
            raise NoSuchEntity(f"Policy {arn} was not found.")
        holders = select(Attachment.entity_id).where(
            Attachment.policy_arn == arn, Attachment.account_id == context.account_id
        )
        return _with_ids(context, set(session.scalars(holders))), [source]
    entity = the_entity(context, arn)
    sources = simulation.sources_of(session, entity)
    return _with_ids(context, {entity.id}) if isinstance(entity, Group) else [entity], sources


def _with_ids(context: Context, wanted: set[str]) -> list[User | Role]:
    """Users and roles of these ids; of groups, their members."""
    session = context.session
    members = select(GroupMember.user_id).where(GroupMember.group_id.in_(wanted))
    everybody = wanted | set(session.scalars(members))
    found: list[User | Role] = []
    found += session.scalars(select(User).where(User.id.in_(everybody)).order_by(User.name_key))
    found += session.scalars(select(Role).where(Role.id.in_(everybody)).order_by(Role.name_key))
    return found


def _checks(context: Context, request: Request) -> Iterable[Check]:
    if ":policy/" in str(request["Arn"]):
        return (Check("iam:GenerateServiceLastAccessedDetails", str(request["Arn"])),)
    return entity_of("Arn", "GenerateServiceLastAccessedDetails")(context, request)


@operation("iam", "GenerateServiceLastAccessedDetails", checks=_checks)
def generate_service_last_accessed_details(context: Context, request: Request) -> Response:
    """The report is made at once; it can be fetched for a day."""
    session, now, arn = context.session, context.now(), str(request["Arn"])
    who, sources = _entities(context, arn)
    granted = [name for name in sorted(_SERVICES) if any(_is_granted(source, name) for source in sources)]
    old = (Task.kind == _KIND, Task.account_id == context.account_id, Task.created_at < now - _KEPT)
    session.execute(delete(Task).where(*old))
    facts = {
        "arn": arn,
        "granularity": str(request.get("Granularity") or "SERVICE_LEVEL"),
        "services": {name: _accesses(context, who, name) for name in granted},
    }
    task = Task(id=str(uuid.uuid4()), account_id=context.account_id, kind=_KIND, created_at=now, facts=facts)
    session.add(task)
    return {"JobId": task.id}


def _accesses(context: Context, who: Iterable[User | Role], service: str) -> list[dict[str, str]]:
    """Who used the service, the latest first."""
    found = []
    for entity in who:
        use = uses.services_used(context.session, entity.id).get(service)
        if use is not None:
            found.append({"id": entity.id, "arn": entity.arn, "at": use.used_at.isoformat(), "region": use.region})
    return sorted(found, key=lambda one: one["at"], reverse=True)


# The reports


def _task(context: Context, request: Request) -> Task:
    task = context.session.get(Task, str(request["JobId"]))
    if task is None or (task.account_id, task.kind) != (context.account_id, _KIND):
        raise NoSuchEntity(f"Invalid Job Id: {request['JobId']}")
    return task


def _state(task: Task) -> dict[str, Any]:
    return {"JobStatus": "COMPLETED", "JobCreationDate": task.created_at, "JobCompletionDate": task.created_at}


def _service(name: str, accesses: list[dict[str, str]]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "ServiceName": _SERVICES[name],
        "ServiceNamespace": name,
        "TotalAuthenticatedEntities": len(accesses),
    }
    if accesses:
        last = accesses[0]
        made |= {
            "LastAuthenticated": dt.datetime.fromisoformat(last["at"]),
            "LastAuthenticatedEntity": last["arn"],
            "LastAuthenticatedRegion": last["region"],
        }
    return made


@operation("iam", "GetServiceLastAccessedDetails", checks=action("iam:GetServiceLastAccessedDetails"))
def get_service_last_accessed_details(context: Context, request: Request) -> Response:
    """Of actions only services are tracked: what is asked for at action level says no more."""
    task = _task(context, request)
    shapes = [_service(name, accesses) for name, accesses in task.facts["services"].items()]
    shown = common.page(context, request, "GetServiceLastAccessedDetails", shapes, "ServicesLastAccessed")
    return shown | _state(task) | {"JobType": task.facts["granularity"]}


@operation(
    "iam",
    "GetServiceLastAccessedDetailsWithEntities",
    checks=action("iam:GetServiceLastAccessedDetailsWithEntities"),
)
def get_service_last_accessed_details_with_entities(context: Context, request: Request) -> Response:
    task, name = _task(context, request), str(request["ServiceNamespace"])
    if name not in task.facts["services"]:
        raise InvalidInput(f"Invalid service namespace: {name}")
    accesses = {one["id"]: one for one in task.facts["services"][name]}
    shapes = [_entity_shape(entity, accesses[entity.id]) for entity in _with_ids(context, set(accesses))]
    return common.page(
        context, request, "GetServiceLastAccessedDetailsWithEntities", shapes, "EntityDetailsList"
    ) | _state(task)


def _entity_shape(entity: User | Role, access: dict[str, str]) -> dict[str, Any]:
    info = {
        "Arn": entity.arn,
        "Name": entity.name,
        "Type": "USER" if isinstance(entity, User) else "ROLE",
        "Id": entity.id,
        "Path": entity.path,
    }
    return {"EntityInfo": info, "LastAuthenticated": dt.datetime.fromisoformat(access["at"])}


# Which policies grant


@operation("iam", "ListPoliciesGrantingServiceAccess", checks=entity_of("Arn", "ListPoliciesGrantingServiceAccess"))
def list_policies_granting_service_access(context: Context, request: Request) -> Response:
    entity = the_entity(context, str(request["Arn"]))
    sources = simulation.sources_of(context.session, entity)
    shapes = [
        {
            "ServiceNamespace": name,
            "Policies": [_policy_shape(source) for source in sources if _is_granted(source, name)],
        }
        for name in map(str, request["ServiceNamespaces"])
    ]
    return common.page(context, request, "ListPoliciesGrantingServiceAccess", shapes, "PoliciesGrantingServiceAccess")


def _policy_shape(source: Source) -> dict[str, str]:
    owner, inline, _ = source.name.partition("#")
    if not inline:
        return {"PolicyName": source.shown_id, "PolicyType": "MANAGED", "PolicyArn": source.name}
    return {
        "PolicyName": source.shown_id,
        "PolicyType": "INLINE",
        "EntityType": source.shown_type.upper(),
        "EntityName": owner.rsplit("/", 1)[-1],
    }
