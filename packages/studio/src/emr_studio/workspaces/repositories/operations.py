"""Operations of our overlay on the EMR API about Git repositories (emr-studio.md 3.2, 8).

A registration belongs to the account, so any Studio's users find it; IAM knows no ARN of it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from emr_studio import ids
from emr_studio.aws.context import Context
from emr_studio.aws.errors import InvalidRequest
from emr_studio.aws.pagination import paginate
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.workspaces.repositories import link_operations
from emr_studio.workspaces.repositories.model import Repository, find_repository, workspaces_with
from emr_studio.workspaces.repositories.rules import check_branch, check_name, check_secret, check_url

_PAGE = 50
OTHERS = (link_operations,)
"""Importing them registers what else can be called."""


@operation("emr", "CreateRepository", checks=action("elasticmapreduce:CreateRepository"))
def create_repository(context: Context, request: Request) -> Response:
    """Register a repository for all Studios of the account (GT-01, GT-09). Its name is unique there."""
    name, url, branch = request["RepositoryName"], request["GitUrl"], request["Branch"]
    check_name(name)
    check_url(url)
    check_branch(branch)
    taken = Repository.account_id == context.account_id, Repository.region == context.region, Repository.name == name
    if context.session.scalars(select(Repository.id).where(*taken)).first() is not None:
        raise InvalidRequest(f"Repository '{name}' exists already.")
    now = context.now()
    repository = Repository(
        id=ids.repository_id(),
        account_id=context.account_id,
        region=context.region,
        name=name,
        url=url,
        branch=branch,
        secret_arn=check_secret(context, request.get("SecretArn") or ""),
        creator_user_id=context.caller.user_id,
        creation_time=now,
        last_modified_time=now,
    )
    context.session.add(repository)
    context.session.flush()
    return {"Repository": described(repository)}


@operation("emr", "DescribeRepository", checks=action("elasticmapreduce:DescribeRepository"))
def describe_repository(context: Context, request: Request) -> Response:
    """Describe a repository, and say which Workspaces it is linked with."""
    repository = _find(context, request)
    linked = workspaces_with(context.session, repository)
    return {"Repository": described(repository) | {"LinkedEditorIds": linked}}


@operation("emr", "UpdateRepository", checks=action("elasticmapreduce:UpdateRepository"))
def update_repository(context: Context, request: Request) -> Response:
    """Change a repository's credentials, and nothing else (GT-07); an empty `SecretArn` takes them away.

    Workspaces that it is linked with use the new ones from the next fetch or push on.
    """
    repository = _find(context, request)
    repository.secret_arn = check_secret(context, request["SecretArn"])
    repository.last_modified_time = context.now()
    return {}


@operation("emr", "DeleteRepository", checks=action("elasticmapreduce:DeleteRepository"))
def delete_repository(context: Context, request: Request) -> Response:
    """Delete a registration that no Workspace is linked with; the secret stays."""
    repository = _find(context, request)
    if linked := workspaces_with(context.session, repository):
        raise InvalidRequest(
            f"Repository '{repository.name}' is linked with {len(linked)} Workspace(s), first {linked[0]}: unlink it "
            "everywhere, then delete it."
        )
    context.session.delete(repository)
    return {}


@operation("emr", "ListRepositories", checks=action("elasticmapreduce:ListRepositories"))
def list_repositories(context: Context, request: Request) -> Response:
    """List the account's repositories, 50 a page, oldest first, whichever Studio they were registered from."""
    page, marker = paginate(
        context,
        select(Repository).where(Repository.account_id == context.account_id, Repository.region == context.region),
        (Repository.creation_time, Repository.id),
        _PAGE,
        request.get("Marker"),
        bound_to="ListRepositories",
    )
    answer: dict[str, Any] = {"Repositories": [described(repository) for repository in page]}
    return answer if marker is None else {**answer, "Marker": marker}


def _find(context: Context, request: Request) -> Repository:
    return find_repository(context.session, context.account_id, context.region, request["RepositoryName"])


def described(repository: Repository) -> dict[str, Any]:
    """`Repository` of an answer."""
    found = {
        "RepositoryName": repository.name,
        "GitUrl": repository.url,
        "Branch": repository.branch,
        "SecretArn": repository.secret_arn,
        "CreatorUserId": repository.creator_user_id,
        "CreationTime": repository.creation_time,
        "LastModifiedTime": repository.last_modified_time,
    }
    return {member: value for member, value in found.items() if value is not None}
