"""The policy simulator: what would be decided, and by which statements where in which policy.

Pure but for the reading of an entity's policies: the decision is the engine's own (`iam/policy`), so what
is simulated is what happens. Session policies are not simulated, as in AWS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from sqlalchemy.orm import Session

from emr_studio.aws.context import ContextValue
from emr_studio.iam import entities, managed, policy_text
from emr_studio.iam.model import Group, Role, User
from emr_studio.iam.policy import (
    Decision,
    Layer,
    PolicyKind,
    PolicySet,
    PolicySource,
    Principal,
    Request,
    compile_layer,
    evaluate,
)
from emr_studio.iam.sessions import session_arn

_WORDS = {"Allowed": "allowed", "ExplicitlyDenied": "explicitDeny", "ImplicitlyDenied": "implicitDeny"}
_EVERYTHING = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}'
_SESSION = "simulation"


@dataclass(frozen=True)
class Source:
    """A policy that takes part. `shown_id` and `shown_type` are how the answer names it.

    `name` is unlike all others: a managed policy's ARN, or `entity ARN#name` of an inline one.
    """

    name: str
    text: str
    shown_id: str
    shown_type: str

    @cached_property
    def spans(self) -> list[policy_text.Span]:
        return policy_text.spans(self.text)


def given_sources(texts: Iterable[str], list_name: str, shown_type: str = "none") -> list[Source]:
    """Policies of a request: `PolicyInputList.1` and so on."""
    names = (f"{list_name}.{number}" for number, _ in enumerate(texts, 1))
    return [Source(name, text, name, shown_type) for name, text in zip(names, texts, strict=True)]


def sources_of(session: Session, entity: User | Group | Role) -> list[Source]:
    """All identity policies of a user (with its groups'), group or role."""
    found: dict[str, Source] = {}
    owners: list[User | Group | Role] = [entity]
    if isinstance(entity, User):
        owners += entities.groups_of(session, entity.id)
    for owner in owners:
        for attachment in entities.attachments(session, owner.id):
            if source := managed_source(session, entity.account_id, attachment.policy_arn):
                found[source.name] = source
        kind = type(owner).__name__.lower()
        for inline in entities.inline_policies(session, owner.id):
            name = f"{owner.arn}#{inline.name}"
            found[name] = Source(name, inline.document, inline.name, kind)
    return list(found.values())


def managed_source(session: Session, account_id: str, arn: str) -> Source | None:
    """A managed policy, ours or AWS's; None if it is gone."""
    text = entities.policy_text(session, account_id, arn)
    kind = "aws-managed" if managed.find(arn) else "user-managed"
    return Source(arn, text, arn.rsplit("/", 1)[-1], kind) if text is not None else None


def principal_for(entity: User | Group | Role) -> tuple[Principal, dict[str, ContextValue]]:
    """An entity as a caller, with the condition keys that come with it. A group acts as one of its users."""
    context: dict[str, ContextValue] = {"aws:PrincipalArn": entity.arn, "aws:PrincipalAccount": entity.account_id}
    context |= {f"aws:PrincipalTag/{key}": value for key, value in entity.tags.items()}
    if isinstance(entity, Role):
        arn = session_arn(entity.arn, entity.name, _SESSION)
        user_id = f"{entity.id}:{_SESSION}"
        context |= {"aws:PrincipalType": "AssumedRole", "aws:userid": user_id}
        return Principal("role-session", arn, entity.account_id, entity.arn, user_id=user_id), context
    context["aws:PrincipalType"] = "User"
    if isinstance(entity, User):
        context |= {"aws:userid": entity.id, "aws:username": entity.name}
    return Principal("user", entity.arn, entity.account_id, user_id=entity.id), context


@dataclass(frozen=True)
class Simulation:
    """Everything but action and resource. `owner` is the account of resources whose ARN names none."""

    identity: Sequence[Source]
    principal: Principal
    context: Mapping[str, ContextValue]
    boundary: Sequence[Source] | None = None
    resource: Source | None = None
    owner: str | None = None
    _by_name: dict[str, Source] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for source in (*self.identity, *(self.boundary or ()), *((self.resource,) if self.resource else ())):
            self._by_name[source.name] = source

    def result(self, action: str, arn: str, *, named: bool) -> dict[str, Any]:
        """One `EvaluationResult`; `named`: the request named resources, so the details stand below each."""
        decision = self._decide(action, arn, self._policies)
        missing = self._missing(action)
        details: dict[str, Any] = {"MatchedStatements": self._statements(decision)}
        if self.boundary is not None:
            allowed = self._alone(action, arn, self._layer(self.boundary, PolicyKind.BOUNDARY)).allowed
            details["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": allowed}
        if self.resource is not None and self._owner_of(arn) != self.principal.account:
            details["EvalDecisionDetails"] = self._by_type(action, arn)
        outcome = _WORDS[decision.outcome]
        made = {"EvalActionName": action, "EvalResourceName": arn, "EvalDecision": outcome, **details}
        made["MissingContextValues"] = [] if named else missing
        if named:
            below = {"EvalResourceName": arn, "EvalResourceDecision": outcome, "MissingContextValues": missing}
            made["ResourceSpecificResults"] = [below | details]
        return made

    @cached_property
    def _policies(self) -> PolicySet:
        boundary = None if self.boundary is None else self._layer(self.boundary, PolicyKind.BOUNDARY)
        resource = None if self.resource is None else self._layer([self.resource], PolicyKind.RESOURCE)
        return PolicySet(self._layer(self.identity, PolicyKind.IDENTITY), boundary, None, resource)

    @staticmethod
    def _layer(sources: Iterable[Source], kind: PolicyKind) -> Layer:
        return compile_layer(tuple(PolicySource(source.name, source.text) for source in sources), kind)

    def _owner_of(self, arn: str) -> str:
        parts = arn.split(":", 5)
        named = parts[4] if len(parts) == 6 and parts[4].isdecimal() else None
        return named or self.owner or self.principal.account

    def _decide(self, action: str, arn: str, policies: PolicySet) -> Decision:
        owner = self._owner_of(arn)
        context = {"aws:ResourceAccount": owner, **self.context}
        return evaluate(Request(self.principal, action, arn, owner, context), policies, trace=True)

    def _alone(self, action: str, arn: str, layer: Layer) -> Decision:
        """What one kind of policy says by itself, as if the resource were in the caller's account."""
        context = {"aws:ResourceAccount": self._owner_of(arn), **self.context}
        request = Request(self.principal, action, arn, self.principal.account, context)
        return evaluate(request, PolicySet(layer), trace=True)

    def _by_type(self, action: str, arn: str) -> dict[str, str]:
        """Across accounts both sides must allow; the answer says what each of them does."""
        everything = compile_layer((PolicySource("", _EVERYTHING),), PolicyKind.IDENTITY)
        theirs = self._decide(action, arn, replace(self._policies, identity=everything, boundary=None))
        ours = self._alone(action, arn, self._policies.identity)
        return {"IAM Policy": _WORDS[ours.outcome], "Resource Policy": _WORDS[theirs.outcome]}

    def _statements(self, decision: Decision) -> list[dict[str, Any]]:
        return [_statement(self._by_name[ref.policy], ref.statement) for ref in decision.by if ref.policy]

    def _missing(self, action: str) -> list[str]:
        """Keys that statements on this action ask for and nobody supplied."""
        supplied = {key.lower() for key in self.context} | {"aws:resourceaccount"}
        wanted: set[str] = set()
        policies = self._policies
        for layer in (policies.identity, policies.boundary, policies.resource):
            if layer is None:
                continue
            found = layer.candidates(action.lower())
            for ref in (entry.ref for entry in (*found.denies, *found.allows)):
                wanted |= policy_text.context_keys(self._by_name[ref.policy].text)[ref.statement]
        return [key for key in policy_text.without_doubles(wanted) if key.lower() not in supplied]


def _statement(source: Source, index: int) -> dict[str, Any]:
    span = source.spans[index]
    return {
        "SourcePolicyId": source.shown_id,
        "SourcePolicyType": source.shown_type,
        "StartPosition": {"Line": span.start.line, "Column": span.start.column},
        "EndPosition": {"Line": span.end.line, "Column": span.end.column},
    }
