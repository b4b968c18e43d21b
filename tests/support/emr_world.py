"""A small world for tests of the EMR domains: a database, real IAM, the network, and a way to call operations.

`World.call` does what the pipeline does around an operation (checks, authorisation, one transaction,
what follows the commit), without HTTP and without botocore's own validation.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from emr_studio import ids
from emr_studio.aws.context import Caller, Context, RequestInfo
from emr_studio.aws.pagination import MarkerSealer
from emr_studio.aws.registry import registry
from emr_studio.clock import FakeClock
from emr_studio.clusters.model import Cluster, Instance, InstanceGroup, Role, State, Target
from emr_studio.controllers import Waker
from emr_studio.db import Database
from emr_studio.edge.presign import Presigner
from emr_studio.iam import writing
from emr_studio.iam.bootstrap import create_account
from emr_studio.iam.bootstrap_policies import service_role_policy, trust_policy
from emr_studio.iam.callers import user_caller
from emr_studio.iam.entities import get_account
from emr_studio.iam.identity import IamAuthorizer
from emr_studio.iam.model import Account
from emr_studio.iam.model import Role as IamRole
from emr_studio.iam.sealing import Sealer
from emr_studio.network.model import DefaultNetwork, ensure_default_network
from emr_studio.settings import Settings
from emr_studio.storage.model import Bucket
from emr_studio.studios import operations as studios_operations
from emr_studio.workspaces import operations as workspaces_operations
from tests.support.template import copied

OPERATIONS = (studios_operations, workspaces_operations)
"""Importing them registers what can be called."""
ACCOUNT = "123456789012"
OTHER_ACCOUNT = "210987654321"
BUCKET = "emr-studio-123456789012-us-east-1"
OTHER_BUCKET = "emr-studio-210987654321-us-east-1"
SERVICE_ROLE = "EMRStudio_ServiceRole"
EMR = "elasticmapreduce.amazonaws.com"
_GENERATIONS = itertools.count(10_000, 10_000)
ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def statement(action: str | Sequence[str], resource: str = "*", /, **condition: Mapping[str, Any]) -> dict[str, Any]:
    """An Allow statement; `StringEquals={...}` and the like become its condition."""
    made: dict[str, Any] = {"Effect": "Allow", "Action": action, "Resource": resource}
    return made | ({"Condition": condition} if condition else {})


@dataclass
class Wakes:
    """Remembers who was woken."""

    seen: list[tuple[str, str]] = field(default_factory=list)

    def wake(self, kind: str, resource_id: str) -> None:
        self.seen.append((kind, resource_id))


class Links:
    """A presigner whose links can be read."""

    def presign_editor(
        self, session: Session, caller: Caller, editor_id: str, studio_id: str, default_notebook: str = ""
    ) -> tuple[str, dt.datetime]:
        return f"link:{editor_id}:{studio_id}:{default_notebook}:{caller.user_id}", dt.datetime(
            2026, 1, 1, tzinfo=dt.UTC
        )

    def presign_studio(self, session: Session, caller: Caller, studio_id: str) -> tuple[str, dt.datetime]:
        return f"link:{studio_id}:{caller.user_id}", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

    def presign_app_ui(
        self, session: Session, caller: Caller, cluster_id: str, landing: str
    ) -> tuple[str, dt.datetime]:
        return f"http://{cluster_id.lower()}.appui.localhost/?landing={landing}", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@dataclass
class World:
    """The world; `admin` may do everything."""

    settings: Settings
    database: Database
    clock: FakeClock
    wakes: Wakes
    network: DefaultNetwork
    admin: Caller

    def call(self, operation: str, caller: Caller | None = None, /, **request: Any) -> dict[str, Any]:
        """Run an `emr` operation; a void one answers an empty dictionary."""
        found = registry.find("emr", operation)
        assert found is not None, operation
        with self._session(found.read_only) as session:
            context = self.context(session, caller or self.admin)
            for check in found.checks(context, request):
                context.authorize(check)
            answer = found.function(context, request)
        context.run_after_commit()
        return dict(answer or {})

    def context(self, session: Session, caller: Caller) -> Context:
        """A request's context."""
        ports: dict[type[Any], Any] = {
            Settings: self.settings,
            Waker: self.wakes,
            Presigner: Links(),
            MarkerSealer: MarkerSealer(b"secret"),
            Sealer: Sealer.load(self.settings.keys_dir),
        }
        return Context(caller, "us-east-1", session, self.clock, "request-1", RequestInfo(), IamAuthorizer(), ports)

    @contextmanager
    def _session(self, read_only: bool) -> Iterator[Session]:
        with self.database.read() if read_only else self.database.write() as session:
            yield session

    def user(self, name: str, *statements: Mapping[str, Any], account_id: str = ACCOUNT) -> Caller:
        """A user with exactly these statements as an inline policy; without any, one who may do everything."""
        document = {"Version": "2012-10-17", "Statement": list(statements)} if statements else ALLOW_ALL
        with self.database.write() as session:
            user = writing.new_user(session, get_account(session, account_id), name, self.clock.now(), tags={})
            writing.put_inline(session, account_id, user.id, "own", json.dumps(document))
            return user_caller(user)

    def role(
        self,
        name: str,
        *statements: Mapping[str, Any],
        trust: Mapping[str, Any] | None = None,
    ) -> str:
        """A role with these statements; trusted by Amazon EMR unless said otherwise. Returns its ARN."""
        with self.database.write() as session:
            text = json.dumps(trust or trust_policy(EMR, ACCOUNT, "aws"))
            role: IamRole = writing.new_role(
                session, get_account(session, ACCOUNT), name, text, self.clock.now(), tags={}
            )
            document = {"Version": "2012-10-17", "Statement": list(statements)}
            writing.put_inline(session, ACCOUNT, role.id, "own", json.dumps(document))
            return role.arn

    def studio_request(self, **changes: Any) -> dict[str, Any]:
        """A valid CreateStudio; a change to None leaves the member out."""
        request = {
            "Name": "sample",
            "AuthMode": "IAM",
            "VpcId": self.network.vpc_id,
            "SubnetIds": list(self.network.subnet_ids),
            "ServiceRole": SERVICE_ROLE,
            "WorkspaceSecurityGroupId": self.network.workspace_security_group_id,
            "EngineSecurityGroupId": self.network.engine_security_group_id,
            "DefaultS3Location": f"s3://{BUCKET}/studio",
        }
        return {member: value for member, value in (request | changes).items() if value is not None}

    def studio(self, **changes: Any) -> str:
        """Create a Studio; returns its id."""
        return str(self.call("CreateStudio", **self.studio_request(**changes))["StudioId"])

    def cluster(self, bind_ip: str = "127.31.0.9", **changes: Any) -> str:
        """A cluster of one node, in state WAITING unless said otherwise; returns its id."""
        now = self.clock.now()
        values: dict[str, Any] = {
            "id": ids.cluster_id(),
            "account_id": ACCOUNT,
            "region": "us-east-1",
            "name": "cluster",
            "release_label": "emr-8.0.0",
            "applications": ["Spark", "Livy", "JupyterEnterpriseGateway"],
            "service_role": "EMR_DefaultRole_V2",
            "job_flow_role": "EMR_EC2_DefaultRole",
            "role_arn": f"arn:aws:iam::{ACCOUNT}:role/EMR_EC2_DefaultRole",
            "vpc_id": self.network.vpc_id,
            "subnet_id": self.network.subnet_ids[0],
            "availability_zone": "us-east-1a",
            "creator_user_id": "AIDAX",
            "state": State.WAITING,
            "target": Target.RUNNING,
            "creation_time": now,
            "phase_since": now,
            "uid": 300_001,
            "secret": "s",
            "gateway_token": "gateway-token",
            "connect_token": "c",
            "tags": {},
        }
        row = Cluster(**(values | changes))
        with self.database.write() as session:
            session.add(row)
            session.flush()
            self._add_primary(session, row.id, bind_ip)
        return row.id

    def _add_primary(self, session: Session, cluster_id: str, bind_ip: str) -> None:
        group = InstanceGroup(
            id=ids.instance_group_id(),
            cluster_id=cluster_id,
            position=0,
            name="primary",
            role=Role.MASTER,
            instance_type="m5.xlarge",
            requested_count=1,
        )
        session.add(group)
        session.flush()
        session.add(
            Instance(
                id=ids.instance_id(),
                cluster_id=cluster_id,
                group_id=group.id,
                position=0,
                ec2_id=ids.ec2_id("i"),
                role=Role.MASTER,
                instance_type="m5.xlarge",
                private_ip=bind_ip.replace("127.31.", "172.31."),
                bind_ip=bind_ip,
                state="RUNNING",
                creation_time=self.clock.now(),
            )
        )

    def set_cluster(self, cluster_id: str, **columns: Any) -> None:
        """Change a cluster's row, as its controller would."""
        with self.database.write() as session:
            cluster = session.get_one(Cluster, cluster_id)
            for column, value in columns.items():
                setattr(cluster, column, value)


def _furnish(settings: Settings, database: Database) -> tuple[DefaultNetwork, Caller]:
    """Accounts, networks, buckets, the service role and `admin`; returns the first account's network and her."""
    clock = FakeClock()
    sealer = Sealer.load(settings.keys_dir)
    with database.write() as session:
        for account_id in (ACCOUNT, OTHER_ACCOUNT):
            create_account(session, sealer, account_id, "aws", clock.now())
        network = ensure_default_network(session, settings, ACCOUNT)
        ensure_default_network(session, settings, OTHER_ACCOUNT)
        for name, account_id in ((BUCKET, ACCOUNT), (OTHER_BUCKET, OTHER_ACCOUNT)):
            session.add(Bucket(name=name, account_id=account_id, region="us-east-1", created=clock.now()))
    world = World(settings, database, clock, Wakes(), network, Caller(ACCOUNT, "root", "", "", ""))
    admin = world.user("admin")
    world.role(SERVICE_ROLE, *service_role_policy(BUCKET, "aws")["Statement"])
    return network, admin


@contextmanager
def emr_world(folder: Path, port: int = 8080) -> Iterator[World]:
    """Make the world in `folder`; its database is closed at the end."""
    settings = Settings(data_dir=folder, port=port)
    database, (network, admin) = copied(settings, _furnish)
    with database.write() as session:
        # The same people in each world of a process, with other policies: none is taken for her of another world.
        session.execute(update(Account).values(generation=next(_GENERATIONS)))
    yield World(settings, database, FakeClock(), Wakes(), network, admin)
    database.dispose()
