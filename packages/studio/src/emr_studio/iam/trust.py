"""Trust policies as they are kept.

On saving, account ids become the ARN of the account's root, and ARNs of users, roles and role sessions
become their unique ids, so that an entity made anew under an old name is not trusted by mistake; on showing,
ids of entities that exist become ARNs again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from emr_studio.iam import entities
from emr_studio.iam.errors import MalformedPolicyDocument
from emr_studio.iam.model import Account, Role, User
from emr_studio.iam.sessions import session_arn

_ENTITY_ARN = re.compile(r"arn:[a-z\-]+:iam::(\d{12}):(user|role)/[\x21-\x7e]+")
_ACCOUNT_ID = re.compile(r"\d{12}")
_SESSION_ARN = re.compile(r"arn:[a-z\-]+:sts::(\d{12}):assumed-role/([^/]+)/(.+)")
_ANYONE_OR_OTHER = re.compile(r"\*|arn:[^:]+:(iam::\d{12}:root|sts::\d{12}:federated-user/.+)")
_UNIQUE_ID = re.compile(r"A(?:IDA|ROA)[A-Z2-7]{17}(?::.+)?")
_PROVIDER = re.compile(r"arn:[a-z\-]+:iam::\d{12}:(saml-provider/[\w.\-]+|oidc-provider/[\x21-\x7e]+)", re.ASCII)
_DOMAIN = re.compile(r"[a-zA-Z0-9\-]+(\.[a-zA-Z0-9\-]+)+")
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
    if kind == "Federated" and not (_PROVIDER.fullmatch(name) or _DOMAIN.fullmatch(name)):
        raise MalformedPolicyDocument("Federated principals must be valid domain names or SAML metadata ARNs")
    if kind != "AWS" or _ANYONE_OR_OTHER.fullmatch(name):
        return name
    if _ACCOUNT_ID.fullmatch(name):
        account = session.get(Account, name)
        return f"arn:{account.partition if account else 'aws'}:iam::{name}:root"
    found = _id_of_entity(session, name)
    if found is None:
        raise MalformedPolicyDocument(f'Invalid principal in policy: "AWS":"{name}"')
    return found


def _id_of_entity(session: Session, name: str) -> str | None:
    """The id of a user, role or role session; None if there is none. What another installation has stays as it is."""
    if _UNIQUE_ID.fullmatch(name):
        return name if _by_id(session, name.partition(":")[0]) else None
    parsed = _ENTITY_ARN.fullmatch(name) or _SESSION_ARN.fullmatch(name)
    if not parsed:
        return None
    if session.get(Account, parsed[1]) is None:
        return name
    if parsed.re is _SESSION_ARN:
        role = entities.find_by_name(session, Role, parsed[1], parsed[2])
        return f"{role.id}:{parsed[3]}" if role else None
    entity: User | Role | None = entities.find_by_arn(session, User, name) or entities.find_by_arn(session, Role, name)
    return entity.id if entity else None


def _by_id(session: Session, unique_id: str) -> User | Role | None:
    return session.get(User, unique_id) if unique_id.startswith("AIDA") else session.get(Role, unique_id)


def _arn_of(session: Session, kind: str, name: str) -> str:
    if kind != "AWS" or not _UNIQUE_ID.fullmatch(name):
        return name
    unique_id, _, session_name = name.partition(":")
    entity = _by_id(session, unique_id)
    if entity is None:
        return name
    return session_arn(entity.arn, entity.name, session_name) if session_name else entity.arn
