"""Trails delivered into the real store, and tampering that the stock `aws cloudtrail validate-logs` finds.

The controller's turns are taken by hand, at a time of the test's own.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sqlalchemy import select

from emr_studio import app
from emr_studio.clock import SystemClock
from emr_studio.db import Database
from emr_studio.iam.identity import IamAuthorizer
from emr_studio.trail.controller import Refused, StoreWriter, TrailHousekeeping, TrailReconciler
from emr_studio.trail.model import EventResource
from tests.support.iam_api import OffsetClock
from tests.support.s3_rig import Rig, s3_rig
from tests.support.trail_api import ACCOUNT, cloudtrail_policy

BUCKET = "audit"
LOGS = f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/"
DIGESTS = f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/us-east-1/"


class Failing:
    """A way to S3 that fails, or dies after the object is there."""

    def __init__(self, writer: StoreWriter) -> None:
        self._writer = writer
        self.then: type[BaseException] | None = None
        self.puts: list[tuple[str, bytes]] = []

    def put(self, bucket: str, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        self.puts.append((key, body))
        if self.then is Refused:
            raise Refused("ServiceUnavailable")
        self._writer.put(bucket, key, body, metadata)
        if self.then is not None:
            raise self.then("killed")


@dataclass
class Deliveries:
    """A rig with a trail controller that is driven by hand."""

    rig: Rig
    database: Database
    clock: OffsetClock
    writer: Failing
    trails: TrailReconciler
    house: TrailHousekeeping
    start: str

    def turn(self, minutes: float = 0) -> None:
        """Let time pass; deliver all that is due."""
        self.clock.seconds += minutes * 60
        # Any call of LookupEvents brings in what the control plane wrote down.
        self.rig.client(service="cloudtrail").lookup_events(MaxResults=1)
        for trail_id in self.trails.pending():
            while self.trails.reconcile(trail_id) == 0:
                pass

    def keys(self, prefix: str) -> list[str]:
        found = self.rig.client().list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return [item["Key"] for item in found]

    def records(self) -> list[dict[str, Any]]:
        """All records in the bucket."""
        s3 = self.rig.client()
        bodies = [s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in self.keys(LOGS)]
        return [record for body in bodies for record in json.loads(gzip.decompress(body))["Records"]]

    def validate(self, *more: str) -> subprocess.CompletedProcess[str]:
        """The stock CLI's verdict, through `emr-studio trail`."""
        end = (self.clock.now() + dt.timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
        argv = [
            *(sys.executable, "-m", "emr_studio.cli", "trail", "validate-logs", "--verbose"),
            *("--trail-arn", f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/main"),
            *("--start-time", self.start, "--end-time", end, *more),
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment |= self.rig.admin.environment() | {
            "AWS_ENDPOINT_URL": self.rig.url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/dev/null",
        }
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deliveries]:
    with s3_rig(tmp_path_factory.mktemp("delivery")) as rig:
        app.load_tables()
        database, clock = Database(rig.settings.sqlalchemy_url), OffsetClock()
        writer = Failing(StoreWriter(rig.settings))
        trails = TrailReconciler(database, clock, rig.settings, IamAuthorizer(), writer)
        house = TrailHousekeeping(database, clock, rig.settings)
        start = (SystemClock().now() - dt.timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
        s3, cloudtrail = rig.client(), rig.client(service="cloudtrail")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(cloudtrail_policy(BUCKET)))
        cloudtrail.create_trail(Name="main", S3BucketName=BUCKET, EnableLogFileValidation=True)
        cloudtrail.start_logging(Name="main")
        yield Deliveries(rig, database, clock, writer, trails, house, start)
        database.dispose()


def test_log_files_and_digests(made: Deliveries) -> None:
    iam = made.rig.client(service="iam")
    iam.create_user(UserName="before")
    made.turn()
    assert made.keys(LOGS) == [], "not yet"
    days = [made.clock.now() + dt.timedelta(minutes=6)]
    made.turn(minutes=6)
    (key,) = made.keys(LOGS)
    name = key.rpartition("/")[2]
    days.append(made.clock.now())  # another one after midnight
    assert key.startswith(tuple(f"{LOGS}{day:%Y/%m/%d}/{ACCOUNT}_CloudTrail_us-east-1_{day:%Y%m%dT}" for day in days))
    assert len(name.rpartition("_")[2]) == len("0123456789abcdef.json.gz")
    shown = [(record["eventName"], record.get("requestParameters")) for record in made.records()]
    assert ("CreateUser", {"userName": "before"}) in shown
    assert "CreateTrail" not in [name for name, _ in shown], "it came before StartLogging"
    ids = [record["eventID"] for record in made.records()]
    assert len(set(ids)) == len(ids)
    iam.delete_user(UserName="before")
    made.turn(minutes=60)
    assert len(made.keys(LOGS)) == 2
    assert len(made.keys(DIGESTS)) == 1
    status = made.rig.client(service="cloudtrail").get_trail_status(Name="main")
    assert {"LatestDeliveryTime", "LatestDigestDeliveryTime"} <= set(status)
    assert "LatestDeliveryError" not in status


def test_untouched_files_are_valid(made: Deliveries) -> None:
    made.rig.client(service="sts").get_caller_identity()
    made.turn(minutes=61)
    assert len(made.keys(DIGESTS)) == 2
    done = made.validate()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2/2 digest files valid" in done.stdout
    assert "log files valid" in done.stdout
    assert "INVALID" not in done.stdout + done.stderr


def test_an_aborted_delivery_is_made_again_with_the_same_bytes(made: Deliveries) -> None:
    made.rig.client(service="iam").list_users()
    made.writer.puts.clear()
    made.writer.then = KeyboardInterrupt  # as kill -9: the object is there, nobody noted it
    with pytest.raises(KeyboardInterrupt):
        made.turn(minutes=6)
    made.writer.then = None
    made.rig.client(service="iam").list_roles()
    made.turn()
    (first, second) = made.writer.puts[:2]
    assert first == second
    names = [record["eventName"] for record in made.records()]
    assert "ListUsers" in names
    ids = [record["eventID"] for record in made.records()]
    assert len(set(ids)) == len(ids)


def test_a_store_that_is_away_delays(made: Deliveries) -> None:
    made.rig.client(service="iam").list_groups()
    made.writer.then = Refused
    made.turn(minutes=6)
    cloudtrail = made.rig.client(service="cloudtrail")
    assert cloudtrail.get_trail_status(Name="main")["LatestDeliveryError"] == "ServiceUnavailable"
    assert made.trails.pending() == [], "it rests before the next attempt"
    made.writer.then = None
    made.turn(minutes=1)
    assert "LatestDeliveryError" not in cloudtrail.get_trail_status(Name="main")
    assert "ListGroups" in [record["eventName"] for record in made.records()]


def test_a_bucket_that_shuts_cloudtrail_out(made: Deliveries) -> None:
    s3, cloudtrail = made.rig.client(), made.rig.client(service="cloudtrail")
    s3.delete_bucket_policy(Bucket=BUCKET)
    made.turn(minutes=6)
    assert cloudtrail.get_trail_status(Name="main")["LatestDeliveryError"] == "AccessDenied"
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(cloudtrail_policy(BUCKET)))
    made.turn(minutes=1)
    assert "DeleteBucketPolicy" in [record["eventName"] for record in made.records()]


def test_objects_are_recorded_where_a_trail_asks_and_denials_always(made: Deliveries) -> None:
    rig = made.rig
    rig.client().create_bucket(Bucket="lake")
    ann = rig.user("lake-ann", {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::lake/ann/*"},
    })  # fmt: skip
    s3 = rig.client(ann)
    s3.put_object(Bucket="lake", Key="ann/quiet", Body=b"x")
    with pytest.raises(ClientError):
        s3.get_object(Bucket="lake", Key="bob/secret")
    with pytest.raises(ClientError):
        s3.list_objects_v2(Bucket="lake")
    s3.delete_objects(Bucket="lake", Delete={"Objects": [{"Key": "ann/quiet"}, {"Key": "bob/secret"}]})
    shown = _events(rig, "Username", "lake-ann")
    assert [(event["eventName"], event.get("errorCode")) for event in shown] == [
        ("DeleteObjects", "AccessDenied"),
        ("ListObjects", "AccessDenied"),
        ("GetObject", "AccessDenied"),
    ]
    denied = shown[-1]
    assert (denied["managementEvent"], denied["eventCategory"]) == (False, "Data")
    assert denied["requestParameters"]["key"] == "bob/secret"
    assert {"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::lake/bob/secret"} in denied["resources"]
    cloudtrail = rig.client(service="cloudtrail")
    objects = {"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::lake/ann/"]}
    cloudtrail.put_event_selectors(
        TrailName="main", EventSelectors=[{"ReadWriteType": "WriteOnly", "DataResources": [objects]}]
    )
    made.turn(minutes=6)
    _until_interested(made, s3)
    names = [(record["eventName"], record["requestParameters"].get("key")) for record in made.records()
             if record["eventSource"] == "s3.amazonaws.com" and record["requestParameters"]]  # fmt: skip
    assert ("PutObject", "ann/loud") in names
    assert ("GetObject", "ann/loud") not in names, "WriteOnly"
    assert ("PutObject", "ann/quiet") not in names
    assert "CreateBucket" in [event["eventName"] for event in _events(rig, "ResourceName", "lake")]


def _until_interested(made: Deliveries, s3: Any) -> None:
    """The control plane reads every two seconds which trails want data events."""
    for _ in range(100):
        s3.put_object(Bucket="lake", Key="ann/loud", Body=b"x")
        s3.get_object(Bucket="lake", Key="ann/loud")
        made.turn(minutes=6)
        if any((record["requestParameters"] or {}).get("key") == "ann/loud" for record in made.records()):
            return
    raise AssertionError("the object was never recorded")


def _events(rig: Rig, key: str, value: str) -> list[dict[str, Any]]:
    attributes = [{"AttributeKey": key, "AttributeValue": value}]
    found = rig.client(service="cloudtrail").lookup_events(LookupAttributes=attributes)["Events"]
    return [json.loads(event["CloudTrailEvent"]) for event in found]


def test_strangers_at_the_store(made: Deliveries) -> None:
    """Unsigned and forged requests: in the trail of whom they concern."""
    reply = made.rig.raw(f"GET /lake/ann/x HTTP/1.1\r\nHost: {made.rig.host}\r\nConnection: close\r\n\r\n".encode())
    assert reply.status >= 400
    events = _events(made.rig, "EventName", "GetObject")
    anonymous = [event for event in events if event["userIdentity"].get("accountId") == "anonymous"]
    assert anonymous or reply.status == 404, "a page's own address is no request to S3"


def test_a_changed_log_file_is_found(made: Deliveries) -> None:
    made.turn(minutes=61)
    assert made.validate().returncode == 0
    s3, key = made.rig.client(), made.keys(LOGS)[0]
    kept = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    changed = json.loads(gzip.decompress(kept))
    changed["Records"] = changed["Records"][1:]
    s3.put_object(Bucket=BUCKET, Key=key, Body=gzip.compress(json.dumps(changed).encode()))
    done = made.validate()
    assert done.returncode == 1
    assert f"{key}\tINVALID: hash value doesn't match" in done.stdout + done.stderr
    s3.put_object(Bucket=BUCKET, Key=key, Body=kept)
    assert made.validate().returncode == 0


def test_a_removed_log_file_is_found(made: Deliveries) -> None:
    s3, key = made.rig.client(), made.keys(LOGS)[0]
    kept = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    s3.delete_object(Bucket=BUCKET, Key=key)
    done = made.validate()
    assert done.returncode == 1
    assert f"{key}\tINVALID: not found" in done.stdout + done.stderr
    s3.put_object(Bucket=BUCKET, Key=key, Body=kept)


def test_changed_and_removed_digests_are_found(made: Deliveries) -> None:
    # Not the newest: that one is missed by nobody.
    s3, key = made.rig.client(), made.keys(DIGESTS)[-2]
    kept = s3.get_object(Bucket=BUCKET, Key=key)
    body, metadata = kept["Body"].read(), kept["Metadata"]
    changed = json.loads(gzip.decompress(body)) | {"logFiles": []}
    s3.put_object(Bucket=BUCKET, Key=key, Body=gzip.compress(json.dumps(changed).encode()), Metadata=metadata)
    done = made.validate()
    assert done.returncode == 1
    assert f"{key}\tINVALID: signature verification failed" in done.stdout + done.stderr
    s3.delete_object(Bucket=BUCKET, Key=key)
    done = made.validate()
    assert done.returncode == 1
    assert f"{key}\tINVALID: not found" in done.stdout + done.stderr
    s3.put_object(Bucket=BUCKET, Key=key, Body=body, Metadata=metadata)
    assert made.validate().returncode == 0


def test_stopped_and_deleted(made: Deliveries) -> None:
    cloudtrail, iam = made.rig.client(service="cloudtrail"), made.rig.client(service="iam")
    iam.create_user(UserName="while-logging")
    cloudtrail.stop_logging(Name="main")
    iam.create_user(UserName="while-stopped")
    cloudtrail.start_logging(Name="main")
    iam.create_user(UserName="after-the-pause")
    made.turn(minutes=6)  # what it owed of the time before the pause
    made.turn(minutes=6)
    text = json.dumps(made.records())
    assert "while-logging" in text
    assert "while-stopped" not in text
    assert "after-the-pause" in text
    cloudtrail.delete_trail(Name="main")
    made.turn(minutes=61)
    assert made.keys(LOGS), "its files stay"


def test_old_records_are_forgotten(made: Deliveries) -> None:
    assert _events(made.rig, "EventName", "CreateTrail")
    made.clock.seconds += 91 * 86400
    assert not made.house.forget()
    assert _events(made.rig, "EventName", "CreateTrail") == []
    made.clock.seconds -= 91 * 86400


def test_a_killed_control_plane_loses_no_record(made: Deliveries) -> None:
    """kill -9 right after the answer. The last test: nobody starts the control plane again here."""
    iam = made.rig.client(service="iam")
    for number in range(20):
        iam.create_user(UserName=f"last-words-{number}")
    record = json.loads((made.rig.settings.run_dir / "supervisor.json").read_text())
    os.kill(record["parts"]["api"]["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 120
    while len(found := _last_words(made)) < 20:
        assert time.monotonic() < deadline, found
        made.house.reconcile("house")  # the controllers adopt its journal once it is dead
    assert sorted(found) == sorted(f"last-words-{number}" for number in range(20))


def _last_words(made: Deliveries) -> list[str]:
    with made.database.read() as session:
        wanted = select(EventResource.name).where(EventResource.name.startswith("last-words"))
        return list(session.scalars(wanted))
