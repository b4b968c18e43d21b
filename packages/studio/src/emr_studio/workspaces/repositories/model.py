"""Git repositories of the account, and the links between them and Workspaces.

    (no link) ──> Linking ──> Linked ──> Unlinking ──> (no link)
                   ^  │                   ^  │
                   │  v                   │  v
                LinkFailed            UnlinkFailed        each with a reason; both can be tried again

A request writes Linking or Unlinking, the controller does the rest (emr-studio.md 8.3).
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, exists, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from emr_studio.aws.errors import InvalidRequest
from emr_studio.db import Base

KIND = "repository"
MOST_LINKS = 3
"""Repositories that can be linked with one Workspace."""


class LinkStatus(StrEnum):
    """What a Workspace shows of a repository."""

    LINKING = "Linking"
    LINKED = "Linked"
    LINK_FAILED = "LinkFailed"
    UNLINKING = "Unlinking"
    UNLINK_FAILED = "UnlinkFailed"


BUSY = (LinkStatus.LINKING, LinkStatus.UNLINKING)
"""Meanwhile the Workspace cannot be stopped."""
HELD = (LinkStatus.LINKING, LinkStatus.LINKED, LinkStatus.UNLINKING, LinkStatus.UNLINK_FAILED)
"""The repository is in use: it counts, cannot be deleted, and its credentials are given out."""


class Repository(Base):
    """A registration: all Studios of the account have it."""

    __tablename__ = "git_repositories"
    __table_args__ = (
        Index("ix_git_repositories_name", "account_id", "region", "name", unique=True),
        Index("ix_git_repositories_listing", "account_id", "region", "creation_time", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str]
    region: Mapped[str]
    name: Mapped[str]
    url: Mapped[str]
    branch: Mapped[str]
    secret_arn: Mapped[str | None] = mapped_column(default=None)
    """Where Secrets Manager has `gitUsername` and `gitPassword`; None: it is public."""
    creator_user_id: Mapped[str]
    creation_time: Mapped[dt.datetime]
    last_modified_time: Mapped[dt.datetime]


class RepositoryLink(Base):
    """A repository in a Workspace. It goes with the Workspace."""

    __tablename__ = "git_repository_links"

    id: Mapped[str] = mapped_column(primary_key=True)
    editor_id: Mapped[str] = mapped_column(ForeignKey("editors.id", ondelete="CASCADE"), index=True)
    repository_id: Mapped[str] = mapped_column(ForeignKey("git_repositories.id", ondelete="CASCADE"), index=True)
    status: Mapped[str] = mapped_column(index=True)
    reason: Mapped[str | None] = mapped_column(default=None)
    """Why it failed, or what is being waited for."""
    user_id: Mapped[str]
    """Who linked it."""
    attempt: Mapped[str]
    """Another one for each request of a user."""
    asked_at: Mapped[dt.datetime]
    """When the present status was asked for."""


class GitToken(Base):
    """What a running Workspace shows to be given the credentials of its linked repositories; its hash alone is kept."""

    __tablename__ = "git_tokens"

    editor_id: Mapped[str] = mapped_column(ForeignKey("editors.id", ondelete="CASCADE"), primary_key=True)
    token_hash: Mapped[str] = mapped_column(unique=True)


def find_repository(session: Session, account_id: str, region: str, name: str) -> Repository:
    """Return the account's repository of that name.

    Raises:
        InvalidRequest: there is none.
    """
    where = Repository.account_id == account_id, Repository.region == region, Repository.name == name
    found = session.scalars(select(Repository).where(*where)).first()
    if found is None:
        raise InvalidRequest(f"Repository '{name}' does not exist.")
    return found


def links_of(session: Session, editor_id: str) -> list[tuple[RepositoryLink, Repository]]:
    """A Workspace's links, each with its repository, by name."""
    found = (
        select(RepositoryLink, Repository)
        .join(Repository, Repository.id == RepositoryLink.repository_id)
        .where(RepositoryLink.editor_id == editor_id)
        .order_by(Repository.name)
    )
    return [(link, repository) for link, repository in session.execute(found)]


def is_busy(session: Session, editor_id: str) -> bool:
    """Whether a repository is being linked with the Workspace, or unlinked."""
    busy = RepositoryLink.editor_id == editor_id, RepositoryLink.status.in_(BUSY)
    return bool(session.scalar(select(exists().where(*busy))))


def workspaces_with(session: Session, repository: Repository) -> list[str]:
    """Ids of Workspaces that the repository is linked with."""
    held = RepositoryLink.repository_id == repository.id, RepositoryLink.status.in_(HELD)
    return list(session.scalars(select(RepositoryLink.editor_id).where(*held).order_by(RepositoryLink.editor_id)))
