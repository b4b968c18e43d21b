"""Service-linked roles: made for an AWS service, trusted by it alone, changed by nobody.

`_TEMPLATES` has the services whose roles EMR set-ups make or name.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import select

from emr_studio.aws.context import Check, Context
from emr_studio.aws.registry import Request, Response, operation
from emr_studio.iam import entities, uses, writing
from emr_studio.iam.errors import InvalidInput, NoSuchEntity
from emr_studio.iam.model import Attachment, Role, Task
from emr_studio.iam.operations import common, roles


class _Template(NamedTuple):
    role: str
    policy: str


_TEMPLATES = {
    "elasticmapreduce.amazonaws.com": _Template("AWSServiceRoleForEMRCleanup", "AmazonEMRCleanupPolicy"),
    "emr-containers.amazonaws.com": _Template(
        "AWSServiceRoleForAmazonEMRContainers", "AmazonEMRContainersServiceRolePolicy"
    ),
    "spot.amazonaws.com": _Template("AWSServiceRoleForEC2Spot", "AWSEC2SpotServiceRolePolicy"),
}
_KIND = "role-deletion"


def _path(service: str) -> str:
    return f"{common.SERVICE_ROLE_PATH}{service}/"


def _creation_checks(context: Context, request: Request) -> Iterable[Check]:
    service = str(request["AWSServiceName"])
    template = _TEMPLATES.get(service)
    arn = common.entity_arn(context, "role", template.role if template else "*", _path(service))
    yield Check("iam:CreateServiceLinkedRole", arn, {"iam:AWSServiceName": service})


@operation("iam", "CreateServiceLinkedRole", checks=_creation_checks)
def create_service_linked_role(context: Context, request: Request) -> Response:
    service = str(request["AWSServiceName"])
    template = _TEMPLATES.get(service)
    if template is None:
        raise NoSuchEntity(f"Cannot find Service Linked Role template for {service}")
    if request.get("CustomSuffix"):
        raise InvalidInput(f"Custom suffix is not allowed for {service}")
    if entities.name_is_taken(context.session, Role, context.account_id, template.role):
        raise InvalidInput(
            f"Service role name {template.role} has been taken in this account, please try a different suffix."
        )
    common.check_quota(context, Role, "Roles", roles.QUOTA)
    role = _new_role(context, service, template)
    role.description = request.get("Description")
    return {"Role": roles.shape(context, role, full=True)}


def _new_role(context: Context, service: str, template: _Template) -> Role:
    account = common.account_of(context)
    statement = {"Effect": "Allow", "Principal": {"Service": [service]}, "Action": ["sts:AssumeRole"]}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    path = _path(service)
    role = writing.new_role(context.session, account, template.role, trust, context.now(), path=path, tags={})
    arn = f"arn:{account.partition}:iam::aws:policy/aws-service-role/{template.policy}"
    writing.attach(context.session, context.account_id, role.id, arn, context.now())
    return role


@operation(
    "iam",
    "DeleteServiceLinkedRole",
    checks=common.entity_checks("DeleteServiceLinkedRole", "role", roles.named_role),
)
def delete_service_linked_role(context: Context, request: Request) -> Response:
    """At once: no resource here holds on to the role. The task says so to whoever asks."""
    session, role = context.session, roles.the_role(context, request)
    if not role.path.startswith(common.SERVICE_ROLE_PATH):
        raise InvalidInput(f"{role.name} is not a service-linked role.")
    task_id = f"task{role.path}{role.name}/{uuid.uuid4()}"
    for attachment in session.scalars(select(Attachment).where(Attachment.entity_id == role.id)):
        session.delete(attachment)
    uses.forget(session, role.id)
    session.flush()
    session.delete(role)
    session.add(Task(id=task_id, account_id=context.account_id, kind=_KIND, created_at=context.now(), facts={}))
    return {"DeletionTaskId": task_id}


def _status_checks(context: Context, request: Request) -> Iterable[Check]:
    path, _, _ = str(request["DeletionTaskId"]).removeprefix("task").rpartition("/")
    where, _, name = path.rpartition("/")
    arn = common.entity_arn(context, "role", name, f"{where}/") if where.startswith("/") else "*"
    yield Check("iam:GetServiceLinkedRoleDeletionStatus", arn)


@operation("iam", "GetServiceLinkedRoleDeletionStatus", checks=_status_checks)
def get_service_linked_role_deletion_status(context: Context, request: Request) -> Response:
    task = context.session.get(Task, str(request["DeletionTaskId"]))
    if task is None or (task.account_id, task.kind) != (context.account_id, _KIND):
        raise NoSuchEntity(f"Deletion task {request['DeletionTaskId']} cannot be found.")
    return {"Status": "SUCCEEDED"}
