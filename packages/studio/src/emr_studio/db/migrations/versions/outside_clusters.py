"""Clusters from outside.

Revision: outside_clusters
Revises: automatic_scaling
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "outside_clusters"
down_revision = "automatic_scaling"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Their credentials, sealed."""
    op.create_table(
        "outside_clusters",
        sa.Column("cluster_id", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["cluster_id"], ["clusters.id"]),
        sa.PrimaryKeyConstraint("cluster_id"),
    )


def downgrade() -> None:
    """Without them."""
    op.drop_table("outside_clusters")
