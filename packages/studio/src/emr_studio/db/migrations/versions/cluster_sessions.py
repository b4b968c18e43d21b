"""Spark Connect sessions; steps with a runtime role

Revision: cluster_sessions
Revises: impaired_zones
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "cluster_sessions"
down_revision = "impaired_zones"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cluster_sessions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("cluster_id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("execution_role_arn", sa.String(), nullable=True),
        sa.Column("engine_configurations", sa.JSON(), nullable=False),
        sa.Column("idle_minutes", sa.Integer(), nullable=False),
        sa.Column("client_token", sa.String(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("creator_user_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("end_state", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("idle_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("uid", sa.Integer(), nullable=False),
        sa.Column("role_token", sa.String(), nullable=False),
        sa.Column("private_ip", sa.String(), nullable=False),
        sa.Column("bind_ip", sa.String(), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("connect_token", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"],
            ["clusters.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("cluster_sessions", schema=None) as batch_op:
        batch_op.create_index("ix_cluster_sessions_listing", ["cluster_id", "created_at", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_cluster_sessions_state"), ["state"], unique=False)
        batch_op.create_index("ix_cluster_sessions_token", ["cluster_id", "client_token"], unique=True)

    with op.batch_alter_table("cluster_steps", schema=None) as batch_op:
        batch_op.add_column(sa.Column("execution_role_arn", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("tenant", sa.JSON(), server_default="{}", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("cluster_steps", schema=None) as batch_op:
        batch_op.drop_column("tenant")
        batch_op.drop_column("execution_role_arn")

    with op.batch_alter_table("cluster_sessions", schema=None) as batch_op:
        batch_op.drop_index("ix_cluster_sessions_token")
        batch_op.drop_index(batch_op.f("ix_cluster_sessions_state"))
        batch_op.drop_index("ix_cluster_sessions_listing")

    op.drop_table("cluster_sessions")
