"""The whole control plane with its trail, served without an edge: IAM, STS, EMR, CloudTrail over real HTTP.

with served_trail(folder) as api:
    api.client("cloudtrail").lookup_events()
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emr_studio import app
from emr_studio.clock import SystemClock
from emr_studio.db import Base, Database
from emr_studio.iam.bootstrap import Person, create_account, ensure_account
from emr_studio.iam.sealing import Sealer
from emr_studio.network.model import ensure_default_network
from emr_studio.settings import Settings
from emr_studio.storage.model import Bucket
from emr_studio.trail.setup import AuditTrail
from tests.support.api_server import serve
from tests.support.aws_clients import client

ACCOUNT = "123456789012"
OTHER = "210987654321"
BUCKET = "audit-logs"


@dataclass
class TrailApi:
    """A served control plane; clients are the administrator's unless keys are given."""

    endpoint: str
    settings: Settings
    database: Database
    trail: AuditTrail
    admin: Person
    other_root: tuple[str, str]

    def client(self, service: str, key: str = "", secret: str = "", token: str | None = None) -> Any:
        keys = (key or self.admin.access_key_id, secret or self.admin.secret_access_key, token)
        return client(service, self.endpoint, *keys)

    def events(self, key: str = "", value: str = "", **arguments: Any) -> list[dict[str, Any]]:
        """The records that LookupEvents finds, read; the newest first."""
        if key:
            arguments["LookupAttributes"] = [{"AttributeKey": key, "AttributeValue": value}]
        found = self.client("cloudtrail").get_paginator("lookup_events").paginate(**arguments)
        return [json.loads(event["CloudTrailEvent"]) for page in found for event in page["Events"]]

    def user(self, name: str, *statements: Mapping[str, Any]) -> tuple[str, str]:
        """A new user with these statements; returns her key."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        if statements:
            document = {"Version": "2012-10-17", "Statement": list(statements)}
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(document))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def bucket(self, name: str = BUCKET, policy: Mapping[str, Any] | None = None) -> str:
        """A bucket in the table (no store runs); CloudTrail may write to it unless a policy is given."""
        document = cloudtrail_policy(name) if policy is None else policy
        with self.database.write() as session:
            now = SystemClock().now()
            row = Bucket(name=name, account_id=ACCOUNT, region="us-east-1", created=now, policy=json.dumps(document))
            session.merge(row)
        return name


def cloudtrail_policy(bucket: str, prefix: str = "") -> dict[str, Any]:
    """The bucket policy that AWS's documentation asks for."""
    principal = {"Service": "cloudtrail.amazonaws.com"}
    arn = f"arn:aws:s3:::{bucket}"
    key = f"{arn}/{prefix}AWSLogs/{ACCOUNT}/*"
    control = {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": principal, "Action": "s3:GetBucketAcl", "Resource": arn},
            {
                "Effect": "Allow",
                "Principal": principal,
                "Action": "s3:PutObject",
                "Resource": key,
                "Condition": control | {"ArnLike": {"aws:SourceArn": f"arn:aws:cloudtrail:*:{ACCOUNT}:trail/*"}},
            },
        ],
    }


def furnish(settings: Settings) -> tuple[Person, tuple[str, str]]:
    """Make tables and two accounts; returns the administrator and the other account's root key."""
    app.load_tables()
    database = Database(settings.sqlalchemy_url)
    Base.metadata.create_all(database.engine)
    clock, sealer = SystemClock(), Sealer.load(settings.keys_dir)
    with database.write() as session:
        admin = ensure_account(session, settings, clock).admin
        _, key, secret = create_account(session, sealer, OTHER, "aws", clock.now())
        ensure_default_network(session, settings, ACCOUNT)
    database.dispose()
    return admin, (key.id, secret)


@contextmanager
def served_trail(folder: Path, **changes: Any) -> Iterator[TrailApi]:
    """Serve the control plane from a new database."""
    settings = Settings(data_dir=folder, **changes)
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    admin, other = furnish(settings)
    plane = app.build_api(settings)
    try:
        with serve(plane.application) as endpoint:
            yield TrailApi(endpoint, settings, plane.database, plane.trail, admin, other)
    finally:
        plane.close()
