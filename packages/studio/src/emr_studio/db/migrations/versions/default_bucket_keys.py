"""Buckets whose default encryption is with KMS.

Revision: default_bucket_keys
Revises: session_credentials
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "default_bucket_keys"
down_revision = "session_credentials"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("storage_bucket") as table:
        table.add_column(sa.Column("default_key", sa.String(length=2048), nullable=True))
        table.add_column(sa.Column("default_bucket_key", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("storage_bucket") as table:
        table.drop_column("default_bucket_key")
        table.drop_column("default_key")
