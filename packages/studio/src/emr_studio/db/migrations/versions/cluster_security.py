"""Clusters: security configurations, block public access.

Revision: cluster_security
Revises: workspace_keys
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "cluster_security"
down_revision = "workspace_keys"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("clusters", sa.Column("security", sa.JSON(), server_default="{}", nullable=False))
    op.create_table(
        "cluster_security_configurations",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("creation_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "region", "name"),
    )
    op.create_table(
        "cluster_block_public_access",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("blocked", sa.Boolean(), nullable=False),
        sa.Column("permitted", sa.JSON(), nullable=False),
        sa.Column("creation_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "region"),
    )


def downgrade() -> None:
    op.drop_table("cluster_block_public_access")
    op.drop_table("cluster_security_configurations")
    op.drop_column("clusters", "security")
