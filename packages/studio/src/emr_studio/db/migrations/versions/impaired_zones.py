"""Availability Zones that are impaired.

Revision: impaired_zones
Revises: workspace_idling
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "impaired_zones"
down_revision = "workspace_idling"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "impaired_zones",
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("zone", name=op.f("pk_impaired_zones")),
    )


def downgrade() -> None:
    op.drop_table("impaired_zones")
