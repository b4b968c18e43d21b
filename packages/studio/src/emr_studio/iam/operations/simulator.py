"""SimulateCustomPolicy, SimulatePrincipalPolicy, and the context keys that policies ask for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from emr_studio.aws.context import Check, Context, ContextValue
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.iam import entities, policy_text, simulation
from emr_studio.iam.condition_keys import iso
from emr_studio.iam.errors import InvalidInput, NoSuchEntity
from emr_studio.iam.model import Group, Role, User
from emr_studio.iam.operations import common
from emr_studio.iam.policy import MalformedPolicy, PolicyKind, Principal, validate, values
from emr_studio.iam.policy.glob import match_tokens, tokenize
from emr_studio.iam.simulation import Simulation, Source

_ACTION = re.compile(r"[A-Za-z0-9\-]+:[A-Za-z0-9\-_]+")
_ENTITY = re.compile(r"arn:[a-z\-]+:iam::(\d{12}):(user|group|role)(/(?:.*/)?)([^/]+)")
_OWNER = re.compile(r"(?:arn:[a-z\-]+:iam::)?(\d{12})(?::root)?")
_READERS: dict[str, Callable[[str], object]] = {
    "numeric": values.number,
    "boolean": values.boolean,
    "ip": values.network,
    "date": values.date,
    "binary": values.base64_bytes,
}
_TABLES: dict[str, type[User | Group | Role]] = {"user": User, "group": Group, "role": Role}


# The entity whose policies are simulated


def _entity(context: Context, arn: str) -> User | Group | Role | None:
    parsed = _ENTITY.fullmatch(arn)
    if not parsed:
        raise InvalidInput(f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")
    if parsed[1] != context.account_id:
        return None
    find: Any = entities.find_by_arn
    found: User | Group | Role | None = find(context.session, _TABLES[parsed[2]], arn)
    return found


def the_entity(context: Context, arn: str) -> User | Group | Role:
    """The user, group or role of this account that an ARN names.

    Raises:
        InvalidInput: it is the ARN of something else.
        NoSuchEntity: it is not there.
    """
    entity = _entity(context, arn)
    if entity is None:
        kind, _, name = arn.rpartition(":")[2].partition("/")
        raise NoSuchEntity(f"The {kind} with name {name.rsplit('/', 1)[-1]} cannot be found.")
    return entity


def entity_of(member: str, operation_name: str) -> Callable[[Context, Request], Iterable[Check]]:
    """Checks of an operation on the entity whose ARN is in `member`."""

    def checks(context: Context, request: Request) -> Iterable[Check]:
        arn = str(request[member])
        entity = _entity(context, arn)
        tags = common.resource_tag_context(entity.tags) if entity else {}
        return (Check(f"iam:{operation_name}", arn, tags),)

    return checks


# What a request gives


def _checked(texts: Iterable[Any], list_name: str, kind: PolicyKind = PolicyKind.IDENTITY) -> list[Source]:
    """Policies of the request.

    Raises:
        InvalidInput: for one that cannot be read.
    """
    sources = simulation.given_sources([str(text) for text in texts], list_name)
    for source in sources:
        try:
            validate(source.text, kind)
        except MalformedPolicy as error:
            raise InvalidInput(f"{source.name}: {error.message}") from None
    return sources


def _context_entries(request: Request) -> dict[str, ContextValue]:
    found: dict[str, ContextValue] = {}
    for entry in request.get("ContextEntries") or ():
        name, kind = str(entry.get("ContextKeyName") or ""), str(entry.get("ContextKeyType") or "string")
        given = [str(value) for value in entry.get("ContextKeyValues") or ()]
        if not name:
            raise InvalidInput("A context entry has no ContextKeyName.")
        base = kind.removesuffix("List")
        if base in _READERS and any(_READERS[base](value) is None for value in given):
            raise InvalidInput(f"Invalid values for context key {name}: they are not of type {base}.")
        if kind == base and len(given) != 1:
            raise InvalidInput(f"Context key {name} is of type {kind} and takes exactly one value.")
        found[name] = given[0] if kind == base else given
    return found


def _actions(request: Request) -> list[str]:
    names = [str(name) for name in request["ActionNames"]]
    for name in names:
        if not _ACTION.fullmatch(name):
            raise InvalidInput(f"Invalid action name: {name}. Give service:Action, without wildcards.")
    return names


def _resources(request: Request) -> list[str]:
    arns = [str(arn) for arn in request.get("ResourceArns") or ("*",)]
    for arn in arns:
        if arn != "*" and (not arn.startswith("arn:") or arn.count(":") < 5):
            raise InvalidInput(f"Invalid resource ARN: {arn}")
    return arns


def _refuse_what_is_not_here(request: Request) -> None:
    if request.get("OrderedOrganizationPolicyInputList"):
        raise InvalidInput("Accounts here are in no organization: OrderedOrganizationPolicyInputList cannot be used.")
    if request.get("ResourceHandlingOption"):
        raise InvalidInput("ResourceHandlingOption cannot be used: name the resources of the scenario one by one.")


@dataclass(frozen=True)
class _Caller:
    principal: Principal
    context: dict[str, ContextValue]


def _caller(context: Context, request: Request, source: User | Group | Role | None) -> _Caller:
    """Who is simulated: `CallerArn`, else whose policies they are, else nobody in particular."""
    given = request.get("CallerArn")
    if given is not None:
        return _caller_by_arn(context, str(given))
    if source is not None:
        return _Caller(*simulation.principal_for(source))
    if request.get("ResourcePolicy"):
        raise InvalidInput("CallerArn is required when ResourcePolicy is given.")
    return _Caller(Principal("user", common.entity_arn(context, "user", "*"), context.account_id), {})


def _caller_by_arn(context: Context, arn: str) -> _Caller:
    parsed = _ENTITY.fullmatch(arn)
    if not parsed:
        raise InvalidInput(f"Invalid CallerArn: {arn}. Give the ARN of a user, group or role.")
    if entity := _entity(context, arn):
        return _Caller(*simulation.principal_for(entity))
    # One that is not there may be simulated too: nothing but its ARN is known.
    table = _TABLES[parsed[2]]
    made = table(id="", name=parsed[4], account_id=parsed[1], path=parsed[3], arn=arn, tags={})
    principal, keys = simulation.principal_for(made)
    return _Caller(principal, {key: value for key, value in keys.items() if key != "aws:userid"})


def _owner(request: Request) -> str | None:
    given = request.get("ResourceOwner")
    if given is None:
        return None
    parsed = _OWNER.fullmatch(str(given))
    if not parsed:
        raise InvalidInput(f"Invalid ResourceOwner: {given}")
    return parsed[1]


def _simulate(
    context: Context,
    request: Request,
    name: str,
    *,
    identity: list[Source],
    boundary: list[Source] | None,
    source: User | Group | Role | None,
) -> dict[str, Any]:
    """One page of results: each action on each resource."""
    _refuse_what_is_not_here(request)
    caller = _caller(context, request, source)
    resource = None
    if text := request.get("ResourcePolicy"):
        resource = _checked([text], "ResourcePolicy", PolicyKind.RESOURCE)[0]
        resource = Source(resource.name, resource.text, "ResourcePolicy", "resource")
    given = {"aws:CurrentTime": iso(context.now()), "aws:EpochTime": str(int(context.now().timestamp()))}
    entries = _context_entries(request)
    named = {key.lower() for key in entries}
    supplied = {key: value for key, value in {**given, **caller.context}.items() if key.lower() not in named}
    simulated = Simulation(identity, caller.principal, supplied | entries, boundary, resource, _owner(request))
    pairs = [(one, arn) for one in _actions(request) for arn in _resources(request)]
    answer = common.page(context, request, name, pairs, "EvaluationResults")
    named_resources = bool(request.get("ResourceArns"))
    results = [simulated.result(one, arn, named=named_resources) for one, arn in answer["EvaluationResults"]]
    return answer | {"EvaluationResults": results}


def _given_boundary(request: Request) -> list[Source] | None:
    texts = request.get("PermissionsBoundaryPolicyInputList")
    if not texts:
        return None
    if len(texts) > 1:
        raise InvalidInput("PermissionsBoundaryPolicyInputList takes one policy.")
    return _checked(texts, "PermissionsBoundaryPolicyInputList", PolicyKind.BOUNDARY)


@operation("iam", "SimulateCustomPolicy", checks=action("iam:SimulateCustomPolicy"))
def simulate_custom_policy(context: Context, request: Request) -> Response:
    identity = _checked(request["PolicyInputList"], "PolicyInputList")
    boundary = _given_boundary(request)
    return _simulate(context, request, "SimulateCustomPolicy", identity=identity, boundary=boundary, source=None)


@operation("iam", "SimulatePrincipalPolicy", checks=entity_of("PolicySourceArn", "SimulatePrincipalPolicy"))
def simulate_principal_policy(context: Context, request: Request) -> Response:
    source = the_entity(context, str(request["PolicySourceArn"]))
    excluded = [dict(one) for one in request.get("PolicyExclusionList") or ()]
    own = [one for one in simulation.sources_of(context.session, source) if not _is_excluded(one, excluded)]
    identity = [*own, *_checked(request.get("PolicyInputList") or (), "PolicyInputList")]
    boundary = _given_boundary(request) or _own_boundary(context, source)
    return _simulate(context, request, "SimulatePrincipalPolicy", identity=identity, boundary=boundary, source=source)


def _own_boundary(context: Context, source: User | Group | Role) -> list[Source] | None:
    """The boundary that the user or role has; one that is gone allows nothing."""
    arn = None if isinstance(source, Group) else source.boundary_arn
    if arn is None:
        return None
    found = simulation.managed_source(context.session, context.account_id, arn)
    # The same policy may be attached as well; a decision must tell the two apart.
    return [Source(f"boundary:{arn}", found.text, found.shown_id, found.shown_type)] if found else []


def _is_excluded(source: Source, excluded: Iterable[dict[str, Any]]) -> bool:
    return any(_matches(source, one) for one in excluded)


def _matches(source: Source, identifier: dict[str, Any]) -> bool:
    if kind := identifier.get("PolicyType"):
        return source.shown_type == str(kind)
    if arn := identifier.get("PolicyArn"):
        return _like(str(arn), source.name)
    inline = identifier.get("InlinePolicyIdentifier") or {}
    owner, _, name = source.name.partition("#")
    named = (name or None, source.shown_type) == (inline.get("PolicyName"), inline.get("AttachmentType"))
    return bool(named) and _like(str(inline.get("AttachmentName")), owner.rsplit("/", 1)[-1])


def _like(pattern: str, text: str) -> bool:
    return match_tokens(tokenize(pattern), text)


# Context keys


def _keys(sources: Iterable[Source]) -> Response:
    found = {key for source in sources for keys in policy_text.context_keys(source.text) for key in keys}
    return {"ContextKeyNames": policy_text.without_doubles(found)}


@operation("iam", "GetContextKeysForCustomPolicy", checks=action("iam:GetContextKeysForCustomPolicy"))
def get_context_keys_for_custom_policy(_context: Context, request: Request) -> Response:
    return _keys(_checked(request["PolicyInputList"], "PolicyInputList"))


@operation(
    "iam", "GetContextKeysForPrincipalPolicy", checks=entity_of("PolicySourceArn", "GetContextKeysForPrincipalPolicy")
)
def get_context_keys_for_principal_policy(context: Context, request: Request) -> Response:
    source = the_entity(context, str(request["PolicySourceArn"]))
    given = _checked(request.get("PolicyInputList") or (), "PolicyInputList")
    return _keys([*simulation.sources_of(context.session, source), *given])
