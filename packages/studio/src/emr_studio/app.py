"""The composition: which rooms exist, which port is fulfilled by what, and how each part is run.

Everything that knows everything is here; nothing imports this but the command line.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvicorn
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from emr_studio.aws.auth import CredentialStore, SessionAuthenticator
from emr_studio.aws.context import Authorizer
from emr_studio.aws.errors import AwsError
from emr_studio.aws.pipeline import is_aws_request
from emr_studio.clock import Clock, SystemClock
from emr_studio.db import Database, is_reachable
from emr_studio.settings import Settings

if TYPE_CHECKING:
    from emr_studio.aws.pipeline import AwsApplication
    from emr_studio.edge.decisions import Decisions
    from emr_studio.iam.sealing import Sealer
    from emr_studio.keys.ring import KeyRing
    from emr_studio.signin.setup import Front
    from emr_studio.storage.s3_authorization import S3Authorization
    from emr_studio.trail.setup import AuditTrail

DOMAINS = (
    "iam",
    "keys",
    "secrets",
    "glue",
    "suggestions",
    "studios",
    "workspaces",
    "workspaces.repositories",
    "clusters",
    "clusters.steps",
    "clusters.sessions",
    "clusters.scaling",
    "clusters.fleets",
    "clusters.security",
    "clusters.outside",
    "clusters.job_flows",
    "clusters.catalog",
    "clusters.history",
    "trail",
)
"""Rooms with an `operations` module, or a package that loads its own by `load()`."""
TABLES = (
    "leases",
    "iam.model",
    "network.model",
    "network.zones",
    "storage.model",
    "keys.model",
    "secrets.model",
    "glue.model",
    "signin.model",
    "studios.model",
    "workspaces.model",
    "workspaces.repositories.model",
    "clusters.model",
    "clusters.steps.model",
    "clusters.sessions.model",
    "clusters.security.model",
    "clusters.outside.model",
    "clusters.history.model",
    "trail.model",
)
HEALTH = "/_health"
_HOUSE_SECONDS = 60.0
log = logging.getLogger(__name__)


def load_tables() -> None:
    """Import every module that defines tables, so that `Base.metadata` is whole."""
    for name in TABLES:
        importlib.import_module(f"emr_studio.{name}")


def load_operations() -> None:
    """Import every domain's operations, so that the registry is whole."""
    for domain in DOMAINS:
        operations = importlib.import_module(f"emr_studio.{domain}.operations")
        if hasattr(operations, "load"):
            operations.load()


class House:
    """Writes down, now and then, what requests only remember."""

    def __init__(self, database: Database, chores: Sequence[Callable[[Session], None]]) -> None:
        """`chores`: what is to be done in the database, each in a transaction of its own."""
        self._database = database
        self._chores = chores
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._keep, name="house", daemon=True).start()

    def _keep(self) -> None:
        while not self._stop.wait(_HOUSE_SECONDS):
            self._write_down()

    def _write_down(self) -> None:
        for chore in self._chores:
            try:
                with self._database.write() as session:
                    chore(session)
            except (SQLAlchemyError, AwsError):
                log.warning("a chore was not done and will be tried again", exc_info=True)

    def close(self) -> None:
        """Write what is still to be written."""
        self._stop.set()
        self._write_down()


@dataclass(frozen=True)
class ControlPlane:
    """The control plane put together: its ASGI application, and what it does beside requests."""

    application: ASGIApp
    database: Database
    front: Front
    trail: AuditTrail
    house: House
    objects: S3Authorization

    def start(self) -> None:
        """Begin to write down, now and then, what requests only remember, and to bring the trail's records in."""
        self.trail.collector.start()
        self.house.start()

    def close(self) -> None:
        """Write what is still to be written."""
        self.front.sessions.close()
        self.house.close()
        self.trail.collector.close()
        self.objects.close()
        self.database.dispose()


@dataclass(frozen=True)
class _Base:
    """What every process stands on that answers requests: who is it, may she, and the objects."""

    database: Database
    clock: Clock
    sealer: Sealer
    ring: KeyRing
    trail: AuditTrail
    credentials: CredentialStore
    authorizer: Authorizer
    objects: S3Authorization

    @classmethod
    def open(cls, settings: Settings) -> _Base:
        from emr_studio.iam import trust
        from emr_studio.iam.identity import IamAuthorizer, IamCredentialStore
        from emr_studio.iam.sealing import Sealer
        from emr_studio.iam.settled import IamSettled
        from emr_studio.iam.subjects import policies_mention
        from emr_studio.keys.master import Masters
        from emr_studio.keys.objects import KmsObjectKeys
        from emr_studio.keys.ring import KeyRing
        from emr_studio.keys.store_access import WithStore, WithStoreKey
        from emr_studio.storage.kms_way import store_key
        from emr_studio.storage.s3_authorization import S3Authorization
        from emr_studio.storage.s3_ports import S3Ports
        from emr_studio.trail.setup import AuditTrail

        database, clock = Database(settings.sqlalchemy_url), SystemClock()
        sealer = Sealer.load(settings.keys_dir)
        ring = KeyRing(Masters.of(settings, sealer))
        credentials = WithStoreKey(IamCredentialStore(sealer), store_key(settings))
        authorizer = WithStore(IamAuthorizer(sealer))
        trail = AuditTrail.open(settings, database)
        keys = KmsObjectKeys(settings, database, clock, ring)
        ports = S3Ports(
            *(settings, database, clock, credentials, authorizer, trust, policies_mention),
            recorder=trail.recorder,
            keys=keys,
            settled=IamSettled(),
        )
        return cls(database, clock, sealer, ring, trail, credentials, authorizer, S3Authorization(ports))


def build_api(settings: Settings) -> ControlPlane:
    """The control plane: AWS's API, the edge's questions, sign-in, the console, credentials."""
    from emr_studio.aws.pagination import MarkerSealer
    from emr_studio.aws.pipeline import AwsApplication
    from emr_studio.aws.registry import registry
    from emr_studio.console.pages import console_routes
    from emr_studio.controllers import SocketWaker, Waker
    from emr_studio.edge.decisions import Decisions
    from emr_studio.edge.presign import Presigner
    from emr_studio.iam.authorization_message import KeptMessages
    from emr_studio.iam.container_credentials import container_credentials
    from emr_studio.iam.federation.issuers import IssuerKeys
    from emr_studio.iam.sealing import Sealer
    from emr_studio.keys.ring import KeyRing
    from emr_studio.signin.presence import Presence
    from emr_studio.signin.setup import compose
    from emr_studio.suggestions.model import CodeModel
    from emr_studio.trail.collector import Collector
    from emr_studio.trail.denials import KeptDenials
    from emr_studio.workspaces.repositories.credentials import GitCredentials

    load_tables()
    load_operations()
    base = _Base.open(settings)
    database, clock, sealer, ring, trail = base.database, base.clock, base.sealer, base.ring, base.trail
    credentials, authorizer, objects = base.credentials, base.authorizer, base.objects
    front = compose(settings, database, clock, authorizer, recorder=trail.recorder)
    ports: Mapping[type[Any], Any] = {
        Settings: settings,
        Sealer: sealer,
        IssuerKeys: IssuerKeys(clock),
        KeyRing: ring,
        Waker: SocketWaker(settings),
        Presigner: front.presigned,
        MarkerSealer: MarkerSealer.load(settings.keys_dir),
        Collector: trail.collector,
        KeptMessages: KeptDenials(trail.collector),
        CodeModel: CodeModel(settings, clock),
    }
    decisions = Decisions()
    decisions.register("workspace", front.workspace_edge)
    decisions.register("appui", front.app_ui_edge)
    _ways_to_compute(decisions, database, clock, sealer)
    objects.register(decisions)
    api = AwsApplication(
        database,
        clock,
        registry,
        credentials=credentials,
        sessions=front.sessions,
        authorizer=authorizer,
        ports=ports,
        recorder=trail.recorder,
        region=settings.region,
    )
    routes: list[BaseRoute] = [
        Route(HEALTH, _health(database)),
        Route("/_credentials", container_credentials(database, clock, sealer, settings.credentials_seconds)),
        *front.sign_in.routes(),
        *_panels(settings, database, clock, front, api),
        *GitCredentials(database, clock, api.answer).routes(),
        *Presence(settings, database, clock, front.sessions, front.issuer).routes(),
        *console_routes(
            lambda account_id: _console_defaults(settings, database, account_id),
            lambda request: _account_of(database, front.sessions, request),
        ),
    ]
    house = House(database, _chores(ring, clock))
    application = decisions.serving(objects.serving(_Door(api, Starlette(routes=routes))))
    return ControlPlane(application, database, front, trail, house, objects)


def _ways_to_compute(decisions: Decisions, database: Database, clock: Clock, sealer: Sealer) -> None:
    """Sessions, gateways and Livy by their tokens; and out of a Workspace, by the rules of its security group."""
    from emr_studio.clusters.livy.credentials import LivyEdge
    from emr_studio.clusters.sessions.credentials import GatewayEdge
    from emr_studio.clusters.sessions.edge import SparkEdge
    from emr_studio.workspaces.egress import EgressGate

    decisions.register("spark", SparkEdge(database, clock, sealer))
    decisions.register("gateway", GatewayEdge(database, clock, sealer))
    decisions.register("livy", LivyEdge(database, clock, sealer))
    decisions.register("egress", EgressGate(database))


def _panels(settings: Settings, database: Database, clock: Clock, front: Front, api: AwsApplication) -> list[BaseRoute]:
    """What the pages of Workspaces ask of us."""
    from emr_studio.runtime.client import LocalRuntime
    from emr_studio.signin.panel_api import PanelApi

    return PanelApi(settings, database, clock, front.sessions, api.answer, LocalRuntime(settings)).routes()


def _chores(ring: KeyRing, clock: Clock) -> Sequence[Callable[[Session], None]]:
    from emr_studio.iam import uses
    from emr_studio.keys import making
    from emr_studio.secrets import upkeep

    return (
        uses.flush,
        lambda session: making.keep(session, ring, clock.now()),
        lambda session: upkeep.keep(session, clock.now()),
    )


class _Door:
    """What is signed or says an operation goes to the AWS API, all else to pages and small routes."""

    def __init__(self, api: ASGIApp, pages: ASGIApp) -> None:
        self._api = api
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The edge's questions about S3 carry the client's signature, but are not for the API.
        ours = scope["type"] != "http" or scope["path"].startswith("/_")
        from_aws = not ours and is_aws_request(scope)
        await (self._api if from_aws else self._pages)(scope, receive, send)


def _health(database: Database) -> Any:
    def endpoint(_request: Request) -> Response:
        good = is_reachable(database)
        return PlainTextResponse("ok\n" if good else "the database does not answer\n", 200 if good else 503)

    return endpoint


def _account_of(database: Database, sessions: SessionAuthenticator, request: Request) -> str | None:
    """The account of who is signed in; None if nobody is."""
    with database.read() as session:
        caller = sessions.authenticate(session, request.headers)
    return None if caller is None else caller.account_id


def _console_defaults(settings: Settings, database: Database, account_id: str) -> dict[str, Any]:
    """What the console's forms are filled with."""
    from emr_studio.clusters.catalog.releases import releases
    from emr_studio.iam.bootstrap import EC2_ROLE, EMR_ROLE, SERVICE_ROLE, bucket_name
    from emr_studio.network.model import ensure_default_network

    with database.write() as session:
        network = ensure_default_network(session, settings, account_id)
    return {
        "vpcId": network.vpc_id,
        "subnetIds": list(network.subnet_ids),
        "engineSecurityGroupId": network.engine_security_group_id,
        "workspaceSecurityGroupId": network.workspace_security_group_id,
        "workspaceSecurityGroupWithoutGitId": network.workspace_security_group_without_git_id,
        "serviceRole": SERVICE_ROLE,
        "defaultS3Location": f"s3://{bucket_name(settings)}/workspaces",
        "releaseLabels": [release.label for release in releases()],
        "instanceTypes": ["m5.xlarge", "m5.2xlarge", "r5.xlarge"],
        "jobFlowRole": EC2_ROLE,
        "emrServiceRole": EMR_ROLE,
        "region": settings.region,
        "accountId": account_id,
    }


def run_api(settings: Settings) -> None:
    """Serve the control plane on its unix socket until SIGTERM.

    Only our own user (so the edge) can open the socket: what the edge says of a client is believed there.
    """
    from emr_studio.runtime.agent import listen

    os.umask(0o077)
    plane = build_api(settings)
    # AWS's models are a million objects that never go: a full collection over them stops every request.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    plane.start()
    config = uvicorn.Config(
        plane.application,
        log_level=settings.log_level.lower(),
        access_log=False,
        server_header=False,
        date_header=True,
        lifespan="off",
        # Much longer than the edge keeps a connection: one that it uses must not be closed in that moment, though this
        # process had to wait for a processor.
        timeout_keep_alive=60,
        timeout_graceful_shutdown=5,
    )
    # Not uvicorn's own `uds`: it opens the socket to every user of the machine (mode 666).
    with listen(settings.api_socket) as listener:
        uvicorn.Server(config).run(sockets=[listener])
    plane.close()


def run_lane(settings: Settings) -> None:
    """Listen at the studio's port, and serve what goes straight to the store, until SIGTERM."""
    from emr_studio.iam import uses
    from emr_studio.lane.server import serve
    from emr_studio.lane.store_pool import Pool
    from emr_studio.lane.straight import Straight
    from emr_studio.storage.inside import Insides, enter

    os.umask(0o077)
    load_tables()
    base, pool = _Base.open(settings), Pool(enter)
    house = House(base.database, [uses.flush])
    house.start()
    base.trail.collector.start()
    try:
        serve(settings, base.objects, pool, Straight(pool, Insides(settings)))
    finally:
        house.close()
        base.trail.collector.close()
        base.objects.close()
        base.database.dispose()


def run_controller(settings: Settings) -> None:
    """Run all controllers until SIGTERM."""
    from emr_studio.clusters.controller import ClusterReconciler
    from emr_studio.clusters.history.controller import HistoryReconciler
    from emr_studio.clusters.logs.appinfo import AppInfo
    from emr_studio.clusters.logs.archive import LogArchive
    from emr_studio.clusters.logs.controller import LogPusher
    from emr_studio.clusters.probe import NodeProbe
    from emr_studio.clusters.sessions.controller import SessionReconciler
    from emr_studio.clusters.spares import SpareKeeper
    from emr_studio.clusters.tools import Tools
    from emr_studio.controllers import ControllerManager, OrphanSweep, Reconciler
    from emr_studio.edge.identity import IdentityIssuer
    from emr_studio.iam.identity import IamAuthorizer
    from emr_studio.runtime.client import LocalRuntime
    from emr_studio.trail.controller import StoreWriter, TrailHousekeeping, TrailReconciler
    from emr_studio.workspaces.controller import WorkspaceReconciler
    from emr_studio.workspaces.repositories.controller import RepositoryReconciler

    load_tables()
    database, clock, runtime = Database(settings.sqlalchemy_url), SystemClock(), LocalRuntime(settings)
    public_key = IdentityIssuer(settings).public_key_pem
    workspaces = WorkspaceReconciler(database, clock, runtime, settings, identity_public_key=public_key)
    appinfo = AppInfo(settings, database, clock)
    archive = LogArchive(settings, appinfo)
    clusters = ClusterReconciler(database, clock, runtime, settings, archive=archive)
    pusher = LogPusher(database, clock, archive)
    history = HistoryReconciler(Tools(database, clock, runtime, settings, NodeProbe()), appinfo)
    sessions = SessionReconciler(database, clock, runtime, settings)
    spares = SpareKeeper(database, clock, settings, NodeProbe())
    sweep = OrphanSweep(runtime, [workspaces, clusters, sessions, history])
    trails = TrailReconciler(database, clock, settings, IamAuthorizer(), StoreWriter(settings))
    house = TrailHousekeeping(database, clock, settings)
    repositories = RepositoryReconciler(database, clock, runtime)
    of_compute: list[Reconciler] = [clusters, sessions, spares, pusher, history]
    reconcilers: list[Reconciler] = [workspaces, repositories, *of_compute, sweep, trails, house]
    manager = ControllerManager(reconcilers, database, clock, settings.controller_socket)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: manager.request_stop())
    manager.run()


def run_agent(settings: Settings) -> None:
    """Run the host agent until SIGTERM; workloads live on."""
    from emr_studio.runtime.agent import run_agent as run

    run(settings)


def run_edge(settings: Settings) -> None:
    """Become Caddy."""
    from emr_studio.edge.caddy import run_edge as run

    run(settings)


def run_store(settings: Settings) -> None:
    """Become the embedded object store."""
    from emr_studio.storage.store import run_store as run

    run(settings, hidden=True)


_PARTS = {
    "api": run_api,
    "controller": run_controller,
    "agent": run_agent,
    "edge": run_edge,
    "lane": run_lane,
    "store": run_store,
}


def run_part(name: str) -> None:
    """Run one part of the studio in this process, with the settings of the environment."""
    settings = Settings()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # A line for every look at a cluster.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    _PARTS[name](settings)
