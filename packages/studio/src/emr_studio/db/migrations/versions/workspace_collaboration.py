"""Collaborators of Workspaces; a Workspace can have another name than its first notebook.

Revision: workspace_collaboration
Revises: cluster_fleets
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "workspace_collaboration"
down_revision = "cluster_fleets"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("editors", sa.Column("collaboration", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("editors", sa.Column("notebook_name", sa.String(), nullable=True))
    op.create_table(
        "workspace_collaborators",
        sa.Column("editor_id", sa.String(), nullable=False),
        sa.Column("principal_id", sa.String(), nullable=False),
        sa.Column("session_name", sa.String(), nullable=False),
        sa.Column("identity_type", sa.String(), nullable=False),
        sa.Column("identity_name", sa.String(), nullable=False),
        sa.Column("creation_time", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["editor_id"],
            ["editors.id"],
            name=op.f("fk_workspace_collaborators_editor_id_editors"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("editor_id", "principal_id", "session_name", name=op.f("pk_workspace_collaborators")),
    )


def downgrade() -> None:
    op.drop_table("workspace_collaborators")
    for name in ("notebook_name", "collaboration"):
        op.drop_column("editors", name)
