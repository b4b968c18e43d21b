"""The Studio's table and what other domains may ask of it.

A Studio has no status: it exists or it does not (emr-studio.md 1.1).
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, Session, mapped_column

from emr_studio.aws.context import Check
from emr_studio.aws.errors import InvalidRequest
from emr_studio.db import Base
from emr_studio.settings import Settings
from emr_studio.tagging import emr_arn, resource_tag_context


class Studio(Base):
    """A Studio. Members that the caller left out are None, so that they are left out again."""

    __tablename__ = "studios"
    __table_args__ = (Index("ix_studios_listing", "account_id", "region", "creation_time", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str]
    region: Mapped[str]
    name: Mapped[str]
    description: Mapped[str | None] = mapped_column(default=None)
    auth_mode: Mapped[str]
    vpc_id: Mapped[str]
    subnet_ids: Mapped[list[str]]
    service_role: Mapped[str]
    """As the caller wrote it: a name or an ARN."""
    service_role_arn: Mapped[str]
    user_role: Mapped[str | None] = mapped_column(default=None)
    workspace_security_group_id: Mapped[str]
    engine_security_group_id: Mapped[str]
    default_s3_location: Mapped[str]
    """As the caller wrote it."""
    idp_auth_url: Mapped[str | None] = mapped_column(default=None)
    idp_relay_state_parameter_name: Mapped[str | None] = mapped_column(default=None)
    trusted_identity_propagation_enabled: Mapped[bool | None] = mapped_column(default=None)
    idc_user_assignment: Mapped[str | None] = mapped_column(default=None)
    idc_instance_arn: Mapped[str | None] = mapped_column(default=None)
    encryption_key_arn: Mapped[str | None] = mapped_column(default=None)
    url: Mapped[str]
    creation_time: Mapped[dt.datetime]
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)


def find_studio(session: Session, account_id: str, studio_id: str) -> Studio:
    """Return the account's Studio.

    Raises:
        InvalidRequest: "Studio does not exist." (the text that Terraform's provider matches).
    """
    studio = session.get(Studio, studio_id)
    if studio is None or studio.account_id != account_id:
        raise InvalidRequest("Studio does not exist.")
    return studio


def studio_arn(studio: Studio) -> str:
    """`arn:aws:elasticmapreduce:<region>:<account>:studio/<id>`."""
    return emr_arn(studio.region, studio.account_id, f"studio/{studio.id}")


def entry_check(studio: Studio) -> Check:
    """What IAM is asked about who wants to sign in to the Studio (emr-studio.md 2.4)."""
    return Check("elasticmapreduce:CreateStudioPresignedUrl", studio_arn(studio), resource_tag_context(studio.tags))


def s3_prefix(location: str) -> tuple[str, str]:
    """Split `s3://bucket/some/prefix/` into bucket and prefix without slashes at its ends."""
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    return bucket, prefix.strip("/")


def workspace_location(studio: Studio, editor_id: str) -> str:
    """`<DefaultS3Location>/<editor id>/`: where a new Workspace's files are kept."""
    return f"{studio.default_s3_location.rstrip('/')}/{editor_id}/"


def studio_url(settings: Settings, studio_id: str) -> str:
    """Access URL of a Studio."""
    return settings.studio_url(studio_id)
