"""What the audit trail costs a request: the control plane's requests per second with it and without.

The pipeline itself is measured, in one thread, without HTTP: signature, policies, the operation, the
record, with the collector bringing the records into the database meanwhile. With HTTP and the edge
before it, the share of the trail is smaller still.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench.results import Figure, higher_is_better
from emr_studio import app
from emr_studio.aws.auth import NoSessions
from emr_studio.aws.pipeline import AwsApplication
from emr_studio.aws.registry import registry
from emr_studio.aws.wire import WireRequest
from emr_studio.clock import SystemClock
from emr_studio.db import Base, Database
from emr_studio.iam.bootstrap import Person, ensure_account
from emr_studio.iam.identity import IamAuthorizer, IamCredentialStore
from emr_studio.iam.sealing import Sealer
from emr_studio.settings import Settings
from emr_studio.trail.setup import AuditTrail
from tests.support.studio import Studio

PEER = "without the trail"
ROUNDS, SECONDS = 5, 2.0
_CALLS = {
    "GetCallerIdentity": ("sts", {"Content-Type": "application/x-www-form-urlencoded"},
                          "Action=GetCallerIdentity&Version=2011-06-15"),
    "GetUser": ("iam", {"Content-Type": "application/x-www-form-urlencoded"},
                "Action=GetUser&Version=2010-05-08&UserName=admin"),
}  # fmt: skip


def measure(_studio: Studio | None = None) -> list[Figure]:
    """Both in turn, on a database of their own."""
    app.load_tables()
    app.load_operations()
    with tempfile.TemporaryDirectory(prefix="trail-") as folder:
        settings = Settings(data_dir=Path(folder))
        database = Database(settings.sqlalchemy_url)
        Base.metadata.create_all(database.engine)
        with database.write() as session:
            person = ensure_account(session, settings, SystemClock()).admin
        trail = AuditTrail.open(settings, database)
        trail.collector.start()
        on, off = _application(settings, database, trail), _application(settings, database, None)
        figures = [_figure(name, on, off, person) for name in _CALLS]
        trail.collector.close()
        database.dispose()
    return figures


def _application(settings: Settings, database: Database, trail: AuditTrail | None) -> AwsApplication:
    sealer = Sealer.load(settings.keys_dir)
    return AwsApplication(
        database,
        SystemClock(),
        registry,
        credentials=IamCredentialStore(sealer),
        sessions=NoSessions(),
        authorizer=IamAuthorizer(),
        ports={Settings: settings, Sealer: sealer},
        recorder=trail.recorder if trail else None,
    )


def _figure(name: str, on: AwsApplication, off: AwsApplication, person: Person) -> Figure:
    rounds = [(_rate(on, name, person), _rate(off, name, person)) for _ in range(ROUNDS)]
    ours, peer = [pair[0] for pair in rounds], [pair[1] for pair in rounds]
    return higher_is_better(f"{name} requests per second with the audit trail", "req/s", ours, peer, PEER)


def _rate(application: AwsApplication, name: str, person: Person) -> float:
    request = _signed(name, person)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        if application.answer(request).status != 200:
            raise RuntimeError(f"{name} failed")
        count += 1
    return count / (time.perf_counter() - start)


def _signed(name: str, person: Person) -> WireRequest:
    service, headers, body = _CALLS[name]
    request = AWSRequest("POST", "http://localhost:8080/", headers=headers, data=body)
    SigV4Auth(Credentials(person.access_key_id, person.secret_access_key), service, "us-east-1").add_auth(request)
    sent = {name.lower(): value for name, value in request.headers.items()} | {"host": "localhost:8080"}
    return WireRequest("POST", "/", "", sent, body.encode())


if __name__ == "__main__":
    from bench import results

    print(results.table(measure()))
