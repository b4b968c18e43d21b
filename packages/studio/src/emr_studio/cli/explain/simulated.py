"""What would be decided: SimulatePrincipalPolicy, and the text of the policies that decide."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import unquote

from emr_studio.cli.explain import Deciding, Explanation, Json, NotExplained
from emr_studio.cli.explain.door import Door, Refused
from emr_studio.iam import policy_text

_LIST = "stringList"
_INLINE = {"user": "User", "group": "Group", "role": "Role"}


def simulate(door: Door, principal: str, action: str, resource: str, context: Sequence[str]) -> Explanation:
    """Explain what IAM would decide. `context` are condition keys as `key=value`, repeated for more values.

    Raises:
        NotExplained: the caller may not simulate, or something is not there or not written rightly.
    """
    source = _entity_arn(door, principal)
    answer = door.call(
        "iam",
        "simulate_principal_policy",
        PolicySourceArn=source,
        ActionNames=[action],
        ResourceArns=[resource],
        ContextEntries=_entries(context),
    )
    result = answer["EvaluationResults"][0]
    decision = result["EvalDecision"]
    boundary = result.get("PermissionsBoundaryDecisionDetail", {}).get("AllowedByPermissionsBoundary", True)
    texts = _Texts(door, source)
    matched = [texts.deciding(found) for found in result.get("MatchedStatements", [])]
    denied_by_boundary = (
        decision == "implicitDeny" and not boundary and _allowed_otherwise(door, source, result, context)
    )
    layer = "boundary" if denied_by_boundary else "identity"
    specific = result.get("ResourceSpecificResults") or [{}]
    missing = result.get("MissingContextValues") or specific[0].get("MissingContextValues") or []
    return Explanation(
        decision=decision,
        principal=principal,
        action=action,
        resource=resource,
        layer=layer,
        reason=_reason(decision, layer, action),
        statements=matched,
        missing_keys=missing,
        conditions=_grouped(context),
    )


def _allowed_otherwise(door: Door, source: str, result: Json, context: Sequence[str]) -> bool:
    """True if the identity policies alone would allow it: then it is the boundary that does not."""
    everything = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    )
    answer = door.call(
        "iam",
        "simulate_principal_policy",
        PolicySourceArn=source,
        ActionNames=[result["EvalActionName"]],
        ResourceArns=[result["EvalResourceName"]],
        ContextEntries=_entries(context),
        PermissionsBoundaryPolicyInputList=[everything],
    )
    return bool(answer["EvaluationResults"][0]["EvalDecision"] == "allowed")


def _reason(decision: str, layer: str, action: str) -> str:
    if decision == "allowed":
        return ""
    if decision == "explicitDeny":
        return "with an explicit deny"
    kind = "permissions boundary" if layer == "boundary" else "identity-based policy"
    return f"because no {kind} allows the {action} action"


def _grouped(context: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in context:
        key, equals, value = entry.partition("=")
        if not equals or not key:
            raise NotExplained(f"--context {entry}: write it as key=value.")
        found.setdefault(key, []).append(value)
    return found


def _entries(context: Sequence[str]) -> list[Json]:
    return [
        {
            "ContextKeyName": key,
            "ContextKeyValues": values,
            "ContextKeyType": "string" if len(values) == 1 else _LIST,
        }
        for key, values in _grouped(context).items()
    ]


def _entity_arn(door: Door, principal: str) -> str:
    """The user, group or role behind a principal: a session's role has a path that its ARN lacks."""
    parts = principal.split(":", 5)
    if len(parts) == 6 and parts[2] == "sts" and parts[5].startswith("assumed-role/"):
        role = parts[5].split("/")[1]
        return str(door.call("iam", "get_role", RoleName=role)["Role"]["Arn"])
    return principal


class _Texts:
    """The texts of policies, read as the caller; one that she may not read is None."""

    def __init__(self, door: Door, source: str) -> None:
        self._door = door
        self._source = source
        self._known: dict[tuple[str, str], list[tuple[str, str]]] = {}

    def deciding(self, found: Json) -> Deciding:
        """A matched statement with its policy and text."""
        name, kind = found["SourcePolicyId"], found["SourcePolicyType"]
        for policy, text in self._candidates(name, kind):
            if at := _statement_at(text, found["StartPosition"]):
                return Deciding(policy, kind, at[1], at[0])
        return Deciding(name, kind, None)

    def _candidates(self, name: str, kind: str) -> list[tuple[str, str]]:
        """Policies of that name and kind which the entity has, as (ARN or `owner#name`, text)."""
        key = (name, kind)
        if key not in self._known:
            try:
                self._known[key] = list(self._read(name, kind))
            except Refused:
                self._known[key] = []
        return self._known[key]

    def _read(self, name: str, kind: str) -> list[tuple[str, str]]:
        if kind in _INLINE:
            return [self._inline(owner, name) for owner in self._owners(kind)]
        return [(arn, self._managed(arn)) for arn in self._attached() if arn.rpartition("/")[2] == name]

    def _owners(self, kind: str) -> list[str]:
        own_kind, _, own_name = self._source.rpartition(":")[2].partition("/")
        if kind == own_kind:
            return [own_name.rpartition("/")[2]]
        groups = self._door.call("iam", "list_groups_for_user", UserName=own_name.rpartition("/")[2])["Groups"]
        return [group["GroupName"] for group in groups]

    def _inline(self, owner: str, name: str) -> tuple[str, str]:
        kind, label = self._kind_of(owner)
        answer = self._door.call("iam", f"get_{kind}_policy", **{f"{label}Name": owner, "PolicyName": name})
        return f"{kind}/{owner}#{name}", unquote(answer["PolicyDocument"])

    def _kind_of(self, owner: str) -> tuple[str, str]:
        kind, _, name = self._source.rpartition(":")[2].partition("/")
        own = kind if name.rpartition("/")[2] == owner else "group"
        return own, _INLINE[own]

    def _attached(self) -> list[str]:
        kind, _, name = self._source.rpartition(":")[2].partition("/")
        owners = [(kind, name.rpartition("/")[2])]
        if kind == "user":
            owners += [("group", group) for group in self._owners("group")]
        found: list[str] = []
        for owner_kind, owner in owners:
            label = _INLINE[owner_kind]
            answer = self._door.call("iam", f"list_attached_{owner_kind}_policies", **{f"{label}Name": owner})
            found += [policy["PolicyArn"] for policy in answer["AttachedPolicies"]]
        return found

    def _managed(self, arn: str) -> str:
        version = self._door.call("iam", "get_policy", PolicyArn=arn)["Policy"]["DefaultVersionId"]
        answer = self._door.call("iam", "get_policy_version", PolicyArn=arn, VersionId=version)
        return unquote(answer["PolicyVersion"]["Document"])


def _statement_at(text: str, start: Json) -> tuple[int, Json] | None:
    """The statement that begins at a line and column of a policy's text, and which it is."""
    statements = json.loads(text)["Statement"]
    for index, span in enumerate(policy_text.spans(text)):
        if (span.start.line, span.start.column) == (start["Line"], start["Column"]):
            return index, statements[index] if isinstance(statements, list) else statements
    return None
