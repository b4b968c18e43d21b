"""When credentials for kernels with a runtime role end.

Revision: session_credentials
Revises: runtime_roles
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "session_credentials"
down_revision = "runtime_roles"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cluster_sessions", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("cluster_sessions", "expires_at")
