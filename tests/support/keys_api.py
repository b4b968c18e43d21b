"""KMS, Secrets Manager and Glue served with IAM, for API tests: real HTTP, real boto3, a clock that tests may move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from emr_studio.app import load_tables
from emr_studio.aws.auth import NoSessions
from emr_studio.aws.pagination import MarkerSealer
from emr_studio.aws.pipeline import AwsApplication
from emr_studio.aws.registry import registry
from emr_studio.db import Base, Database
from emr_studio.iam.bootstrap import create_account, ensure_account
from emr_studio.iam.identity import IamAuthorizer, IamCredentialStore
from emr_studio.iam.model import Account
from emr_studio.iam.sealing import Sealer
from emr_studio.keys.master import FileMaster, Masters
from emr_studio.keys.ring import KeyRing
from emr_studio.settings import Settings
from tests.support.api_server import serve
from tests.support.iam_api import OTHER, IamWorld, OffsetClock


class KeysWorld(IamWorld):
    """A served world with the ring of its keys."""

    ring: KeyRing
    clock: OffsetClock
    settings: Settings


@contextmanager
def served_keys(folder: Path, masters: Masters | None = None) -> Iterator[KeysWorld]:
    """Serve all operations from a new database (or the one in `folder`)."""
    settings, clock = Settings(data_dir=folder), OffsetClock()
    settings.keys_dir.mkdir(parents=True, exist_ok=True)
    load_tables()
    for room in ("iam", "keys", "secrets", "glue"):
        import_module(f"emr_studio.{room}.operations")
    database = Database(settings.sqlalchemy_url)
    Base.metadata.create_all(database.engine)
    sealer = Sealer.load(settings.keys_dir)
    with database.write() as session:
        sample = ensure_account(session, settings, clock)
        other_root = ("", "")
        if session.get(Account, OTHER) is None:
            _, key, secret = create_account(session, sealer, OTHER, "aws", clock.now())
            other_root = (key.id, secret)
    ring = KeyRing(masters or Masters(FileMaster(sealer)))
    ports = {Sealer: sealer, Settings: settings, KeyRing: ring, MarkerSealer: MarkerSealer.load(settings.keys_dir)}
    application = AwsApplication(
        database,
        clock,
        registry,
        credentials=IamCredentialStore(sealer),
        sessions=NoSessions(),
        authorizer=IamAuthorizer(sealer),
        ports=ports,
    )
    with serve(application) as endpoint:
        world = KeysWorld(endpoint, sample, other_root, database, sealer, clock)
        world.ring, world.settings = ring, settings
        yield world
    database.dispose()
