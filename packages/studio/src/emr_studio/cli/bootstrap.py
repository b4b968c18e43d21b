"""The world that a new installation starts with: identities, a network, a bucket with data, a Studio.

Everything is looked for before it is made, so it may run at every start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.exceptions
from botocore.config import Config

from emr_studio.cli import installation
from emr_studio.clock import SystemClock
from emr_studio.db import Database
from emr_studio.db.migrate import upgrade
from emr_studio.iam.bootstrap import Person, SampleWorld, bucket_name, ensure_account
from emr_studio.network.model import DefaultNetwork, ensure_default_network
from emr_studio.settings import Settings

_STUDIO_NAME = "sample"


class BootstrapFailed(Exception):
    """The sample world could not be made; `str()` says which part."""


@dataclass(frozen=True)
class World:
    """What exists before any part runs: rows in the database."""

    people: SampleWorld
    network: DefaultNetwork


def identities(settings: Settings) -> World:
    """Bring the schema up to date; make the account, its users and roles, and the default network."""
    upgrade(settings.sqlalchemy_url)
    database = Database(settings.sqlalchemy_url)
    try:
        with database.write() as session:
            people = ensure_account(session, settings, SystemClock())
            network = ensure_default_network(session, settings, people.account_id)
    finally:
        database.dispose()
    return World(people, network)


def sample_world(settings: Settings, report: Callable[[str], None]) -> None:
    """Make bucket, data set and sample Studio through the public API, and write `studio.json`.

    Raises:
        BootstrapFailed: the API refused.
    """
    known = installation.read_studio_json(settings)
    world = identities(settings)
    admin = world.people.admin
    if not admin.access_key_id:
        # An administrator has replaced the first key: the world was made long ago, and is theirs.
        installation.write_studio_json(settings, known | _addresses(settings))
        return
    try:
        bucket = bucket_name(settings)
        s3 = _client(settings, admin, "s3")
        if not _exists(s3, bucket):
            s3.create_bucket(Bucket=bucket)
        if not known:
            report("loading the sample data set")
        _seed(s3, bucket)
        studio = _sample_studio(settings, world, known)
    except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as error:
        raise BootstrapFailed(f"The sample world could not be made: {error}") from error
    installation.write_studio_json(settings, _content(settings, world, studio))
    installation.note_furnished(settings)


def _seed(s3: Any, bucket: str) -> None:
    # Reads with data frames: imported only where they are needed.
    from emr_studio.storage.dataset import seed

    seed(s3, bucket)


def _client(settings: Settings, person: Person, service: str) -> Any:
    session = boto3.Session(
        aws_access_key_id=person.access_key_id,
        aws_secret_access_key=person.secret_access_key,
        region_name=settings.region,
    )
    config = Config(s3={"addressing_style": "path"}, retries={"mode": "standard", "total_max_attempts": 4})
    return session.client(service, endpoint_url=f"http://127.0.0.1:{settings.port}", config=config)


def _exists(s3: Any, bucket: str) -> bool:
    return any(found["Name"] == bucket for found in s3.list_buckets()["Buckets"])


def _sample_studio(settings: Settings, world: World, known: dict[str, Any]) -> dict[str, str]:
    emr = _client(settings, world.people.admin, "emr")
    pages = emr.get_paginator("list_studios").paginate()
    studios = {studio["StudioId"]: studio for page in pages for studio in page["Studios"]}
    ours = known.get("sample", {}).get("studio_id")
    if ours in studios:
        return {"studio_id": ours, "url": studios[ours]["Url"]}
    if ours:
        # Somebody deleted it on purpose; do not make another.
        return {"studio_id": ours, "url": settings.studio_url(ours)}
    made = emr.create_studio(
        Name=_STUDIO_NAME,
        Description="Made by emr-studio up, to try things out",
        AuthMode="IAM",
        VpcId=world.network.vpc_id,
        SubnetIds=list(world.network.subnet_ids),
        ServiceRole=world.people.service_role_arn,
        WorkspaceSecurityGroupId=world.network.workspace_security_group_id,
        EngineSecurityGroupId=world.network.engine_security_group_id,
        DefaultS3Location=_location(settings),
        Tags=[{"Key": "emr-studio:sample", "Value": "true"}],
    )
    return {"studio_id": made["StudioId"], "url": made["Url"]}


def _location(settings: Settings) -> str:
    return f"s3://{bucket_name(settings)}/workspaces"


def _addresses(settings: Settings) -> dict[str, str]:
    return {
        "endpoint_url": settings.endpoint_url,
        "console_url": settings.endpoint_url,
        "domain": settings.host_port,
        "region": settings.region,
        "account_id": settings.account_id,
    }


def _content(settings: Settings, world: World, studio: dict[str, str]) -> dict[str, Any]:
    network, people = world.network, world.people
    return _addresses(settings) | {
        "admin": _person(people.admin),
        "network": {
            "vpc_id": network.vpc_id,
            "subnet_ids": list(network.subnet_ids),
            "engine_security_group_id": network.engine_security_group_id,
            "workspace_security_group_id": network.workspace_security_group_id,
        },
        "service_role_arn": people.service_role_arn,
        "user_role_arn": people.user_role_arn,
        "s3": {"endpoint_url": settings.endpoint_url, "default_location": _location(settings)},
        "sample": studio | _person(people.analyst),
    }


def _person(person: Person) -> dict[str, str]:
    return {
        "user_name": person.user_name,
        "password": person.password,
        "access_key_id": person.access_key_id,
        "secret_access_key": person.secret_access_key,
    }
