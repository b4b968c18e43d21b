"""Kernels with a runtime role, and who attached a Workspace with one.

Revision: runtime_roles
Revises: data_catalog
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "runtime_roles"
down_revision = "data_catalog"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cluster_sessions", sa.Column("purpose", sa.String(), server_default="CLIENTS", nullable=False))
    op.add_column("cluster_sessions", sa.Column("holder", sa.String(), server_default="", nullable=False))
    op.add_column("cluster_sessions", sa.Column("gateway_token", sa.String(), server_default="", nullable=False))
    op.create_index("ix_cluster_sessions_holder", "cluster_sessions", ["holder"])
    op.add_column("editors", sa.Column("role_user_id", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("editors", "role_user_id")
    op.drop_index("ix_cluster_sessions_holder", "cluster_sessions")
    for name in ("gateway_token", "holder", "purpose"):
        op.drop_column("cluster_sessions", name)
