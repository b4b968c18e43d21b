"""Virtual MFA devices, SAML and OIDC providers, assertions that were used.

Revision: federation
Revises: bucket_policies
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "federation"
down_revision = "bucket_policies"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "iam_used_assertion",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    with op.batch_alter_table("iam_used_assertion", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_iam_used_assertion_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "iam_oidc_provider",
        sa.Column("arn", sa.String(length=2048), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("url", sa.String(length=255), nullable=False),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("client_ids", sa.JSON(), nullable=False),
        sa.Column("thumbprints", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["iam_account.account_id"],
        ),
        sa.PrimaryKeyConstraint("arn"),
    )
    with op.batch_alter_table("iam_oidc_provider", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_iam_oidc_provider_account_id"), ["account_id"], unique=False)

    op.create_table(
        "iam_saml_provider",
        sa.Column("arn", sa.String(length=2048), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("uuid", sa.String(length=64), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("encryption_mode", sa.String(length=16), nullable=True),
        sa.Column("private_keys", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["iam_account.account_id"],
        ),
        sa.PrimaryKeyConstraint("arn"),
    )
    with op.batch_alter_table("iam_saml_provider", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_iam_saml_provider_account_id"), ["account_id"], unique=False)

    op.create_table(
        "iam_mfa_device",
        sa.Column("serial", sa.String(length=1024), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("sealed_seed", sa.LargeBinary(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=True),
        sa.Column("enabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("drift", sa.Integer(), nullable=False),
        sa.Column("last_step", sa.Integer(), nullable=False),
        sa.Column("last_used", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["iam_account.account_id"],
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["iam_user.id"],
        ),
        sa.PrimaryKeyConstraint("serial"),
    )
    with op.batch_alter_table("iam_mfa_device", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_iam_mfa_device_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_iam_mfa_device_user_id"), ["user_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("iam_mfa_device", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_iam_mfa_device_user_id"))
        batch_op.drop_index(batch_op.f("ix_iam_mfa_device_account_id"))

    op.drop_table("iam_mfa_device")
    with op.batch_alter_table("iam_saml_provider", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_iam_saml_provider_account_id"))

    op.drop_table("iam_saml_provider")
    with op.batch_alter_table("iam_oidc_provider", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_iam_oidc_provider_account_id"))

    op.drop_table("iam_oidc_provider")
    with op.batch_alter_table("iam_used_assertion", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_iam_used_assertion_expires_at"))

    op.drop_table("iam_used_assertion")
