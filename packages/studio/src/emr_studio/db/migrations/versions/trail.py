"""The audit trail: records, trails, their files and digests.

Revision: trail
Revises: cluster_steps
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "trail"
down_revision = "cluster_steps"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trail_batch",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "trail_event",
        sa.Column("event_id", sa.String(length=36), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("moment", sa.BigInteger(), nullable=False),
        sa.Column("event_name", sa.String(length=128), nullable=False),
        sa.Column("event_source", sa.String(length=128), nullable=False),
        sa.Column("username", sa.String(length=256), nullable=True),
        sa.Column("access_key_id", sa.String(length=128), nullable=True),
        sa.Column("is_read_only", sa.Integer(), nullable=False),
        sa.Column("is_shown", sa.Integer(), nullable=False),
        sa.Column("is_denied", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("authorization", sa.Text(), nullable=True),
        sa.Column("event", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index("ix_trail_event_batch", "trail_event", ["account_id", "batch"])
    op.create_index(
        "ix_trail_event_denied",
        "trail_event",
        ["account_id", "moment"],
        sqlite_where=sa.text("is_denied = 1"),
        postgresql_where=sa.text("is_denied = 1"),
    )
    op.create_index("ix_trail_event_key", "trail_event", ["account_id", "access_key_id", "moment"])
    op.create_index("ix_trail_event_moment", "trail_event", ["account_id", "moment", "event_id"])
    op.create_index("ix_trail_event_name", "trail_event", ["account_id", "event_name", "moment"])
    op.create_index("ix_trail_event_request", "trail_event", ["request_id"])
    op.create_index("ix_trail_event_username", "trail_event", ["account_id", "username", "moment"])

    op.create_table(
        "trail_resource",
        sa.Column("event_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("moment", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=2048), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "position"),
    )
    op.create_index("ix_trail_resource_name", "trail_resource", ["account_id", "name", "moment"])
    op.create_index("ix_trail_resource_type", "trail_resource", ["account_id", "type", "moment"])

    op.create_table(
        "trail_trail",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("bucket", sa.String(length=63), nullable=False),
        sa.Column("prefix", sa.String(length=200), nullable=True),
        sa.Column("includes_global", sa.Boolean(), nullable=False),
        sa.Column("is_multi_region", sa.Boolean(), nullable=False),
        sa.Column("validates", sa.Boolean(), nullable=False),
        sa.Column("selectors", sa.JSON(), nullable=True),
        sa.Column("advanced_selectors", sa.JSON(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_logging", sa.Boolean(), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stopped", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cursor", sa.Integer(), nullable=False),
        sa.Column("last_batch", sa.Integer(), nullable=True),
        sa.Column("attempted", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivery_error", sa.String(length=256), nullable=True),
        sa.Column("digested", sa.DateTime(timezone=True), nullable=True),
        sa.Column("digest_error", sa.String(length=256), nullable=True),
        sa.Column("digest_start", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account_id", "region", "name"),
    )
    op.create_table(
        "trail_digest",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("trail_id", sa.String(length=36), nullable=False),
        sa.Column("bucket", sa.String(length=63), nullable=False),
        sa.Column("key", sa.String(length=1024), nullable=False),
        sa.Column("end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("delivered", sa.DateTime(timezone=True), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["trail_id"], ["trail_trail.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_trail_digest_end", "trail_digest", ["trail_id", "end"])

    op.create_table(
        "trail_file",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("trail_id", sa.String(length=36), nullable=False),
        sa.Column("bucket", sa.String(length=63), nullable=False),
        sa.Column("key", sa.String(length=1024), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("oldest", sa.BigInteger(), nullable=False),
        sa.Column("newest", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered", sa.DateTime(timezone=True), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("digest_id", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(["trail_id"], ["trail_trail.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_trail_file_waiting", "trail_file", ["trail_id", "digest_id", "delivered"])


def downgrade() -> None:
    for table in ("trail_file", "trail_digest", "trail_trail", "trail_resource", "trail_event", "trail_batch"):
        op.drop_table(table)
