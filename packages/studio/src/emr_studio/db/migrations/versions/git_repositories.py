"""Git repositories of the account, their links with Workspaces, and the tokens for their credentials.

Revision: git_repositories
Revises: subnet_outbound
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "git_repositories"
down_revision = "subnet_outbound"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "git_repositories",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("id", "account_id", "region", "name", "url")),
        sa.Column("branch", sa.String(), nullable=False),
        sa.Column("secret_arn", sa.String(), nullable=True),
        sa.Column("creator_user_id", sa.String(), nullable=False),
        sa.Column("creation_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_modified_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_git_repositories")),
    )
    listing = ["account_id", "region", "creation_time", "id"]
    op.create_index("ix_git_repositories_listing", "git_repositories", listing)
    op.create_index("ix_git_repositories_name", "git_repositories", ["account_id", "region", "name"], unique=True)
    op.create_table(
        "git_repository_links",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("id", "editor_id", "repository_id", "status")),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        _owned_by("git_repository_links", "editor_id", "editors"),
        _owned_by("git_repository_links", "repository_id", "git_repositories"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_git_repository_links")),
    )
    for column in ("editor_id", "repository_id", "status"):
        op.create_index(op.f(f"ix_git_repository_links_{column}"), "git_repository_links", [column])
    op.create_table(
        "git_tokens",
        sa.Column("editor_id", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        _owned_by("git_tokens", "editor_id", "editors"),
        sa.PrimaryKeyConstraint("editor_id", name=op.f("pk_git_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_git_tokens_token_hash")),
    )


def _owned_by(table: str, column: str, owner: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{owner}")
    return sa.ForeignKeyConstraint([column], [f"{owner}.id"], name=name, ondelete="CASCADE")


def downgrade() -> None:
    for table in ("git_tokens", "git_repository_links", "git_repositories"):
        op.drop_table(table)
