"""Buckets: policy, public access block, object ownership.

Revision: bucket_policies
Revises: trail
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "bucket_policies"
down_revision = "trail"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("storage_bucket", sa.Column("policy", sa.Text(), nullable=True))
    op.add_column(
        "storage_bucket", sa.Column("policy_is_public", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("storage_bucket", sa.Column("public_access", sa.Integer(), server_default="15", nullable=True))
    op.add_column(
        "storage_bucket", sa.Column("ownership", sa.String(32), server_default="BucketOwnerEnforced", nullable=True)
    )


def downgrade() -> None:
    for name in ("ownership", "public_access", "policy_is_public", "policy"):
        op.drop_column("storage_bucket", name)
