"""Clusters: steps, bootstrap actions.

Revision: cluster_steps
Revises: iam_books
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "cluster_steps"
down_revision = "iam_books"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("clusters", sa.Column("bootstrap_actions", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("instances", sa.Column("bootstrapped", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table(
        "cluster_steps",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("cluster_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("jar", sa.String(), nullable=False),
        sa.Column("main_class", sa.String(), nullable=True),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("properties", sa.JSON(), nullable=False),
        sa.Column("action_on_failure", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("failure", sa.JSON(), nullable=False),
        sa.Column("launched", sa.Boolean(), nullable=False),
        sa.Column("forced", sa.Boolean(), nullable=False),
        sa.Column("creation_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["cluster_id"], ["clusters.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_cluster_steps_order", "cluster_steps", ["cluster_id", "position"])


def downgrade() -> None:
    op.drop_index("ix_cluster_steps_order", table_name="cluster_steps")
    op.drop_table("cluster_steps")
    op.drop_column("instances", "bootstrapped")
    op.drop_column("clusters", "bootstrap_actions")
