"""Whether a bucket may keep versions.

Revision ID: bucket_versions
Revises: git_repositories
Create Date: 2026-11-27
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "bucket_versions"
down_revision = "git_repositories"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Of buckets that are there already nobody knows it.
    op.add_column(
        "storage_bucket", sa.Column("may_keep_versions", sa.Boolean(), server_default=sa.true(), nullable=False)
    )


def downgrade() -> None:
    op.drop_column("storage_bucket", "may_keep_versions")
