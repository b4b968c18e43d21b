"""Every operation of the product, ready to be called by somebody who may or may not.

A `Stage` is a world in which everything is there once and carries the tag `team=red`; its Workspaces are
made by `ben`, whose rights a test may set. `request(...)` makes an input for any operation of the registry
from botocore's model and what is there. `attempt` runs an operation whole, checks and all, and rolls it
back: the stage stays as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from emr_studio import app
from emr_studio.aws.context import Caller, Check, Context
from emr_studio.aws.errors import AccessDenied, AwsError
from emr_studio.aws.models import service_model
from emr_studio.aws.registry import Operation, registry
from emr_studio.iam import entities, writing
from emr_studio.iam.callers import user_caller
from emr_studio.iam.identity import IamAuthorizer
from emr_studio.iam.model import InstanceProfile, User
from emr_studio.iam.sealing import Sealer
from emr_studio.keys.making import new_alias, new_key
from emr_studio.keys.master import FileMaster, Masters
from emr_studio.keys.policies import default_policy
from emr_studio.keys.ring import KeyRing
from emr_studio.trail.model import Trail
from emr_studio.workspaces.model import Editor, Status
from tests.support.emr_world import ACCOUNT, EMR, SERVICE_ROLE, World, emr_world

TAGS = {"team": "red"}
TAG_LIST = [{"Key": "team", "Value": "red"}]
_ARN = f"arn:aws:iam::{ACCOUNT}:"
_TRAIL_ARN = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/trail"
_DOCUMENT = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
)
_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"{_ARN}root"},
                "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
            }
        ],
    }
)
# What stands in a member of a request, by its name, whatever the operation.
_MEMBERS: dict[str, Any] = {
    "UserName": "ana",
    "GroupName": "team",
    "RoleName": "role",
    "InstanceProfileName": "profile",
    "PolicyName": "own",
    "PolicyArn": f"{_ARN}policy/managed",
    "PolicyDocument": _DOCUMENT,
    "AssumeRolePolicyDocument": _TRUST,
    "PermissionsBoundary": f"{_ARN}policy/managed",
    "PolicySourceArn": f"{_ARN}user/ana",
    "Arn": f"{_ARN}user/ana",
    "AWSServiceName": "elasticmapreduce.amazonaws.com",
    "RoleArn": f"{_ARN}role/role",
    "RoleSessionName": "ana",
    "SourceIdentity": "ana",
    "Password": "Correct-horse-9",
    "NewPassword": "Correct-horse-9",
    "OldPassword": "Wrong-horse-9",
    "Status": "Inactive",
    "AccountAlias": "example",
    "VersionId": "v1",
    "Tags": TAG_LIST,
    "TagKeys": ["team"],
    "ActionNames": ["s3:GetObject"],
    "PolicyInputList": [_DOCUMENT],
    "VirtualMFADeviceName": "phone",
    "SerialNumber": f"{_ARN}mfa/phone",
    "AuthenticationCode1": "123456",
    "AuthenticationCode2": "654321",
    "Name": "sample",
    "SAMLMetadataDocument": "<EntityDescriptor/>" * 60,
    "SAMLProviderArn": f"{_ARN}saml-provider/sample",
    "OpenIDConnectProviderArn": f"{_ARN}oidc-provider/idp.example.com",
    "Url": "https://idp.example.com",
    "ClientID": "studio",
    "ThumbprintList": ["0" * 40],
    "ReleaseLabel": "emr-8.0.0",
    "TerminationProtected": True,
    "VisibleToAllUsers": True,
}
# Optional members that say whose something is, or that have condition keys.
_ALSO = ("UserName", "Tags", "SourceIdentity", "PermissionsBoundary")
_TRAIL: dict[str, Any] = {
    "Name": "trail",
    "TrailName": "trail",
    "ResourceId": _TRAIL_ARN,
    "ResourceIdList": [_TRAIL_ARN],
}
_TRAIL |= {"TagsList": TAG_LIST, "S3BucketName": "audit"}
_SHOWS_MORE = {"ListEditors": "elasticmapreduce:PutWorkspaceAccess"}
"""Who may do this too is shown more; who may not is denied nothing."""
_NEW = {"CreateUser": "UserName", "CreateRole": "RoleName", "CreateGroup": "GroupName", "CreatePolicy": "PolicyName"}
_NEW |= {"CreateInstanceProfile": "InstanceProfileName", "CreateTrail": "Name"}


@dataclass
class Recorder:
    """Allows everything and remembers what was asked."""

    checks: list[Check] = field(default_factory=list)

    def authorize(self, _context: Context, check: Check) -> None:
        self.checks.append(check)


@dataclass(frozen=True)
class KeyOfStage:
    """A KMS key with the alias `alias/sample`, something that it sealed, and what opens it."""

    id: str
    sealed: bytes
    ring: KeyRing

    def members(self) -> Mapping[str, Any]:
        """What stands in members of KMS's requests."""
        same = {"DestinationKeyId": self.id, "CiphertextBlob": self.sealed, "Plaintext": b"plain"}
        same |= {"AliasName": "alias/sample", "PolicyName": "default", "Policy": default_policy(ACCOUNT, "us-east-1")}
        tags = [{"TagKey": "team", "TagValue": "red"}]
        return {**same, "KeyId": self.id, "TargetKeyId": self.id, "NumberOfBytes": 32, "Tags": tags}


@dataclass
class Stage:
    """A world where everything is there once."""

    world: World
    sealer: Sealer
    studio_id: str
    editors: Mapping[str, str]
    cluster_id: str
    access_key_id: str
    key: KeyOfStage

    def user(self, name: str, statements: Sequence[Mapping[str, Any]], **tags: str) -> Caller:
        """A user with exactly these statements, new or as she was with others."""
        nothing = {"Effect": "Allow", "Action": "none:None", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [*statements, nothing]})
        with self.world.database.write() as session:
            account = entities.get_account(session, ACCOUNT)
            found = entities.find_by_name(session, User, ACCOUNT, name)
            user = found or writing.new_user(session, account, name, self.world.clock.now(), tags=tags)
            writing.put_inline(session, ACCOUNT, user.id, "own", document)
            return user_caller(user)

    def asked(self, operation: Operation, request: Mapping[str, Any]) -> list[Check]:
        """All that must be allowed, asked of IAM when everything is."""
        recorder = Recorder()
        self._run(operation, self.user("ben", ()), request, recorder)
        return [check for check in recorder.checks if check.action != _SHOWS_MORE.get(operation.name)]

    def attempt(self, operation: Operation, caller: Caller, request: Mapping[str, Any]) -> str:
        """The denial's message; empty if IAM let it pass, whatever became of it then."""
        try:
            self._run(operation, caller, request, IamAuthorizer(self.sealer))
        except AccessDenied as denied:
            return denied.message if denied.details else f"without details: {denied.message}"
        return ""

    def _run(self, operation: Operation, caller: Caller, request: Mapping[str, Any], authorizer: Any) -> None:
        with self.world.database.read() as session:
            context = self.world.context(session, caller)
            ports = {**context.ports, Sealer: self.sealer, KeyRing: self.key.ring}
            context = replace(context, authorizer=authorizer, ports=ports)
            for check in operation.checks(context, request):
                context.authorize(check)
            try:
                operation.function(context, request)
                session.flush()
            except AccessDenied as denied:
                if "is not authorized to perform" in denied.message:
                    raise
            except (AwsError, LookupError, AttributeError, TypeError):
                pass  # its own rules: a name that is taken, a port that a test has not
            finally:
                session.rollback()

    def request(self, operation: Operation, variant: str = "") -> dict[str, Any]:
        """An input with which the operation could work."""
        key = f"{operation.name}{variant}"
        if operation.service == "emr" and key in _EMR:
            return {name: self._filled(value) for name, value in _EMR[key].items()}
        shape = service_model(operation.service).operation_model(operation.name).input_shape
        if shape is None:
            return {}
        wanted = [*shape.required_members, *(name for name in _ALSO if name in shape.members)]
        made = {name: self._value(name, shape.members[name]) for name in dict.fromkeys(wanted)}
        if operation.service == "cloudtrail":
            made |= {name: value for name, value in _TRAIL.items() if name in shape.members}
        if operation.service == "kms":
            blob = {"CiphertextBlob"} & shape.members.keys()  # needed, though the model does not say so
            made |= {name: value for name, value in self.key.members().items() if name in made or name in blob}
        if operation.name in _NEW:
            made[_NEW[operation.name]] = "new"
        return made

    def _value(self, name: str, shape: Any) -> Any:
        own = {
            "StudioId": self.studio_id,
            "EditorId": self.editors["ready"],
            "ClusterId": self.cluster_id,
            "JobFlowId": self.cluster_id,
            "JobFlowIds": [self.cluster_id],
            "ResourceId": self.studio_id,
            "AccessKeyId": self.access_key_id,
        }
        if name in own or name in _MEMBERS:
            return own.get(name, _MEMBERS.get(name))
        return {"string": "sample", "integer": 1, "boolean": True, "list": [], "structure": {}, "map": {}}.get(
            shape.type_name, "sample"
        )

    def _filled(self, value: Any) -> Any:
        """Ids in place of their names (`{studio}`, `{ready}`, `{cluster}`)."""
        if isinstance(value, dict):
            return {name: self._filled(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._filled(inner) for inner in value]
        if not isinstance(value, str):
            return value
        network = self.world.network
        known = {
            "{studio}": self.studio_id,
            "{cluster}": self.cluster_id,
            "{vpc}": network.vpc_id,
            "{subnet}": network.subnet_ids[0],
            "{engine-group}": network.engine_security_group_id,
            "{workspace-group}": network.workspace_security_group_id,
        } | {f"{{{state}}}": editor_id for state, editor_id in self.editors.items()}
        return known.get(value, value)


_ENGINE = {"Id": "{cluster}", "Type": "EMR"}
# Inputs that the model alone does not tell; a name after a `/` is a second way to call the operation.
_EMR: dict[str, dict[str, Any]] = {
    "CreateStudio": {
        "Name": "second",
        "AuthMode": "IAM",
        "VpcId": "{vpc}",
        "SubnetIds": ["{subnet}"],
        "ServiceRole": SERVICE_ROLE,
        "WorkspaceSecurityGroupId": "{workspace-group}",
        "EngineSecurityGroupId": "{engine-group}",
        "DefaultS3Location": "s3://emr-studio-123456789012-us-east-1/second",
        "Tags": TAG_LIST,
    },
    "CreatePersistentAppUI": {"TargetResourceArn": "{cluster}"},
    "UpdateStudio": {"StudioId": "{studio}", "Name": "renamed"},
    "CreateEditor": {"StudioId": "{studio}", "Name": "new", "Tags": TAG_LIST},
    "CreateEditor/with compute": {
        "StudioId": "{studio}",
        "Name": "new",
        "Tags": TAG_LIST,
        "ExecutionEngine": _ENGINE,
    },
    "StartEditor": {"EditorId": "{idle}"},
    "StartEditor/with compute": {"EditorId": "{idle}", "ExecutionEngine": _ENGINE},
    "AttachEditor": {"EditorId": "{ready}", "ExecutionEngine": _ENGINE},
    "DetachEditor": {"EditorId": "{attached}"},
    "OpenEditorInConsole/of a stopped one": {"EditorId": "{idle}"},
    "RunJobFlow": {
        "Name": "second",
        "ReleaseLabel": "emr-8.0.0",
        "ServiceRole": "EMR_DefaultRole_V2",
        "JobFlowRole": "EMR_EC2_DefaultRole",
        "Instances": {"InstanceCount": 1, "MasterInstanceType": "m5.xlarge", "KeepJobFlowAliveWhenNoSteps": True},
        "Tags": TAG_LIST,
    },
    "RegisterCluster": {
        "Name": "theirs",
        "Type": "JUPYTER_GATEWAY",
        "Url": "https://gateway.example.com",
        "Tags": TAG_LIST,
    },
    "AddJobFlowSteps/with a runtime role": {
        "JobFlowId": "{cluster}",
        "Steps": [{"Name": "s", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["true"]}}],
        "ExecutionRoleArn": f"{_ARN}role/role",
    },
    "AddTags": {"ResourceId": "{studio}", "Tags": TAG_LIST},
    "AddTags/of a Workspace": {"ResourceId": "{ready}", "Tags": TAG_LIST},
    "AddTags/of a cluster": {"ResourceId": "{cluster}", "Tags": TAG_LIST},
    "RemoveTags": {"ResourceId": "{studio}", "TagKeys": ["team"]},
    "RemoveTags/of a Workspace": {"ResourceId": "{ready}", "TagKeys": ["team"]},
    "RemoveTags/of a cluster": {"ResourceId": "{cluster}", "TagKeys": ["team"]},
}


def operations() -> list[tuple[Operation, str]]:
    """Every operation of the registry, each way that it is called."""
    app.load_operations()
    found: list[tuple[Operation, str]] = []
    for operation in registry.all():
        found.append((operation, ""))
        variants = [key for key in _EMR if operation.service == "emr" and key.startswith(f"{operation.name}/")]
        found += [(operation, key.removeprefix(operation.name)) for key in variants]
    return found


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Make the world."""
    app.load_tables()
    app.load_operations()
    with emr_world(folder) as world:
        sealer = Sealer.load(world.settings.keys_dir)
        access_key_id = _identities(world, sealer)
        _trail(world)
        studio_id = world.studio(Tags=TAG_LIST)
        cluster_id = world.cluster(tags=TAGS)
        owner = world.user("ben")
        editors = {state.value.lower(): _editor(world, owner, studio_id, state, cluster_id) for state in _STATES}
        yield Stage(world, sealer, studio_id, editors, cluster_id, access_key_id, _key(world, sealer))


def _key(world: World, sealer: Sealer) -> KeyOfStage:
    ring = KeyRing(Masters(FileMaster(sealer)))
    with world.database.write() as session:
        now = world.clock.now()
        made = new_key(
            session,
            ring,
            account_id=ACCOUNT,
            region="us-east-1",
            policy=default_policy(ACCOUNT, "us-east-1"),
            now=now,
            tags=TAGS,
        )
        new_alias(session, made, "alias/sample", now)
        return KeyOfStage(made.id, ring.seal(session, made, b"plain", {}), ring)


def _trail(world: World) -> None:
    with world.database.write() as session:
        session.add(
            Trail(
                id="trail",
                account_id=ACCOUNT,
                region="us-east-1",
                name="trail",
                bucket="audit",
                tags=TAGS,
                created=world.clock.now(),
            )
        )


_STATES = (Status.READY, Status.IDLE, Status.ATTACHED)


def _editor(world: World, owner: Caller, studio_id: str, status: Status, cluster_id: str) -> str:
    made = world.call("CreateEditor", owner, StudioId=studio_id, Name=status.value, Tags=TAG_LIST)
    editor_id = str(made["EditorId"])
    with world.database.write() as session:
        editor = session.get_one(Editor, editor_id)
        editor.status = status
        if status is Status.ATTACHED:
            editor.attached_cluster_id = editor.wanted_cluster_id = cluster_id
    return editor_id


def _identities(world: World, sealer: Sealer) -> str:
    """A user, a group, roles, an instance profile, a managed policy; returns the user's access key."""
    now = world.clock.now()
    with world.database.write() as session:
        account = entities.get_account(session, ACCOUNT)
        user = writing.new_user(session, account, "ana", now, tags=TAGS)
        role = writing.new_role(session, account, "role", _TRUST, now, tags=TAGS)
        policy = writing.new_policy(session, account, "managed", _DOCUMENT, now, tags=TAGS)
        profile = writing.new_instance_profile(session, account, "profile", now, tags=TAGS)
        profile.role_id = role.id
        for entity in (user, role):
            writing.put_inline(session, ACCOUNT, entity.id, "own", _DOCUMENT)
            writing.attach(session, ACCOUNT, entity.id, policy.arn, now)
            entity.boundary_arn = policy.arn
        key, _ = writing.new_access_key(session, sealer, ACCOUNT, user.id, now)
        _cluster_roles(session, account, now)
        return key.id


def _cluster_roles(session: Any, account: Any, now: Any) -> None:
    from emr_studio.iam.bootstrap_policies import trust_policy

    for name, service in (("EMR_DefaultRole_V2", EMR), ("EMR_EC2_DefaultRole", "ec2.amazonaws.com")):
        trust = json.dumps(trust_policy(service, ACCOUNT, "aws"))
        role = writing.new_role(session, account, name, trust, now, tags=TAGS)
    profile: InstanceProfile = writing.new_instance_profile(session, account, "EMR_EC2_DefaultRole", now, tags={})
    profile.role_id = role.id
