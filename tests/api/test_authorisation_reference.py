"""Every operation asks IAM exactly what AWS's service authorisation reference says."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from emr_studio.aws.context import Check
from emr_studio.aws.models import service_model
from emr_studio.aws.registry import Operation, no_check
from emr_studio.iam.authorization_reference import all_actions, asked_by, find
from tests.support.authorisation import Stage, operations, stage
from tests.support.emr_world import ACCOUNT

ELSEWHERE = {"s3"}
"""Its requests are asked about at the edge: its own tests do."""
_FIRST = {"kms:ReEncrypt": "kms:ReEncryptFrom"}
"""What an operation asks first, if not for an action of its own name."""
OPERATIONS = [
    (operation, variant)
    for operation, variant in operations()
    if operation.checks is not no_check and operation.service not in ELSEWHERE
]
NAMES = [f"{operation.service}:{operation.name}{variant}" for operation, variant in OPERATIONS]
EVERY = pytest.mark.parametrize(("operation", "variant"), OPERATIONS, ids=NAMES)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("stage")) as made:
        yield made


def prefix_of(operation: Operation) -> str:
    return str(service_model(operation.service).signing_name)


def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*"))


def _fits(check: Check) -> list[str]:
    """What is wrong with a question, by the reference."""
    action = find(check.action)
    if action is None:
        return [f"{check.action} is not in the reference"]
    wrong = []
    if not any(_glob(form).fullmatch(check.resource) for form in action.resources):
        wrong.append(f"{check.action} asks for {check.resource}, not for one of {action.resources}")
    for key in check.context:
        if key != "aws:ResourceAccount" and not action.supports(key):
            wrong.append(f"{check.action} brings {key}, of {action.keys}")
    return wrong


@EVERY
def test_actions_resources_and_keys(scene: Stage, operation: Operation, variant: str) -> None:
    asked = scene.asked(operation, scene.request(operation, variant))
    assert asked
    assert {check.action for check in asked} <= asked_by(prefix_of(operation), operation.name)
    own = f"{prefix_of(operation)}:{operation.name}"
    assert asked[0].action == _FIRST.get(own, own)
    assert [wrong for check in asked for wrong in _fits(check)] == []


@EVERY
def test_tags_of_resources_and_requests(scene: Stage, operation: Operation, variant: str) -> None:
    """What is tagged brings its tags by every name that they have; so do tags of a request."""
    request = scene.request(operation, variant)
    for check in scene.asked(operation, request):
        action = find(check.action)
        assert action
        if _is_there(check.resource) and check.action != "iam:PassRole":
            for key in action.keys:
                if "ResourceTag/" in key:
                    assert check.context.get(key.replace("*", "team")) == "red", (check, key)
        tags = request.get("Tags") or request.get("TagsList") or ()
        names = [tag.get("Key") or tag["TagKey"] for tag in tags] or request.get("TagKeys")
        if check.action.endswith(f":{operation.name}") and names and "aws:TagKeys" in action.keys:
            assert check.context.get("aws:TagKeys") == names
            if tags:
                assert check.context.get("aws:RequestTag/team") == "red"


def _is_there(resource: str) -> bool:
    """True for the resources of the stage, which are all tagged; not for lists, new and nameless ones."""
    parts = resource.split(":", 5)
    unknown = ("/", "/new", "/*", "/sample", "/phone", "/ben", "idp.example.com", "Cleanup", ":sample", "-??????")
    return len(parts) == 6 and not resource.endswith(unknown)


@EVERY
def test_allowed_by_exactly_these_and_denied_without_any_of_them(
    scene: Stage, operation: Operation, variant: str
) -> None:
    request = scene.request(operation, variant)
    asked = list(dict.fromkeys((check.action, check.resource) for check in scene.asked(operation, request)))
    rights = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in asked]
    caller = scene.user("ben", rights)
    assert scene.attempt(operation, caller, request) == ""
    for left_out, (action, resource) in enumerate(asked):
        others = [right for number, right in enumerate(rights) if number != left_out]
        scene.user("ben", others)
        start = f"User: {caller.arn} is not authorized to perform: {action} on resource: {resource}"
        reason = f" because no identity-based policy allows the {action} action"
        is_of_role = action in ("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity") and ":role/" in resource
        wanted = start if is_of_role else start + reason
        assert scene.attempt(operation, caller, request) == wanted


def test_a_runtime_role_is_a_condition_key(scene: Stage) -> None:
    (found,) = [one for one in OPERATIONS if one[0].name + one[1] == "AddJobFlowSteps/with a runtime role"]
    (check,) = scene.asked(found[0], scene.request(*found))
    assert check.context["elasticmapreduce:ExecutionRoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/role"


def test_the_reference_covers_what_users_of_a_studio_need() -> None:
    names = {action.name for action in all_actions()}
    assert len(names) > 300
    for name in ("elasticmapreduce:PutWorkspaceAccess", "emr-containers:StartJobRun", "iam:PassRole"):
        assert name in names


def test_operations_without_a_question_are_those_of_aws() -> None:
    free = {(found.service, found.name) for found, _ in operations() if found.checks is no_check}
    # The password policy may let everybody change her own password; else the operation asks by itself.
    assert free <= {
        ("iam", "ChangePassword"),
        ("sts", "GetCallerIdentity"),
        ("sts", "GetSessionToken"),
        ("sts", "AssumeRoleWithSAML"),
        ("sts", "AssumeRoleWithWebIdentity"),
    }
