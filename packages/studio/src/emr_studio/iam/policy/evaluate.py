"""The decision, in AWS's order (spec: IAM evaluation, section 8).

1. a Deny that applies in any layer                      -> ExplicitlyDenied
2. same account, a resource policy that names the caller -> Allowed (the role or user behind the
   caller named: if boundary and session policies allow)
3. same account otherwise: identity, and boundary and session policies where there are any
4. a role's trust policy must allow; naming the account, identity must too
5. another account: the resource policy and identity, boundary and session policies
6. root: everything in its own account; elsewhere what the resource policy says
7. services, SAML, OIDC, anonymous: the resource policy alone
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from emr_studio.iam.policy.compiler import Entry, Layer, StatementRef
from emr_studio.iam.policy.principals import ACCOUNTLESS, FEDERATED_USER, ROOT, Naming, Principal
from emr_studio.iam.policy.variables import RequestContext

Outcome = Literal["Allowed", "ExplicitlyDenied", "ImplicitlyDenied"]
LayerName = Literal["identity", "boundary", "session", "resource", "trust"]
ALLOWED: Final = "Allowed"
EXPLICITLY_DENIED: Final = "ExplicitlyDenied"
IMPLICITLY_DENIED: Final = "ImplicitlyDenied"

Refs = tuple[StatementRef, ...]
_NEVER_DENIED = "sts:getcalleridentity"
_TRUST_ACTIONS = ("sts:assumerole", "sts:tagsession", "sts:setsourceidentity", "sts:setcontext")


@dataclass(slots=True)
class Request:
    """What is asked. `context` is the whole request context; its keys are read ignoring case.

    `lowered`: they are in lower case already.
    """

    principal: Principal
    action: str
    resource: str
    resource_account: str
    context: RequestContext
    lowered: bool = False

    def __post_init__(self) -> None:
        if self.lowered:
            return
        context = self.context
        self.context = dict(zip(map(str.lower, context), context.values(), strict=True))


@dataclass(slots=True)
class PolicySet:
    """The policies that speak. None: there is no such policy.

    `resource_must_allow`: as with a role's trust policy, not even the resource's own account may use
    it without a word of the resource's policy (a KMS key's, say).
    """

    identity: Layer
    boundary: Layer | None = None
    session: Layer | None = None
    resource: Layer | None = None
    resource_must_allow: bool = False


@dataclass(slots=True)
class Decision:
    """The outcome, the statements that decided it and the kind of policy they belong to.

    For an implicit denial `layer` is the kind of policy whose Allow is missing.
    """

    outcome: Outcome
    layer: LayerName
    by: Refs = field(default=())
    cross_account: bool = False

    @property
    def allowed(self) -> bool:
        return self.outcome == ALLOWED


def evaluate(request: Request, policies: PolicySet, *, trace: bool = False) -> Decision:
    """Decide. With `trace`, `by` holds every deciding statement, else the first of each layer."""
    action = request.action.lower()
    if action == _NEVER_DENIED:
        return Decision(ALLOWED, "identity")
    return _Evaluation(request, policies, action, trace).decide()


class _Evaluation:
    """One evaluation under way."""

    __slots__ = ("_action", "_context", "_must_allow", "_policies", "_principal", "_request", "_resource", "_trace")

    def __init__(self, request: Request, policies: PolicySet, action: str, trace: bool) -> None:
        self._request = request
        self._policies = policies
        self._principal: Principal = request.principal
        self._action = action
        self._resource: str = request.resource
        self._context: RequestContext = request.context
        self._trace = trace
        self._must_allow = policies.resource_must_allow or self._is_trust

    def decide(self) -> Decision:
        kind = self._principal.kind
        policies = self._policies
        nobody = kind == ROOT or kind in ACCOUNTLESS
        denial = self._denial(own=not nobody)
        if denial is not None:
            return denial
        naming, grants = (Naming.NOT, ()) if policies.resource is None else self._resource_grants(policies.resource)
        if kind in ACCOUNTLESS:
            return self._by_resource(naming, grants, cross_account=False)
        cross_account = self._principal.account != self._request.resource_account
        if kind == ROOT:
            if not cross_account and not self._must_allow:
                return Decision(ALLOWED, "identity")
            return self._by_resource(naming, grants, cross_account=cross_account)
        if cross_account:
            return self._cross_account(naming, grants)
        return self._same_account(naming, grants)

    @property
    def _is_trust(self) -> bool:
        # A federated user's session is tagged too (GetFederationToken), and has no trust policy.
        return self._action.startswith(_TRUST_ACTIONS) and ":federated-user/" not in self._resource

    @property
    def _resource_layer(self) -> LayerName:
        return "trust" if self._is_trust else "resource"

    # 1: denials
    def _denial(self, *, own: bool) -> Decision | None:
        """The denial by any layer, if one denies; `own`: identity, boundary and session policies count."""
        policies = self._policies
        found: Refs = ()
        decided: LayerName | None = None
        if own:
            layers: tuple[tuple[LayerName, Layer | None], ...] = (
                ("identity", policies.identity),
                ("boundary", policies.boundary),
                ("session", policies.session),
            )
            for name, layer in layers:
                if layer is None or not (refs := self._applying(layer.candidates(self._action).denies)):
                    continue
                if not self._trace:
                    return Decision(EXPLICITLY_DENIED, name, refs)
                decided = decided or name
                found += refs
        if policies.resource is not None and (refs := self._resource_denies(policies.resource)):
            decided = decided or self._resource_layer
            found += refs
        return Decision(EXPLICITLY_DENIED, decided, found) if decided else None

    def _applying(self, entries: tuple[Entry, ...]) -> Refs:
        """Those of `entries` that apply; without a trace the first of them."""
        if not entries:
            return ()
        resource, context = self._resource, self._context
        found = []
        for statement, ref in entries:
            if statement.applies(resource, context):
                if not self._trace:
                    return (ref,)
                found.append(ref)
        return tuple(found)

    def _resource_denies(self, layer: Layer) -> Refs:
        has_boundary = self._policies.boundary is not None
        return tuple(
            ref
            for statement, ref in layer.candidates(self._action).denies
            if statement.applies(self._resource, self._context)
            and statement.naming(self._principal, has_boundary=has_boundary)
        )

    # Allows
    def _resource_grants(self, layer: Layer) -> tuple[Naming, Refs]:
        """The closest naming by an Allow of the resource policy, and the statements that name so."""
        best = Naming.NOT
        refs: list[StatementRef] = []
        for statement, ref in layer.candidates(self._action).allows:
            if not statement.applies(self._resource, self._context):
                continue
            naming = statement.naming(self._principal, has_boundary=False)
            if naming > best:
                best, refs = naming, [ref]
            elif naming == best and naming:
                refs.append(ref)
        return best, tuple(refs)

    def _allows(self, layer: Layer) -> Refs:
        return self._applying(layer.candidates(self._action).allows)

    def _by_resource(self, naming: Naming, grants: Refs, *, cross_account: bool) -> Decision:
        outcome: Outcome = ALLOWED if naming else IMPLICITLY_DENIED
        return Decision(outcome, self._resource_layer, grants, cross_account)

    def _same_account(self, naming: Naming, grants: Refs) -> Decision:
        if naming is Naming.DIRECT:
            return Decision(ALLOWED, self._resource_layer, grants)
        if naming is Naming.BEHIND:
            return self._limited(grants, self._resource_layer, passed_session=True)
        if self._must_allow and naming is Naming.NOT:
            return Decision(IMPLICITLY_DENIED, self._resource_layer)
        identity = self._allows(self._policies.identity)
        if not identity:
            return Decision(IMPLICITLY_DENIED, "identity")
        deciding = identity + grants if self._must_allow else identity
        return self._limited(deciding, "identity", passed_session=False)

    def _cross_account(self, naming: Naming, grants: Refs) -> Decision:
        if not naming:
            return Decision(IMPLICITLY_DENIED, self._resource_layer, cross_account=True)
        identity = self._allows(self._policies.identity)
        if not identity:
            return Decision(IMPLICITLY_DENIED, "identity", cross_account=True)
        decision = self._limited(identity + grants, "identity", passed_session=False)
        decision.cross_account = True
        return decision

    def _limited(self, granting: Refs, layer: LayerName, *, passed_session: bool) -> Decision:
        """Allowed by `granting` if boundary and session policies, where there are any, allow too.

        A federated user without session policies has no permissions of its own (`passed_session`
        says that this does not matter here).
        """
        deciding = granting
        if self._policies.boundary is not None:
            boundary = self._allows(self._policies.boundary)
            if not boundary:
                return Decision(IMPLICITLY_DENIED, "boundary")
            deciding += boundary
        if self._policies.session is not None:
            session = self._allows(self._policies.session)
            if not session:
                return Decision(IMPLICITLY_DENIED, "session")
            deciding += session
        elif self._principal.kind == FEDERATED_USER and not passed_session:
            return Decision(IMPLICITLY_DENIED, "session")
        return Decision(ALLOWED, layer, deciding)
