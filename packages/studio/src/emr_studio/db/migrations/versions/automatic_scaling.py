"""automatic scaling of instance groups

Revision: automatic_scaling
Revises: default_bucket_keys
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "automatic_scaling"
down_revision = "default_bucket_keys"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Policies of groups, and until when they rest."""
    with op.batch_alter_table("instance_groups") as table:
        table.add_column(sa.Column("auto_scaling", sa.JSON(), server_default="{}", nullable=False))
        table.add_column(sa.Column("cooled_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Without them."""
    with op.batch_alter_table("instance_groups") as table:
        table.drop_column("cooled_at")
        table.drop_column("auto_scaling")
