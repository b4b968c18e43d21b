"""Clusters that grow, shrink and end when nobody uses them.

Revision: cluster_scaling
Revises: keys_and_secrets
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "cluster_scaling"
down_revision = "keys_and_secrets"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("clusters", sa.Column("managed_scaling", sa.JSON(), server_default="{}", nullable=False))
    op.add_column("clusters", sa.Column("idle_timeout", sa.Integer(), nullable=True))
    op.add_column("clusters", sa.Column("idle_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("instance_groups", sa.Column("shrink_policy", sa.JSON(), server_default="{}", nullable=False))
    op.add_column("instance_groups", sa.Column("suspended", sa.String(), server_default="", nullable=False))
    op.add_column("instances", sa.Column("leaving_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("instances", sa.Column("end_reason", sa.String(), server_default="", nullable=False))


def downgrade() -> None:
    for table, names in (
        ("instances", ("end_reason", "leaving_since")),
        ("instance_groups", ("suspended", "shrink_policy")),
        ("clusters", ("idle_since", "idle_timeout", "managed_scaling")),
    ):
        for name in names:
            op.drop_column(table, name)
