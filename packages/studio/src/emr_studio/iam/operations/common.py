"""What the operations of IAM share: checks, pages, tags, shapes, errors of policies."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import func, select

from emr_studio.aws.context import Check, Context, ContextValue
from emr_studio.aws.errors import ClientError
from emr_studio.aws.registry import ChecksFunction, Request
from emr_studio.iam import authorization_reference, entities, managed
from emr_studio.iam.errors import (
    EntityAlreadyExists,
    InvalidInput,
    LimitExceeded,
    MalformedPolicyDocument,
    NoSuchEntity,
    PolicyNotAttachable,
    UnmodifiableEntity,
)
from emr_studio.iam.model import Account, Group, InstanceProfile, Policy, Role, ServerCertificate, User
from emr_studio.iam.policy import Document, MalformedPolicy, PolicyKind, validate
from emr_studio.iam.sealing import BadSeal, Sealer

Item = TypeVar("Item")
AnyEntity = User | Group | Role | InstanceProfile | Policy | ServerCertificate
Tags = dict[str, str]

MOST_TAGS = 50
SERVICE_ROLE_PATH = "/aws-service-role/"
_ARN = re.compile(r"arn(?::[\x21-\x39\x3b-\x7e]*){4}:[\x21-\x7e]+")
_PAGE = 100


def account_of(context: Context) -> Account:
    """The caller's account."""
    return entities.get_account(context.session, context.account_id)


def url_quoted(document: str) -> str:
    """A policy as IAM returns it: RFC 3986 quoted."""
    return quote(document, safe="")


# Checks


def entity_checks(
    action: str, kind: str, find: Callable[[Context, Request], AnyEntity | str], *, tags: bool = False
) -> ChecksFunction:
    """Checks of `iam:<action>` on one entity.

    `find` returns the entity, or the name that was asked for where there is none: the answer to
    somebody who may not is the same then. With `tags` the request's tags are part of the context.
    """

    def checks(context: Context, request: Request) -> Iterable[Check]:
        found = find(context, request)
        supplied: dict[str, ContextValue] = {}
        if isinstance(found, str):
            resource = entity_arn(context, kind, found, str(request.get("Path") or "/"))
        else:
            resource = found.arn
            supplied = resource_tag_context(found.tags) | _boundary_context(found)
        if tags:
            supplied |= request_tag_context(request)
        if "PermissionsBoundary" in request:
            supplied["iam:PermissionsBoundary"] = str(request["PermissionsBoundary"])
        if action.startswith(("Attach", "Detach")):
            supplied["iam:PolicyARN"] = str(request["PolicyArn"])
        return (iam_check(action, resource, supplied),)

    return checks


def iam_check(action: str, resource: str, supplied: Mapping[str, ContextValue]) -> Check:
    """A check with those of `supplied` keys that AWS supplies for the action: no condition on more may hold."""
    known = authorization_reference.find(f"iam:{action}")
    own = {key: value for key, value in supplied.items() if known is None or known.supports(key)}
    return Check(f"iam:{action}", resource, own)


def rename_checks(
    action: str, kind: str, word: str, find: Callable[[Context, Request], AnyEntity | str]
) -> ChecksFunction:
    """Checks of a rename: the caller needs the permission on what is and on what is to be, as in AWS."""
    first = entity_checks(action, kind, find)

    def checks(context: Context, request: Request) -> Iterable[Check]:
        yield from first(context, request)
        found = find(context, request)
        if isinstance(found, str) or not ({f"New{word}Name", "NewPath"} & request.keys()):
            return
        name = str(request.get(f"New{word}Name") or found.name)
        path = str(request.get("NewPath") or found.path)
        yield iam_check(action, entity_arn(context, kind, name, path), resource_tag_context(found.tags))

    return checks


def _boundary_context(entity: AnyEntity) -> dict[str, ContextValue]:
    """Who may only manage entities with a certain boundary is recognised by this key."""
    boundary = entity.boundary_arn if isinstance(entity, User | Role) else None
    return {"iam:PermissionsBoundary": boundary} if boundary else {}


def entity_arn(context: Context, kind: str, name: str, path: str = "/") -> str:
    """The ARN of an entity that may not exist."""
    return f"arn:{account_of(context).partition}:iam::{context.account_id}:{kind}{path}{name}"


def resource_tag_context(tags: Mapping[str, str]) -> dict[str, ContextValue]:
    """Condition keys of an entity's tags."""
    found: dict[str, ContextValue] = {}
    for key, value in tags.items():
        found[f"aws:ResourceTag/{key}"] = value
        found[f"iam:ResourceTag/{key}"] = value
    return found


def request_tag_context(request: Request) -> dict[str, ContextValue]:
    """Condition keys of the tags in a request."""
    given = request.get("Tags") or ()
    found: dict[str, ContextValue] = {f"aws:RequestTag/{tag['Key']}": str(tag.get("Value", "")) for tag in given}
    keys = [str(tag["Key"]) for tag in given] or [str(key) for key in request.get("TagKeys") or ()]
    if keys:
        found["aws:TagKeys"] = keys
    return found


def list_check(action: str, kind: str) -> ChecksFunction:
    """Checks of a list: the resource is all entities below the path prefix."""

    def checks(context: Context, request: Request) -> Iterable[Check]:
        prefix = str(request.get("PathPrefix") or "/")
        return (Check(f"iam:{action}", entity_arn(context, kind, "", prefix)),)

    return checks


# Pages


def page(context: Context, request: Request, listing: str, items: Sequence[Item], member: str) -> dict[str, Any]:
    """One page of a list that is at hand, as `{member: [...], IsTruncated, Marker}`."""
    start = int(read_marker(context, request, listing) or 0)
    size = page_size(request)
    shown = items[start : start + size]
    more = start + size < len(items)
    return {member: list(shown), **paging(context, request, listing, str(start + size) if more else None)}


def page_of_entities(
    context: Context,
    request: Request,
    listing: str,
    *,
    table: type[entities.EntityType],
    shape: Callable[[entities.EntityType], Mapping[str, Any]],
    member: str,
) -> dict[str, Any]:
    """One page of a table, by name, below `PathPrefix`."""
    query = select(table).where(table.account_id == context.account_id).order_by(table.name_key)
    if prefix := request.get("PathPrefix"):
        query = query.where(table.path.startswith(str(prefix), autoescape=True))
    if after := read_marker(context, request, listing):
        query = query.where(table.name_key > after)
    size = page_size(request)
    rows = list(context.session.scalars(query.limit(size + 1)))
    last = rows[size - 1].name_key if len(rows) > size else None
    return {member: [shape(row) for row in rows[:size]], **paging(context, request, listing, last)}


def page_size(request: Request) -> int:
    """`MaxItems`, 100 by default."""
    return int(request.get("MaxItems") or _PAGE)


def paging(context: Context, request: Request, listing: str, position: str | None) -> dict[str, Any]:
    """The members that say whether there is more."""
    if position is None:
        return {"IsTruncated": False}
    sealed = context.port(Sealer).seal(position.encode(), _marker_purpose(context, request, listing))
    return {"IsTruncated": True, "Marker": base64.urlsafe_b64encode(sealed).decode()}


def read_marker(context: Context, request: Request, listing: str) -> str | None:
    """The position in a marker that this listing gave.

    Raises:
        InvalidInput: for anything else.
    """
    marker = request.get("Marker")
    if marker is None:
        return None
    try:
        sealed = base64.urlsafe_b64decode(str(marker).encode())
        return context.port(Sealer).open(sealed, _marker_purpose(context, request, listing)).decode()
    except (BadSeal, binascii.Error, ValueError):
        raise InvalidInput("Invalid Marker.") from None


def _marker_purpose(context: Context, request: Request, listing: str) -> str:
    filters = sorted((key, str(value)) for key, value in request.items() if key not in ("Marker", "MaxItems"))
    return f"iam:marker:{context.account_id}:{listing}:{filters}"


# Tags


def read_tags(request: Request) -> Tags:
    """Tags of a request.

    Raises:
        InvalidInput: for keys that occur twice or are AWS's own.
        LimitExceeded: for more than 50.
    """
    tags = {str(tag["Key"]): str(tag.get("Value", "")) for tag in request.get("Tags") or ()}
    count = len(request.get("Tags") or ())
    if len({key.lower() for key in tags}) != count:
        raise InvalidInput("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(key.lower().startswith("aws:") for key in tags):
        raise InvalidInput("One or more tag keys use the reserved prefix 'aws:'.")
    return check_tag_count(tags)


def check_tag_count(tags: Tags) -> Tags:
    """Return `tags`.

    Raises:
        LimitExceeded: for more than 50.
    """
    if len(tags) > MOST_TAGS:
        raise LimitExceeded(f"The number of tags has reached the maximum limit: {MOST_TAGS}.")
    return tags


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as the API shows them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


# Policies


def checked_policy(text: str, kind: PolicyKind, *, newest: bool = True) -> Document:
    """Read a policy that is to be saved.

    Raises:
        MalformedPolicyDocument: with AWS's message.
    """
    try:
        return validate(text, kind, newest=newest)
    except MalformedPolicy as error:
        raise MalformedPolicyDocument(error.message) from None


def attachable(context: Context, arn: str) -> str:
    """Return `arn` if it is a managed policy of ours or AWS's.

    Raises:
        NoSuchEntity: if it is not.
    """
    valid_arn(arn)
    if entities.policy_text(context.session, context.account_id, arn) is None:
        raise NoSuchEntity(f"Policy {arn} does not exist or is not attachable.")
    if SERVICE_ROLE_PATH in arn and managed.find(arn):
        raise PolicyNotAttachable("Cannot attach a Service Role Policy to a Customer Role.")
    return arn


def valid_arn(arn: str) -> str:
    """Return `arn`.

    Raises:
        InvalidInput: if it has not the form of one.
    """
    if not _ARN.fullmatch(arn):
        raise InvalidInput(f"ARN {arn} is not valid.")
    return arn


def boundary_of(context: Context, request: Request) -> str | None:
    """`PermissionsBoundary` of a request, if it exists."""
    given = request.get("PermissionsBoundary")
    return attachable(context, str(given)) if given else None


# Shapes


def base_shape(entity: AnyEntity, word: str) -> dict[str, Any]:
    """Members that users, groups, roles and instance profiles share; `word` is `User`, `Role`..."""
    return {
        "Path": entity.path,
        f"{word}Name": entity.name,
        f"{word}Id": entity.id,
        "Arn": entity.arn,
        "CreateDate": entity.created_at,
    }


def boundary_shape(arn: str | None) -> dict[str, Any]:
    """The boundary of a user or role."""
    if arn is None:
        return {}
    shape = {"PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": arn}
    return {"PermissionsBoundary": shape}


def one_at_a_time(context: Context) -> None:
    """Let nobody else change this account's identities until this transaction ends.

    What is counted after it is still so when it is written. SQLite has one writer anyhow.
    """
    query = select(Account.account_id).where(Account.account_id == context.account_id)
    context.session.execute(query.with_for_update())


def check_quota(context: Context, table: type[AnyEntity], things: str, most: int) -> None:
    """Room for one more in the account.

    Raises:
        LimitExceeded: "Cannot exceed quota for <things>PerAccount".
    """
    one_at_a_time(context)
    count = context.session.scalar(select(func.count()).where(table.account_id == context.account_id)) or 0
    if count >= most:
        raise LimitExceeded(f"Cannot exceed quota for {things}PerAccount: {most}")


def refuse_taken(context: Context, table: type[AnyEntity], word: str, name: str) -> None:
    """Raises EntityAlreadyExists if the name is taken, ignoring case."""
    if entities.name_is_taken(context.session, table, context.account_id, name):
        raise EntityAlreadyExists(f"{word} with name {name} already exists.")


def rename(context: Context, entity: AnyEntity, kind: str, request: Request, word: str) -> None:
    """Change name and path as `New<word>Name` and `NewPath` say.

    Raises:
        EntityAlreadyExists: if the new name is another entity's.
    """
    name = str(request.get(f"New{word}Name") or entity.name)
    path = str(request.get("NewPath") or entity.path)
    if name.lower() != entity.name_key:
        refuse_taken(context, type(entity), word, name)
    entity.name, entity.name_key, entity.path = name, name.lower(), path
    entity.arn = entity_arn(context, kind, name, path)


def refuse_service_linked(role: AnyEntity) -> None:
    """Raises UnmodifiableEntity for a role that belongs to an AWS service."""
    if isinstance(role, Role) and role.path.startswith(SERVICE_ROLE_PATH):
        raise UnmodifiableEntity(role.name)


def validation_error(message: str) -> ClientError:
    """IAM's and STS's `ValidationError`."""
    return ClientError("ValidationError", message)
