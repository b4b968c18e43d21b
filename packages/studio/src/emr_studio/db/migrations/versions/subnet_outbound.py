"""Subnets say how they lead to the internet.

Revision: subnet_outbound
Revises: outside_clusters
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "subnet_outbound"
down_revision = "outside_clusters"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Those that are there have a NAT."""
    with op.batch_alter_table("subnets") as batch:
        batch.add_column(sa.Column("outbound", sa.String(), server_default="nat", nullable=False))


def downgrade() -> None:
    """Without it."""
    with op.batch_alter_table("subnets") as batch:
        batch.drop_column("outbound")
