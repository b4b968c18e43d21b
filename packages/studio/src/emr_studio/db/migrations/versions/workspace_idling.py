"""When Workspaces were last active, and when they are stopped for being idle.

Revision: workspace_idling
Revises: workspace_collaboration
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "workspace_idling"
down_revision = "workspace_collaboration"
branch_labels = None
depends_on = None

_TIMES = ("active_at", "activity_due", "idle_stop_at")


def upgrade() -> None:
    op.add_column("editors", sa.Column("idle_seconds", sa.Integer(), nullable=True))
    for name in _TIMES:
        op.add_column("editors", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_editors_activity_due", "editors", ["activity_due"])
    # What runs already is looked at from now on.
    op.execute("UPDATE editors SET activity_due = launched_at WHERE status IN ('Ready', 'Attaching', 'Attached')")


def downgrade() -> None:
    op.drop_index("ix_editors_activity_due", table_name="editors")
    for name in (*_TIMES, "idle_seconds"):
        op.drop_column("editors", name)
