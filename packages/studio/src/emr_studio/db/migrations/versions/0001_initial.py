"""The first tables.

Revision: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cluster_uids",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("cluster_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "clusters",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("release_label", sa.String(), nullable=False),
        sa.Column("applications", sa.JSON(), nullable=False),
        sa.Column("service_role", sa.String(), nullable=False),
        sa.Column("job_flow_role", sa.String(), nullable=False),
        sa.Column("role_arn", sa.String(), nullable=False),
        sa.Column("vpc_id", sa.String(), nullable=False),
        sa.Column("subnet_id", sa.String(), nullable=False),
        sa.Column("availability_zone", sa.String(), nullable=False),
        sa.Column("keep_alive", sa.Boolean(), nullable=False),
        sa.Column("termination_protected", sa.Boolean(), nullable=False),
        sa.Column("visible_to_all_users", sa.Boolean(), nullable=False),
        sa.Column("configurations", sa.JSON(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("creator_user_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("state_code", sa.String(), nullable=True),
        sa.Column("state_message", sa.String(), nullable=True),
        sa.Column("creation_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ready_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("phase_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("phases", sa.JSON(), nullable=False),
        sa.Column("log_lines", sa.JSON(), nullable=False),
        sa.Column("uid", sa.Integer(), nullable=False),
        sa.Column("role_token", sa.String(), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("gateway_token", sa.String(), nullable=False),
        sa.Column("connect_token", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.create_index("ix_clusters_listing", ["account_id", "region", "creation_time", "id"], unique=False)
        batch_op.create_index("ix_clusters_state", ["state"], unique=False)

    op.create_table(
        "console_sessions",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("caller", sa.JSON(), nullable=False),
        sa.Column("studio_id", sa.String(), nullable=True),
        sa.Column("resource_id", sa.String(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    with op.batch_alter_table("console_sessions", schema=None) as batch_op:
        batch_op.create_index("ix_console_sessions_last_used", ["last_used"], unique=False)

    op.create_table(
        "controller_leases",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("resource_id", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "resource_id"),
    )
    op.create_table(
        "editors",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("studio_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("creator_user_id", sa.String(), nullable=False),
        sa.Column("creation_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_modified_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("s3_location", sa.String(), nullable=False),
        sa.Column("service_role_arn", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("unsettled", sa.Boolean(), nullable=False),
        sa.Column("state_code", sa.String(), nullable=True),
        sa.Column("state_message", sa.String(), nullable=True),
        sa.Column("uid", sa.Integer(), nullable=False),
        sa.Column("subnet_id", sa.String(), nullable=False),
        sa.Column("availability_zone", sa.String(), nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("files_unsaved", sa.Boolean(), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("launched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("wanted_cluster_id", sa.String(), nullable=True),
        sa.Column("wanted_role_arn", sa.String(), nullable=True),
        sa.Column("attached_cluster_id", sa.String(), nullable=True),
        sa.Column("open_by_user_id", sa.String(), nullable=True),
        sa.Column("open_by_name", sa.String(), nullable=True),
        sa.Column("open_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("open_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("editors", schema=None) as batch_op:
        batch_op.create_index("ix_editors_listing", ["account_id", "region", "creation_time", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_editors_studio_id"), ["studio_id"], unique=False)
        batch_op.create_index("ix_editors_unsettled", ["unsettled", "id"], unique=False)

    op.create_table(
        "iam_access_key_use",
        sa.Column("access_key_id", sa.String(length=32), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("access_key_id"),
    )
    op.create_table(
        "iam_account",
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("partition", sa.String(length=16), nullable=False),
        sa.Column("alias", sa.String(length=63), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
        sa.UniqueConstraint("alias"),
    )
    op.create_table(
        "iam_login_profile",
        sa.Column("owner_id", sa.String(length=32), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("reset_required", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner_id"),
    )
    op.create_table(
        "iam_role_grant",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("role_arn", sa.String(length=2048), nullable=False),
        sa.Column("session_name", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=False),
        sa.Column("session_policy", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    with op.batch_alter_table("iam_role_grant", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_iam_role_grant_owner"), ["owner"], unique=False)

    op.create_table(
        "presigned_tokens",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("caller", sa.JSON(), nullable=False),
        sa.Column("studio_id", sa.String(), nullable=True),
        sa.Column("resource_id", sa.String(), nullable=False),
        sa.Column("landing", sa.String(), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    with op.batch_alter_table("presigned_tokens", schema=None) as batch_op:
        batch_op.create_index("ix_presigned_tokens_expires", ["expires"], unique=False)

    op.create_table(
        "storage_bucket",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    with op.batch_alter_table("storage_bucket", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_storage_bucket_account_id"), ["account_id"], unique=False)

    op.create_table(
        "studios",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("auth_mode", sa.String(), nullable=False),
        sa.Column("vpc_id", sa.String(), nullable=False),
        sa.Column("subnet_ids", sa.JSON(), nullable=False),
        sa.Column("service_role", sa.String(), nullable=False),
        sa.Column("service_role_arn", sa.String(), nullable=False),
        sa.Column("user_role", sa.String(), nullable=True),
        sa.Column("workspace_security_group_id", sa.String(), nullable=False),
        sa.Column("engine_security_group_id", sa.String(), nullable=False),
        sa.Column("default_s3_location", sa.String(), nullable=False),
        sa.Column("idp_auth_url", sa.String(), nullable=True),
        sa.Column("idp_relay_state_parameter_name", sa.String(), nullable=True),
        sa.Column("trusted_identity_propagation_enabled", sa.Boolean(), nullable=True),
        sa.Column("idc_user_assignment", sa.String(), nullable=True),
        sa.Column("idc_instance_arn", sa.String(), nullable=True),
        sa.Column("encryption_key_arn", sa.String(), nullable=True),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("creation_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("studios", schema=None) as batch_op:
        batch_op.create_index("ix_studios_listing", ["account_id", "region", "creation_time", "id"], unique=False)

    op.create_table(
        "vpcs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("cidr_block", sa.String(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("vpcs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vpcs_account_id"), ["account_id"], unique=False)
        batch_op.create_index(
            "ux_vpcs_default",
            ["account_id", "region"],
            unique=True,
            sqlite_where=sa.text("is_default"),
            postgresql_where=sa.text("is_default"),
        )

    op.create_table(
        "workspace_uids",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("editor_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "iam_attachment",
        sa.Column("entity_id", sa.String(length=32), nullable=False),
        sa.Column("policy_arn", sa.String(length=512), nullable=False),
        sa.Column("attached_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["iam_account.account_id"],
        ),
        sa.PrimaryKeyConstraint("entity_id", "policy_arn"),
    )
    with op.batch_alter_table("iam_attachment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_iam_attachment_account_id"), ["account_id"], unique=False)
        batch_op.create_index("ix_iam_attachment_policy", ["account_id", "policy_arn"], unique=False)

    op.create_table(
        "iam_group",
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
    with op.batch_alter_table("iam_group", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_iam_group_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_iam_group_arn"), ["arn"], unique=False)

    op.create_table(
        "iam_inline_policy",
        sa.Column("entity_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["iam_account.account_id"],
        ),
        sa.PrimaryKeyConstraint("entity_id", "name"),
    )
    with op.batch_alter_table("iam_inline_policy", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_iam_inline_policy_account_id"), ["account_id"], unique=False)

    op.create_table(
        "iam_policy",
        sa.Column("description", sa.String(length=1000), nullable=True),
        sa.Column("default_version", sa.Integer(), nullable=False),
        sa.Column("latest_version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
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
    with op.batch_alter_table("iam_policy", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_iam_policy_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_iam_policy_arn"), ["arn"], unique=False)

    op.create_table(
        "iam_role",
        sa.Column("trust_policy", sa.String(), nullable=False),
        sa.Column("description", sa.String(length=1000), nullable=True),
        sa.Column("max_session_duration", sa.Integer(), nullable=False),
        sa.Column("boundary_arn", sa.String(length=2048), nullable=True),
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
    with op.batch_alter_table("iam_role", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_iam_role_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_iam_role_arn"), ["arn"], unique=False)

    op.create_table(
        "iam_user",
        sa.Column("boundary_arn", sa.String(length=2048), nullable=True),
        sa.Column("password_last_used", sa.DateTime(timezone=True), nullable=True),
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
    with op.batch_alter_table("iam_user", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_iam_user_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_iam_user_arn"), ["arn"], unique=False)

    op.create_table(
        "instance_groups",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("cluster_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("instance_type", sa.String(), nullable=False),
        sa.Column("market", sa.String(), nullable=False),
        sa.Column("bid_price", sa.String(), nullable=True),
        sa.Column("requested_count", sa.Integer(), nullable=False),
        sa.Column("configurations", sa.JSON(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"],
            ["clusters.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("instance_groups", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_instance_groups_cluster_id"), ["cluster_id"], unique=False)

    op.create_table(
        "security_groups",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("vpc_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["vpc_id"],
            ["vpcs.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("security_groups", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_security_groups_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_security_groups_vpc_id"), ["vpc_id"], unique=False)

    op.create_table(
        "subnets",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("vpc_id", sa.String(), nullable=False),
        sa.Column("cidr_block", sa.String(), nullable=False),
        sa.Column("availability_zone", sa.String(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["vpc_id"],
            ["vpcs.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("subnets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_subnets_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_subnets_vpc_id"), ["vpc_id"], unique=False)

    op.create_table(
        "addresses",
        sa.Column("ip", sa.String(), nullable=False),
        sa.Column("host_part", sa.String(), nullable=False),
        sa.Column("subnet_id", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subnet_id"],
            ["subnets.id"],
        ),
        sa.PrimaryKeyConstraint("ip"),
    )
    with op.batch_alter_table("addresses", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_addresses_owner"), ["owner"], unique=False)
        batch_op.create_index(batch_op.f("ix_addresses_subnet_id"), ["subnet_id"], unique=False)
        batch_op.create_index("ux_addresses_host_part", ["host_part"], unique=True)

    op.create_table(
        "iam_access_key",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=True),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
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
    with op.batch_alter_table("iam_access_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_iam_access_key_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_iam_access_key_user_id"), ["user_id"], unique=False)

    op.create_table(
        "iam_group_member",
        sa.Column("group_id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["iam_account.account_id"],
        ),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["iam_group.id"],
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["iam_user.id"],
        ),
        sa.PrimaryKeyConstraint("group_id", "user_id"),
    )
    with op.batch_alter_table("iam_group_member", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_iam_group_member_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_iam_group_member_user_id"), ["user_id"], unique=False)

    op.create_table(
        "iam_instance_profile",
        sa.Column("role_id", sa.String(length=32), nullable=True),
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
        sa.ForeignKeyConstraint(
            ["role_id"],
            ["iam_role.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account_id", "name_key"),
    )
    with op.batch_alter_table("iam_instance_profile", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_iam_instance_profile_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_iam_instance_profile_arn"), ["arn"], unique=False)
        batch_op.create_index(batch_op.f("ix_iam_instance_profile_role_id"), ["role_id"], unique=False)

    op.create_table(
        "iam_policy_version",
        sa.Column("policy_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["iam_account.account_id"],
        ),
        sa.ForeignKeyConstraint(
            ["policy_id"],
            ["iam_policy.id"],
        ),
        sa.PrimaryKeyConstraint("policy_id", "number"),
    )
    with op.batch_alter_table("iam_policy_version", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_iam_policy_version_account_id"), ["account_id"], unique=False)

    op.create_table(
        "instances",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("cluster_id", sa.String(), nullable=False),
        sa.Column("group_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("ec2_id", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("instance_type", sa.String(), nullable=False),
        sa.Column("private_ip", sa.String(), nullable=False),
        sa.Column("bind_ip", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("creation_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ready_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("restarts", sa.Integer(), nullable=False),
        sa.Column("restarts_since", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["cluster_id"],
            ["clusters.id"],
        ),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["instance_groups.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_instances_cluster_id"), ["cluster_id"], unique=False)

    op.create_table(
        "security_group_rules",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("group_id", sa.String(), nullable=False),
        sa.Column("egress", sa.Boolean(), nullable=False),
        sa.Column("protocol", sa.String(), nullable=False),
        sa.Column("from_port", sa.Integer(), nullable=False),
        sa.Column("to_port", sa.Integer(), nullable=False),
        sa.Column("cidr", sa.String(), nullable=True),
        sa.Column("peer_group_id", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["group_id"], ["security_groups.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("security_group_rules", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_security_group_rules_group_id"), ["group_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("security_group_rules", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_security_group_rules_group_id"))

    op.drop_table("security_group_rules")
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_instances_cluster_id"))

    op.drop_table("instances")
    with op.batch_alter_table("iam_policy_version", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_iam_policy_version_account_id"))

    op.drop_table("iam_policy_version")
    with op.batch_alter_table("iam_instance_profile", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_iam_instance_profile_role_id"))
        batch_op.drop_index(batch_op.f("ix_iam_instance_profile_arn"))
        batch_op.drop_index(batch_op.f("ix_iam_instance_profile_account_id"))

    op.drop_table("iam_instance_profile")
    with op.batch_alter_table("iam_group_member", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_iam_group_member_user_id"))
        batch_op.drop_index(batch_op.f("ix_iam_group_member_account_id"))

    op.drop_table("iam_group_member")
    with op.batch_alter_table("iam_access_key", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_iam_access_key_user_id"))
        batch_op.drop_index(batch_op.f("ix_iam_access_key_account_id"))

    op.drop_table("iam_access_key")
    with op.batch_alter_table("addresses", schema=None) as batch_op:
        batch_op.drop_index("ux_addresses_host_part")
        batch_op.drop_index(batch_op.f("ix_addresses_subnet_id"))
        batch_op.drop_index(batch_op.f("ix_addresses_owner"))

    op.drop_table("addresses")
    with op.batch_alter_table("subnets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_subnets_vpc_id"))
        batch_op.drop_index(batch_op.f("ix_subnets_account_id"))

    op.drop_table("subnets")
    with op.batch_alter_table("security_groups", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_security_groups_vpc_id"))
        batch_op.drop_index(batch_op.f("ix_security_groups_account_id"))

    op.drop_table("security_groups")
    with op.batch_alter_table("instance_groups", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_instance_groups_cluster_id"))

    op.drop_table("instance_groups")
    with op.batch_alter_table("iam_user", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_iam_user_arn"))
        batch_op.drop_index(batch_op.f("ix_iam_user_account_id"))

    op.drop_table("iam_user")
    with op.batch_alter_table("iam_role", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_iam_role_arn"))
        batch_op.drop_index(batch_op.f("ix_iam_role_account_id"))

    op.drop_table("iam_role")
    with op.batch_alter_table("iam_policy", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_iam_policy_arn"))
        batch_op.drop_index(batch_op.f("ix_iam_policy_account_id"))

    op.drop_table("iam_policy")
    with op.batch_alter_table("iam_inline_policy", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_iam_inline_policy_account_id"))

    op.drop_table("iam_inline_policy")
    with op.batch_alter_table("iam_group", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_iam_group_arn"))
        batch_op.drop_index(batch_op.f("ix_iam_group_account_id"))

    op.drop_table("iam_group")
    with op.batch_alter_table("iam_attachment", schema=None) as batch_op:
        batch_op.drop_index("ix_iam_attachment_policy")
        batch_op.drop_index(batch_op.f("ix_iam_attachment_account_id"))

    op.drop_table("iam_attachment")
    op.drop_table("workspace_uids")
    with op.batch_alter_table("vpcs", schema=None) as batch_op:
        batch_op.drop_index(
            "ux_vpcs_default", sqlite_where=sa.text("is_default"), postgresql_where=sa.text("is_default")
        )
        batch_op.drop_index(batch_op.f("ix_vpcs_account_id"))

    op.drop_table("vpcs")
    with op.batch_alter_table("studios", schema=None) as batch_op:
        batch_op.drop_index("ix_studios_listing")

    op.drop_table("studios")
    with op.batch_alter_table("storage_bucket", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_storage_bucket_account_id"))

    op.drop_table("storage_bucket")
    with op.batch_alter_table("presigned_tokens", schema=None) as batch_op:
        batch_op.drop_index("ix_presigned_tokens_expires")

    op.drop_table("presigned_tokens")
    with op.batch_alter_table("iam_role_grant", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_iam_role_grant_owner"))

    op.drop_table("iam_role_grant")
    op.drop_table("iam_login_profile")
    op.drop_table("iam_account")
    op.drop_table("iam_access_key_use")
    with op.batch_alter_table("editors", schema=None) as batch_op:
        batch_op.drop_index("ix_editors_unsettled")
        batch_op.drop_index(batch_op.f("ix_editors_studio_id"))
        batch_op.drop_index("ix_editors_listing")

    op.drop_table("editors")
    op.drop_table("controller_leases")
    with op.batch_alter_table("console_sessions", schema=None) as batch_op:
        batch_op.drop_index("ix_console_sessions_last_used")

    op.drop_table("console_sessions")
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.drop_index("ix_clusters_state")
        batch_op.drop_index("ix_clusters_listing")

    op.drop_table("clusters")
    op.drop_table("cluster_uids")
