"""What a user or role may do, compiled and kept in memory until its account's generation moves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock

from sqlalchemy.orm import Session

from emr_studio.aws.context import Caller
from emr_studio.bounded import Bounded
from emr_studio.iam import entities, generation
from emr_studio.iam.model import Account, Role, User
from emr_studio.iam.policy import Layer, MalformedPolicy, PolicyKind, PolicySource, compile_layer

_REMEMBERED = 10_000
_WITHOUT_POLICIES = ("root", "service", "anonymous")
_NOTHING = compile_layer((), PolicyKind.IDENTITY)
_ALLOW = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"%s","Resource":"*"}]}'
_EVERYTHING = compile_layer((PolicySource("root", _ALLOW % "*"),), PolicyKind.IDENTITY)
_ALLOWS_NOTHING = _ALLOW % "sts:GetCallerIdentity"
"""Stands for a session's managed policy that is gone: that operation is open to all anyway."""


@dataclass(frozen=True)
class Subject:
    """A user or role with its compiled policies. `trust` is a role's trust policy."""

    id: str
    name: str
    arn: str
    tags: Mapping[str, str]
    identity: Layer
    boundary: Layer | None
    trust: Layer | None = None
    boundary_arn: str | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    """Texts of all these policies by the name that a decision calls them, for who explains it."""

    settled: set[tuple[str, str, str]] = field(default_factory=set, compare=False, repr=False)
    """Action, resource and owner that these policies allow whatever the request's context: see `iam.settled`."""

    @cached_property
    def words(self) -> str:
        """All these texts in lower case."""
        return "\n".join(self.texts.values()).lower()


class Subjects:
    """Memory of subjects; one a process, shared by all threads."""

    def __init__(self) -> None:
        self._known: Bounded[str, tuple[int, Subject | None]] = Bounded(_REMEMBERED)
        self._lock = Lock()

    def get(self, session: Session, account_id: str, entity_id: str) -> Subject | None:
        """The user (AIDA...) or role (AROA...) as it is now; None if it is gone."""
        now = generation.current(session, account_id)
        known = self._known.get(entity_id)
        if known is not None and known[0] == now:
            return known[1]
        subject = _load(session, account_id, entity_id)
        with self._lock:
            self._known[entity_id] = (now, subject)
        return subject


def _load(session: Session, account_id: str, entity_id: str) -> Subject | None:
    entity: User | Role | None
    entity = session.get(User, entity_id) if entity_id.startswith("AIDA") else session.get(Role, entity_id)
    if entity is None or entity.account_id != account_id:
        return None
    boundary = _boundary_source(session, entity)
    own = tuple(identity_sources(session, entity))
    trust = PolicySource(entity.arn, entity.trust_policy) if isinstance(entity, Role) else None
    return Subject(
        id=entity.id,
        name=entity.name,
        arn=entity.arn,
        tags=dict(entity.tags),
        identity=compile_layer(own, PolicyKind.IDENTITY),
        boundary=_boundary(entity, boundary),
        trust=compile_layer((trust,), PolicyKind.TRUST) if trust else None,
        boundary_arn=entity.boundary_arn,
        texts={source.name: source.text for source in (*own, boundary, trust) if source},
    )


def identity_sources(session: Session, entity: User | Role) -> Iterable[PolicySource]:
    """All identity policies of a user (its groups' too) or role: managed ones named by ARN."""
    owners = [(entity.id, entity.arn)]
    if isinstance(entity, User):
        owners += [(group.id, group.arn) for group in entities.groups_of(session, entity.id)]
    for owner_id, owner_arn in owners:
        for attachment in entities.attachments(session, owner_id):
            text = entities.policy_text(session, entity.account_id, attachment.policy_arn)
            if text is not None:
                yield PolicySource(attachment.policy_arn, text)
        for inline in entities.inline_policies(session, owner_id):
            yield PolicySource(f"{owner_arn}#{inline.name}", inline.document)


def _boundary_source(session: Session, entity: User | Role) -> PolicySource | None:
    if entity.boundary_arn is None:
        return None
    text = entities.policy_text(session, entity.account_id, entity.boundary_arn)
    return None if text is None else PolicySource(entity.boundary_arn, text)


def _boundary(entity: User | Role, source: PolicySource | None) -> Layer | None:
    if entity.boundary_arn is None:
        return None
    # A boundary that is gone allows nothing: it must not widen what it was to limit.
    return compile_layer((source,), PolicyKind.BOUNDARY) if source else _NOTHING


def subject_of(session: Session, caller: Caller) -> Subject | None:
    """The user or role behind a caller, with its policies as they are now; None for root, services, nobody."""
    if caller.kind in _WITHOUT_POLICIES:
        return None
    if caller.federating_user is not None:
        return find_subject(session, caller.account_id, caller.federating_user)
    return SUBJECTS.get(session, caller.account_id, caller.user_id.partition(":")[0])


def find_subject(session: Session, account_id: str, entity_id: str) -> Subject | None:
    """The user, role or (the id is the account's) root user behind temporary credentials; None if it is gone."""
    if entity_id != account_id:
        return SUBJECTS.get(session, account_id, entity_id)
    account = session.get(Account, account_id)
    if account is None:
        return None
    arn = f"arn:{account.partition}:iam::{account_id}:root"
    return Subject(account_id, "root", arn, {}, _EVERYTHING, None)


def session_policy_texts(session: Session, account_id: str, policies: tuple[str, ...]) -> tuple[str, ...]:
    """Session policies as texts: managed ones, which are kept by their ARN, as they are now."""
    return tuple(
        (entities.policy_text(session, account_id, policy) or _ALLOWS_NOTHING) if policy.startswith("arn:") else policy
        for policy in policies
    )


def session_policy_name(index: int) -> str:
    """How decisions call the session policies of a session."""
    return f"session-policy[{index}]"


def session_layer(policies: Iterable[str]) -> Layer | None:
    """The union of a session's policies; None if none was passed."""
    sources = tuple(PolicySource(session_policy_name(index), text) for index, text in enumerate(policies))
    if not sources:
        return None
    try:
        return compile_layer(sources, PolicyKind.SESSION)
    except MalformedPolicy:
        # They were checked when the session was made; what cannot be read allows nothing.
        return _NOTHING


SUBJECTS = Subjects()


def policies_mention(session: Session, caller: Caller, word: str) -> bool:
    """True if a policy of the caller or of her session has `word` (lower case) in its text."""
    if any(word in text.lower() for text in caller.session_policies):
        return True
    if caller.kind in _WITHOUT_POLICIES:
        return False
    subject = SUBJECTS.get(session, caller.account_id, caller.user_id.partition(":")[0])
    return subject is not None and word in subject.words
