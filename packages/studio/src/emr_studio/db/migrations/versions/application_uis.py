"""History servers and persistent application UIs

Revision: application_uis
Revises: cluster_sessions
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "application_uis"
down_revision = "cluster_sessions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "history_servers",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("cluster_id", sa.String(), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("ui_key", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_used", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["cluster_id"], ["clusters.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_history_servers_cluster_id", "history_servers", ["cluster_id"])
    op.create_table(
        "persistent_app_uis",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("cluster_id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("author_id", sa.String(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("creation_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_time", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["cluster_id"], ["clusters.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_persistent_app_uis_cluster_id", "persistent_app_uis", ["cluster_id"])
    op.create_index("ix_persistent_app_uis_owner", "persistent_app_uis", ["account_id", "author_id"])


def downgrade() -> None:
    op.drop_table("persistent_app_uis")
    op.drop_table("history_servers")
