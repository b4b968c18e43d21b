"""EMR and IAM served by themselves: real HTTP, stock boto3 with our overlay, the controllers running.

Workspaces run in the in-process runtime: no JupyterLab is started.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emr_studio.aws.auth import NoSessions
from emr_studio.aws.pagination import MarkerSealer
from emr_studio.aws.pipeline import AwsApplication
from emr_studio.aws.registry import registry
from emr_studio.clock import SystemClock
from emr_studio.controllers import ControllerManager, OrphanSweep, Reconciler, SocketWaker, Waker
from emr_studio.edge.presign import Presigner
from emr_studio.iam import entities, writing
from emr_studio.iam import operations as iam_operations
from emr_studio.iam.identity import IamAuthorizer, IamCredentialStore
from emr_studio.iam.sealing import Sealer
from emr_studio.keys import operations as keys_operations
from emr_studio.keys.master import FileMaster, Masters
from emr_studio.keys.ring import KeyRing
from emr_studio.runtime.inprocess import InProcessRuntime
from emr_studio.secrets import operations as secrets_operations
from emr_studio.settings import Settings
from emr_studio.workspaces.controller import WorkspaceReconciler
from emr_studio.workspaces.repositories import operations as repositories_operations
from emr_studio.workspaces.repositories.controller import RepositoryReconciler
from tests.support.api_server import serve
from tests.support.aws_clients import client
from tests.support.emr_world import ACCOUNT, Links, World, emr_world

REGISTERED = (iam_operations, keys_operations, secrets_operations, repositories_operations)
"""Importing them registered what can be called."""


@dataclass
class EmrApi:
    """A served world. `admin` may do everything."""

    endpoint: str
    world: World
    runtime: InProcessRuntime
    sealer: Sealer
    application: AwsApplication

    def user(self, name: str, *statements: Mapping[str, Any]) -> Any:
        """A new user's `emr` client; without statements she may do everything."""
        self.world.user(name, *statements)
        return self.client("emr", *self.key(name))

    def key(self, name: str) -> tuple[str, str]:
        """A new access key of a user."""
        with self.world.database.write() as session:
            user = entities.get_user(session, ACCOUNT, name)
            key, secret = writing.new_access_key(session, self.sealer, ACCOUNT, user.id, SystemClock().now())
            return key.id, secret

    def client(self, service: str, key_id: str, secret: str, token: str | None = None) -> Any:
        """A stock boto3 client whose data path holds our overlay."""
        return client(service, self.endpoint, key_id, secret, token)


def until(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    """Wait for a condition; fail after `seconds`."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "the condition did not come true"
        Event().wait(0.01)


def refused(call: Any, **arguments: Any) -> tuple[str, int, str]:
    """(code, status, message) of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


def put_policy(iam: Any, user: str, *statements: Mapping[str, Any]) -> None:
    """Replace a user's inline policy by these statements."""
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    iam.put_user_policy(UserName=user, PolicyName="own", PolicyDocument=json.dumps(document))


@contextmanager
def served_emr(folder: Path, poll_seconds: float = 1.0) -> Iterator[EmrApi]:
    """Serve EMR and IAM from a new database, with running controllers that look around every `poll_seconds`."""
    with emr_world(folder) as world:
        settings, database, clock = world.settings, world.database, SystemClock()
        sealer, runtime = Sealer.load(settings.keys_dir), InProcessRuntime(instant=True)
        ports: dict[type[Any], Any] = {
            Settings: settings,
            Sealer: sealer,
            Waker: SocketWaker(settings),
            Presigner: Links(),
            MarkerSealer: MarkerSealer(b"secret"),
            KeyRing: KeyRing(Masters(FileMaster(sealer))),
        }
        application = AwsApplication(
            database,
            clock,
            registry,
            credentials=IamCredentialStore(sealer),
            sessions=NoSessions(),
            authorizer=IamAuthorizer(),
            ports=ports,
        )
        workspaces = WorkspaceReconciler(database, clock, runtime, settings, identity_public_key="PEM")
        repositories = RepositoryReconciler(database, clock, runtime)
        reconcilers: list[Reconciler] = [workspaces, repositories, OrphanSweep(runtime, [workspaces])]
        manager = ControllerManager(reconcilers, database, clock, settings.controller_socket, poll_seconds=poll_seconds)
        manager.start()
        try:
            with serve(application) as endpoint:
                yield EmrApi(endpoint, world, runtime, sealer, application)
        finally:
            manager.stop()
