"""KMS: keys, their material and aliases. Secrets Manager: secrets and their versions.

Revision: keys_and_secrets
Revises: federation
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "keys_and_secrets"
down_revision = "federation"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kms_key",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("manager", sa.String(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deletion_date", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rotation_days", sa.Integer(), nullable=True),
        sa.Column("rotated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_rotation", sa.DateTime(timezone=True), nullable=True),
        sa.Column("current_version", sa.Integer(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("kms_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_kms_key_deletion_date"), ["deletion_date"], unique=False)
        batch_op.create_index("ix_kms_key_listing", ["account_id", "region", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_kms_key_next_rotation"), ["next_rotation"], unique=False)

    op.create_table(
        "kms_sealed_bucket", sa.Column("name", sa.String(length=63), nullable=False), sa.PrimaryKeyConstraint("name")
    )
    op.create_table(
        "secret",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("kms_key_id", sa.String(), nullable=True),
        sa.Column("policy", sa.String(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accessed", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted", sa.DateTime(timezone=True), nullable=True),
        sa.Column("purge_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("secret", schema=None) as batch_op:
        batch_op.create_index("ix_secret_name", ["account_id", "region", "name"], unique=True)
        batch_op.create_index(batch_op.f("ix_secret_purge_at"), ["purge_at"], unique=False)

    op.create_table(
        "kms_alias",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(length=36), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["kms_key.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("account_id", "region", "name"),
    )
    with op.batch_alter_table("kms_alias", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_kms_alias_key_id"), ["key_id"], unique=False)

    op.create_table(
        "kms_key_material",
        sa.Column("key_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("on_demand", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["kms_key.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key_id", "version"),
    )
    op.create_table(
        "secret_version",
        sa.Column("secret_id", sa.String(), nullable=False),
        sa.Column("version_id", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("binary", sa.Boolean(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("stages", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accessed", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["secret_id"], ["secret.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("secret_id", "version_id"),
    )


def downgrade() -> None:
    op.drop_table("secret_version")
    op.drop_table("kms_key_material")
    with op.batch_alter_table("kms_alias", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_kms_alias_key_id"))

    op.drop_table("kms_alias")
    with op.batch_alter_table("secret", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_secret_purge_at"))
        batch_op.drop_index("ix_secret_name")

    op.drop_table("secret")
    op.drop_table("kms_sealed_bucket")
    with op.batch_alter_table("kms_key", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_kms_key_next_rotation"))
        batch_op.drop_index("ix_kms_key_listing")
        batch_op.drop_index(batch_op.f("ix_kms_key_deletion_date"))

    op.drop_table("kms_key")
