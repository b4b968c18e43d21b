"""Clusters: instance fleets.

Revision: cluster_fleets
Revises: cluster_security
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "cluster_fleets"
down_revision = "cluster_security"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("clusters", sa.Column("collection", sa.String(), server_default="INSTANCE_GROUP", nullable=False))
    op.create_table(
        "instance_fleets",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("cluster_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("target_on_demand", sa.Integer(), nullable=False),
        sa.Column("target_spot", sa.Integer(), nullable=False),
        sa.Column("instance_types", sa.JSON(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("creation_time", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["cluster_id"], ["clusters.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_instance_fleets_cluster_id", "instance_fleets", ["cluster_id"])
    with op.batch_alter_table("instance_groups") as batch_op:
        batch_op.add_column(sa.Column("fleet_id", sa.String(), nullable=True))
        batch_op.create_foreign_key("fk_instance_groups_fleet_id", "instance_fleets", ["fleet_id"], ["id"])


def downgrade() -> None:
    with op.batch_alter_table("instance_groups") as batch_op:
        batch_op.drop_constraint("fk_instance_groups_fleet_id", type_="foreignkey")
        batch_op.drop_column("fleet_id")
    op.drop_index("ix_instance_fleets_cluster_id", table_name="instance_fleets")
    op.drop_table("instance_fleets")
    op.drop_column("clusters", "collection")
