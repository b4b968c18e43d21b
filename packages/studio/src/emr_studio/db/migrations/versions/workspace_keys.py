"""Workspaces know the KMS key with which they are saved.

Revision: workspace_keys
Revises: cluster_scaling
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "workspace_keys"
down_revision = "cluster_scaling"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("editors", schema=None) as batch_op:
        batch_op.add_column(sa.Column("encryption_key_arn", sa.String(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("editors", schema=None) as batch_op:
        batch_op.drop_column("encryption_key_arn")
