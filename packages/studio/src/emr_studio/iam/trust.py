"""Trust policies as they are kept.

On saving, account ids become the ARN of the account's root, and ARNs of users and roles become their
unique ids, so that an entity made anew under an old name is not trusted by mistake; on showing, ids of
entities that exist become ARNs again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from emr_studio.iam.errors import MalformedPolicyDocument
from emr_studio.iam.model import Account, Role, User

_ENTITY_ARN = re.compile(r"arn:[a-z\-]+:iam::(\d{12}):(user|role)/[\x21-\x7e]+")
_ACCOUNT_ID = re.compile(r"\d{12}")
_ROOT_OR_SESSION = re.compile(r"\*|arn:[^:]+:(iam::\d{12}:root|sts::\d{12}:(assumed-role|federated-user)/.+)")
_UNIQUE_ID = re.compile(r"A(?:IDA|ROA)[A-Z2-7]{17}")
_SERVICE = re.compile(r"[a-z0-9.\-]+\.amazonaws\.com(\.cn)?|[a-z0-9.\-]+\.(internal|aws)")


def to_keep(session: Session, text: str) -> str:
    """The (valid) trust policy with entities' unique ids.

    Raises:
        MalformedPolicyDocument: "Invalid principal in policy", for what does not exist.
    """
    return _map_principals(text, lambda kind, name: _id_of(session, kind, name))


def to_show(session: Session, text: str) -> str:
    """The kept trust policy with ARNs."""
    return (
        _map_principals(text, lambda kind, name: _arn_of(session, kind, name))
        if "AIDA" in text or "AROA" in text
        else text
    )


def _map_principals(text: str, change: Callable[[str, str], str]) -> str:
    """Apply `change` to every principal; the text stays as it is if nothing changes."""
    document = json.loads(text)
    before = json.dumps(document)
    statements = document["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal")
        if isinstance(principal, dict):
            statement["Principal"] = {kind: _map_names(kind, names, change) for kind, names in principal.items()}
    after = json.dumps(document)
    return text if after == before else json.dumps(document, separators=(",", ":"))


def _map_names(kind: str, names: Any, change: Callable[[str, str], str]) -> Any:
    return change(kind, names) if isinstance(names, str) else [change(kind, name) for name in names]


def _id_of(session: Session, kind: str, name: str) -> str:
    if kind == "Service" and not _SERVICE.fullmatch(name):
        raise MalformedPolicyDocument(f'Invalid principal in policy: "SERVICE":"{name}"')
    if kind == "AWS" and _ACCOUNT_ID.fullmatch(name):
        account = session.get(Account, name)
        return f"arn:{account.partition if account else 'aws'}:iam::{name}:root"
    if kind != "AWS" or _ROOT_OR_SESSION.fullmatch(name) or _UNIQUE_ID.fullmatch(name):
        return name
    invalid = MalformedPolicyDocument(f'Invalid principal in policy: "AWS":"{name}"')
    parsed = _ENTITY_ARN.fullmatch(name)
    if not parsed:
        raise invalid
    if session.get(Account, parsed[1]) is None:
        # An account of another installation: what it holds cannot be known here.
        return name
    found = session.scalars(select(User.id).where(User.arn == name)).first()
    found = found or session.scalars(select(Role.id).where(Role.arn == name)).first()
    if found is None:
        raise invalid
    return found


def _arn_of(session: Session, kind: str, name: str) -> str:
    if kind != "AWS" or not _UNIQUE_ID.fullmatch(name):
        return name
    entity: User | Role | None
    entity = session.get(User, name) if name.startswith("AIDA") else session.get(Role, name)
    return entity.arn if entity else name
