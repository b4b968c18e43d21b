"""What the host agent is told to start a Workspace with."""

from __future__ import annotations

from emr_studio.iam.bootstrap import bucket_name
from emr_studio.runtime.contract import WorkspaceSpec
from emr_studio.settings import Settings
from emr_studio.workspaces.health import limits_of
from emr_studio.workspaces.model import Editor, default_notebook, kernel_variables, workload_owner


def spec_of(editor: Editor, settings: Settings, public_key: str, token: str, git_token: str) -> WorkspaceSpec:
    """The whole of it; `token` is for the service role, which the agent alone has, `git_token` for the Workspace."""
    return WorkspaceSpec(
        workload_id=editor.id,
        owner=workload_owner(editor.id),
        name=editor.name,
        s3_location=editor.s3_location,
        s3_endpoint_url=settings.endpoint_url,
        region=editor.region,
        credentials_url=f"{settings.endpoint_url}/_credentials",
        credentials_token=token,
        identity_public_key=public_key,
        uid=editor.uid,
        git_token=git_token,
        kms_key_id=editor.encryption_key_arn or "",
        origin=settings.workspace_url(editor.id),
        default_notebook=default_notebook(editor),
        limits=limits_of(settings),
        environment=kernel_variables(editor)
        | {
            "EMR_STUDIO_SAMPLE_DATA": f"s3://{bucket_name(settings)}/data/",
            "AWS_REGION": editor.region,
            "AWS_DEFAULT_REGION": editor.region,
        },
    )
