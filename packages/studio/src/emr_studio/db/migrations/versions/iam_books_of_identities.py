"""Identities: uses, passwords, settings of an account, credentials and certificates, tasks.

Revision: iam_books
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "iam_books"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "iam_entity_use",
        sa.Column("entity_id", sa.String(length=32), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("entity_id", "service"),
    )
    op.create_table(
        "iam_password_record",
        sa.Column("owner_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "number"),
    )
    op.create_table(
        "iam_account_settings",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("password_policy", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("global_token_version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["iam_account.account_id"],
        ),
        sa.PrimaryKeyConstraint("account_id"),
    )
    op.create_table(
        "iam_server_certificate",
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("chain", sa.String(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("name_key", sa.String(length=128), nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("arn", sa.String(length=2048), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["iam_account.account_id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account_id", "name_key"),
    )
    with op.batch_alter_table("iam_server_certificate", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_iam_server_certificate_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_iam_server_certificate_arn"), ["arn"], unique=False)

    op.create_table(
        "iam_task",
        sa.Column("id", sa.String(length=1000), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["iam_account.account_id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("iam_task", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_iam_task_account_id"), ["account_id"], unique=False)

    op.create_table(
        "iam_user_credential",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["iam_account.account_id"],
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["iam_user.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("iam_user_credential", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_iam_user_credential_user_id"), ["user_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("iam_user_credential", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_iam_user_credential_user_id"))

    op.drop_table("iam_user_credential")
    with op.batch_alter_table("iam_task", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_iam_task_account_id"))

    op.drop_table("iam_task")
    with op.batch_alter_table("iam_server_certificate", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_iam_server_certificate_arn"))
        batch_op.drop_index(batch_op.f("ix_iam_server_certificate_account_id"))

    op.drop_table("iam_server_certificate")
    op.drop_table("iam_account_settings")
    op.drop_table("iam_password_record")
    op.drop_table("iam_entity_use")
