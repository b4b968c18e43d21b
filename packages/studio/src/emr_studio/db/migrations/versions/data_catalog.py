"""The Data Catalog: databases, tables, partitions

Revision: data_catalog
Revises: application_uis
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "data_catalog"
down_revision = "application_uis"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "glue_databases",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account_id", "name", name="uq_glue_databases_name"),
    )
    op.create_table(
        "glue_tables",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("database_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["database_id"], ["glue_databases.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("database_id", "name", name="uq_glue_tables_name"),
    )
    op.create_table(
        "glue_partitions",
        sa.Column("table_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["table_id"], ["glue_tables.id"], name="fk_glue_partitions_table", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("table_id", "key"),
    )


def downgrade() -> None:
    op.drop_table("glue_partitions")
    op.drop_table("glue_tables")
    op.drop_table("glue_databases")
