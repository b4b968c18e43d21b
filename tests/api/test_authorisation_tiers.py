"""The user tiers, operation by operation (spec: EMR Studio, 3.3): what each allows, what each denies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import pytest

from emr_studio.aws.context import Caller, Check
from emr_studio.aws.registry import Operation, no_check
from emr_studio.iam import tiers
from emr_studio.iam.condition_keys import Circumstances
from emr_studio.iam.decisions import decide
from emr_studio.iam.tiers import Place, document
from tests.support.authorisation import Stage, operations, stage
from tests.support.emr_world import ACCOUNT, SERVICE_ROLE

PLACE = Place(service_role=SERVICE_ROLE)
FILES = {"basic": ("basic",), "intermediate": ("intermediate",), "advanced": ("advanced", "advanced-athena")}
B, I, A = "basic", "intermediate", "advanced"  # noqa: E741 - as the table's columns are called
EMR, EKS, SERVERLESS = "elasticmapreduce", "emr-containers", "emr-serverless"


def _named(**by_service: str) -> list[str]:
    return [f"{service.replace('_', '-')}:{name}" for service, names in by_service.items() for name in names.split()]


# The table of 3.3: what a user does, the tiers that may, the actions for it.
ROWS: list[tuple[str, tuple[str, ...], list[str]]] = [
    (
        "create and delete Workspaces",
        (B, I, A),
        [*_named(elasticmapreduce="CreateEditor DescribeEditor ListEditors DeleteEditor"), "iam:PassRole"],
    ),
    (
        "collaborate",
        (B, I, A),
        _named(elasticmapreduce="UpdateEditor PutWorkspaceAccess DeleteWorkspaceAccess ListWorkspaceAccessIdentities"),
    ),
    ("list buckets, read logs", (B, I, A), _named(s3="ListAllMyBuckets ListBucket GetBucketLocation GetObject")),
    (
        "open Workspaces",
        (B, I, A),
        _named(elasticmapreduce="DescribeEditor ListEditors StartEditor StopEditor OpenEditorInConsole"),
    ),
    (
        "attach clusters",
        (B, I, A),
        _named(
            elasticmapreduce="AttachEditor DetachEditor ListClusters DescribeCluster ListInstanceGroups "
            "ListBootstrapActions"
        ),
    ),
    (
        "attach EKS clusters",
        (B, I, A),
        _named(
            elasticmapreduce="AttachEditor DetachEditor",
            emr_containers="ListVirtualClusters DescribeVirtualCluster ListManagedEndpoints DescribeManagedEndpoint "
            "GetManagedEndpointSessionCredentials",
        ),
    ),
    (
        "attach serverless applications",
        (I, A),
        _named(
            emr_serverless="GetApplication StartApplication ListApplications GetDashboardForJobRun "
            "AccessInteractiveEndpoints"
        ),
    ),
    (
        "debug by persistent user interfaces",
        (B, I, A),
        _named(
            elasticmapreduce="CreatePersistentAppUI DescribePersistentAppUI GetPersistentAppUIPresignedURL "
            "ListClusters ListSteps DescribeCluster"
        ),
    ),
    ("debug by the cluster's user interfaces", (B, I, A), _named(elasticmapreduce="GetOnClusterAppUIPresignedURL")),
    ("debug job runs on EKS", (B, I, A), _named(emr_containers="ListJobRuns DescribeJobRun")),
    (
        "Git repositories",
        (B, I, A),
        _named(
            elasticmapreduce="CreateRepository DeleteRepository ListRepositories DescribeRepository LinkRepository "
            "UnlinkRepository",
            secretsmanager="CreateSecret ListSecrets TagResource",
        ),
    ),
    (
        "clusters from templates",
        (I, A),
        _named(
            servicecatalog="SearchProducts DescribeProduct DescribeProductView DescribeProvisioningParameters "
            "ProvisionProduct UpdateProvisionedProduct ListProvisioningArtifacts DescribeRecord ListLaunchPaths",
            cloudformation="DescribeStackResources",
        ),
    ),
    ("own clusters", (A,), _named(elasticmapreduce="RunJobFlow")),
    ("sign in to a Studio", (), _named(elasticmapreduce="CreateStudioPresignedUrl")),
    ("see the network", (B, I, A), _named(ec2="DescribeVpcs DescribeSubnets DescribeSecurityGroups")),
    ("list roles", (B, I, A), _named(iam="ListRoles")),
    (
        "Data Wrangler",
        (A,),
        _named(sagemaker="CreatePresignedDomainUrl DescribeDomain ListDomains ListUserProfiles"),
    ),
    ("code suggestions", (A,), _named(codewhisperer="GenerateRecommendations")),
    (
        "queries with Athena",
        (A,),
        _named(
            athena="StartQueryExecution StopQueryExecution GetQueryExecution GetQueryResults ListWorkGroups "
            "CreateNamedQuery GetTableMetadata",
            glue="CreateDatabase GetTables BatchGetPartition DeleteTable",
            kms="ListAliases ListKeys DescribeKey",
            lakeformation="GetDataAccess",
        ),
    ),
]
# Where an action is asked about more than `*`, or only holds under a condition.
_ASKED: dict[str, Check] = {
    "iam:PassRole": Check("iam:PassRole", PLACE.role(SERVICE_ROLE), {"iam:PassedToService": tiers.EMR_SERVICE}),
    "s3:ListBucket": Check("s3:ListBucket", "arn:aws:s3:::any"),
    "s3:ListAllMyBuckets": Check("s3:ListAllMyBuckets", "arn:aws:s3:::*"),
    "s3:GetBucketLocation": Check("s3:GetBucketLocation", "arn:aws:s3:::any"),
    "s3:GetObject": Check("s3:GetObject", f"arn:aws:s3:::aws-logs-{ACCOUNT}-us-east-1/elasticmapreduce/j-1/x"),
    "emr-containers:GetManagedEndpointSessionCredentials": Check(
        "emr-containers:GetManagedEndpointSessionCredentials",
        f"arn:aws:emr-containers:us-east-1:{ACCOUNT}:/virtualclusters/v/endpoints/e",
        {"emr-containers:ExecutionRoleArn": PLACE.role(PLACE.execution_role)},
    ),
    "secretsmanager:CreateSecret": Check(
        "secretsmanager:CreateSecret",
        f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:emr-studio-git",
        {f"aws:RequestTag/{tiers.EMR_TAG}": "true"},
    ),
    "secretsmanager:TagResource": Check(
        "secretsmanager:TagResource", f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:emr-studio-git"
    ),
}
_OF_CREATORS = ("UpdateEditor", "PutWorkspaceAccess", "DeleteWorkspaceAccess", "ListWorkspaceAccessIdentities")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("stage")) as made:
        yield made


def statements_of(tier: str) -> list[dict[str, Any]]:
    return [dict(statement) for name in FILES[tier] for statement in tiers.tier(name, PLACE)["Statement"]]


def actions_of(tier: str) -> set[str]:
    """All that the table's rows of a tier name."""
    return {action for _, may, actions in ROWS if tier in may for action in actions}


def check_of(action: str, caller: Caller) -> Check:
    """A question that the tiers' conditions fit: on the caller's own Workspace, say."""
    if action.partition(":")[2] in _OF_CREATORS:
        own = {"elasticmapreduce:ResourceTag/creatorUserId": caller.user_id}
        return Check(action, f"arn:aws:elasticmapreduce:us-east-1:{ACCOUNT}:editor/e-1", own)
    return _ASKED.get(action, Check(action))


# By the table, served here or not.


@pytest.mark.parametrize("tier", [pytest.param(B, marks=pytest.mark.capability("IP-02")), I, A])
@pytest.mark.parametrize(("row", "may", "actions"), ROWS, ids=[row for row, _, _ in ROWS])
def test_what_a_tier_may(scene: Stage, row: str, may: tuple[str, ...], actions: list[str], tier: str) -> None:
    caller = scene.user("ben", statements_of(tier))
    circumstances = Circumstances(scene.world.clock.now())
    with scene.world.database.read() as session:
        allowed = {a: decide(session, caller, check_of(a, caller), circumstances).allowed for a in actions}
    wanted = actions_of(tier)
    assert allowed == {action: action in wanted for action in actions}, (row, may)


@pytest.mark.parametrize("tier", [B, I, A])
def test_what_no_tier_may(scene: Stage, tier: str) -> None:
    caller = scene.user("ben", statements_of(tier))
    others = {"elasticmapreduce:ResourceTag/creatorUserId": "AIDASOMEBODYELSE"}
    editor = f"arn:aws:elasticmapreduce:us-east-1:{ACCOUNT}:editor/e-1"
    wrong = [
        Check("elasticmapreduce:UpdateEditor", editor, others),
        Check("iam:PassRole", PLACE.role("Admin"), {"iam:PassedToService": tiers.EMR_SERVICE}),
        Check("s3:GetObject", "arn:aws:s3:::any/key"),
        Check("s3:PutObject", "arn:aws:s3:::any/key"),
        Check("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:emr-studio-git"),
        Check("secretsmanager:CreateSecret", f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:emr-studio-git"),
        Check("elasticmapreduce:DeleteStudio", f"arn:aws:elasticmapreduce:us-east-1:{ACCOUNT}:studio/es-1"),
    ]
    with scene.world.database.read() as session:
        for check in wrong:
            assert not decide(session, caller, check, Circumstances(scene.world.clock.now())).allowed, check


def test_the_forms_of_the_right_to_use_a_runtime_role(scene: Stage) -> None:
    action, clusters = "elasticmapreduce:GetClusterSessionCredentials", PLACE.emr("cluster/").replace("*", "us-east-1")
    red = {"elasticmapreduce:ResourceTag/team": "red"}
    asked = {
        "named": Check(action, f"{clusters}j-OTHER", {"elasticmapreduce:ExecutionRoleArn": PLACE.role("runtime-red")}),
        "named, the cluster": Check(
            action, f"{clusters}j-EXAMPLE12345A", {"elasticmapreduce:ExecutionRoleArn": PLACE.role("runtime-red")}
        ),
        "tagged": Check(
            action, f"{clusters}j-OTHER", {"elasticmapreduce:ExecutionRoleArn": PLACE.role("runtime-x"), **red}
        ),
        "another role": Check(
            action, f"{clusters}j-OTHER", {"elasticmapreduce:ExecutionRoleArn": PLACE.role("x"), **red}
        ),
        "no role": Check(action, f"{clusters}j-EXAMPLE12345A", red),
    }
    wanted = {
        "runtime-role-any-cluster": {"named", "named, the cluster"},
        "runtime-role-one-cluster": {"named, the cluster"},
        "runtime-role-by-tag": {"tagged"},
    }
    for name, document_ in tiers.runtime_role_forms(PLACE).items():
        caller = scene.user("ben", document_["Statement"])
        with scene.world.database.read() as session:
            circumstances = Circumstances(scene.world.clock.now())
            allowed = {which for which, check in asked.items() if decide(session, caller, check, circumstances).allowed}
        assert allowed == wanted[name]


# The operations that are served.


@cache
def served() -> list[tuple[Operation, str]]:
    return [(o, v) for o, v in operations() if o.service in ("emr", "iam") and o.checks is not no_check]


@cache
def emr() -> list[tuple[Operation, str]]:
    return [(o, v) for o, v in served() if o.service == "emr"]


def denied(scene: Stage, calls: Iterable[tuple[Operation, str]], statements: Iterable[Mapping[str, Any]]) -> set[str]:
    """Those of `calls` that IAM denies to somebody with these statements."""
    caller = scene.user("ben", list(statements))
    return {o.name + v for o, v in calls if scene.attempt(o, caller, scene.request(o, v))}


@pytest.mark.parametrize(
    "tier",
    [
        pytest.param(B, marks=pytest.mark.capability("IP-02")),
        I,
        A,
    ],
)
def test_each_operation_with_a_tier(scene: Stage, tier: str) -> None:
    """An operation works if a row of the table that is the tier's has its action; all others are denied."""
    may = actions_of(tier)
    prefix = {"emr": EMR, "iam": "iam"}
    wanted = {o.name + v for o, v in served() if f"{prefix[o.service]}:{o.name}" not in may}
    assert denied(scene, served(), statements_of(tier)) == wanted
    assert ("RunJobFlow" in wanted) == (tier != A)
    assert "CreateStudioPresignedUrl" in wanted


def without(statements: Iterable[Mapping[str, Any]], action: str) -> list[dict[str, Any]]:
    """The statements without one action."""
    left = [{**one, "Action": [name for name in one["Action"] if name != action]} for one in statements]
    return [one for one in left if one["Action"]]


@pytest.mark.capability("IP-01")
@pytest.mark.parametrize("tier", [B, I, A, "everything"])
def test_an_action_less_and_exactly_its_operations_fail(scene: Stage, tier: str) -> None:
    asked = {o.name + v: {c.action for c in scene.asked(o, scene.request(o, v))} for o, v in emr()}
    every = sorted({action for actions in asked.values() for action in actions})
    statements = [tiers.allow("All", "", ())] if tier == "everything" else statements_of(tier)
    if tier == "everything":
        statements = [{"Effect": "Allow", "Action": every, "Resource": "*"}]
    before = denied(scene, emr(), statements)
    held = {action for one in statements for action in one["Action"]} & set(every)
    assert len(held) >= 15
    for action in sorted(held):
        matching = {name for name, actions in asked.items() if action in actions}
        assert denied(scene, emr(), without(statements, action)) == before | matching, action


@pytest.mark.capability("IP-05")
@pytest.mark.parametrize("tier", [B, I, A])
def test_mandatory_statements(scene: Stage, tier: str) -> None:
    sid = "AllowPassingServiceRoleForWorkspaceCreation"
    statements = statements_of(tier)
    assert sid in {one["Sid"] for one in statements}
    assert "AllowAddingTagsOnSecretsWithEMRStudioPrefix" in {one["Sid"] for one in statements}
    rest = [one for one in statements if one["Sid"] != sid]
    assert "CreateEditor" in denied(scene, emr(), rest)


def test_administrators(scene: Stage) -> None:
    on_studios = {"CreateStudio", "DescribeStudio", "UpdateStudio", "DeleteStudio", "ListStudios"}
    calls = [(o, v) for o, v in emr() if "Studio" in o.name and "Presigned" not in o.name and "Mapping" not in o.name]
    assert denied(scene, calls, tiers.admin(PLACE)["Statement"]) == set()
    for tier in FILES:
        assert on_studios <= denied(scene, calls, statements_of(tier))


def test_a_user_of_one_studio(scene: Stage) -> None:
    own = tiers.studio_access(PLACE, scene.studio_id)["Statement"]
    calls = [(o, v) for o, v in emr() if o.name in ("ListStudios", "DescribeStudio", "CreateStudioPresignedUrl")]
    assert denied(scene, calls, own) == set()
    other = tiers.studio_access(PLACE, "es-0000000000000000000000000")["Statement"]
    assert denied(scene, calls, other) == {"DescribeStudio", "CreateStudioPresignedUrl"}
    assert document(*own)["Version"] == "2012-10-17"
