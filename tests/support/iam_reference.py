"""A second evaluator of policies: slow, obvious, written from the specification's text alone.

It shares no code with `emr_studio.iam.policy` and takes the cases of `emr-studio iam evaluate`. Tests
compare the two on random cases.
"""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import re
from fractions import Fraction
from typing import Any

Case = dict[str, Any]


def decide(case: Case) -> str:
    """The decision for a case."""
    principal, request = case["principal"], case["request"]
    action = request["action"].lower()
    if action == "sts:getcalleridentity":
        return "Allowed"
    kind = principal["type"]
    context = {key.lower(): value for key, value in request["context"].items()}
    resource_policy = case.get("resourcePolicy")
    boundaries = case.get("permissionBoundaries") or []
    sessions = case.get("sessionPolicies") or []
    outsider = kind in ("service", "saml", "web-identity", "anonymous")
    own = [] if outsider or kind == "root" else [*case["identityPolicies"], *boundaries, *sessions]
    # 1
    if any(applies(policy, "Deny", request, context) for policy in own):
        return "ExplicitlyDenied"
    if resource_policy and resource_denies(resource_policy, principal, request, context, bounded=bool(boundaries)):
        return "ExplicitlyDenied"
    named = resource_naming(resource_policy, principal, request, context) if resource_policy else 0
    if outsider:  # 7
        return answer(named > 0)
    trust = action.startswith(("sts:assumerole", "sts:tagsession", "sts:setsourceidentity", "sts:setcontext"))
    same = principal["account"] == request["resourceAccount"]
    if kind == "root":  # 6, and 4 for trust policies
        return answer(named > 0 if trust or not same else True)
    identity = any(applies(policy, "Allow", request, context) for policy in case["identityPolicies"])
    boundary = not boundaries or any(applies(policy, "Allow", request, context) for policy in boundaries)
    session = not sessions or any(applies(policy, "Allow", request, context) for policy in sessions)
    all_three = identity and boundary and session and not (kind == "federated-user" and not sessions)
    if not same:  # 5
        return answer(named > 0 and all_three)
    if named >= 2:  # 2
        return answer(named == 3 or (boundary and session))
    return answer(all_three and (named > 0 or not trust))  # 3, 4


def plain(case: Case) -> Case:
    """A case in its plainest form: what may be left out or be null is there."""
    principal = {name: value for name, value in case["principal"].items() if value is not None}
    account = principal.setdefault("account", "")
    if principal["type"] == "root":
        principal.setdefault("arn", f"arn:aws:iam::{account}:root")
    request = {"context": {}} | {name: value for name, value in case["request"].items() if value is not None}
    parts = request["resource"].split(":", 5)
    owner = parts[4] if len(parts) == 6 else ""
    request["resourceAccount"] = request.get("resourceAccount") or owner or account
    return {
        "principal": {"arn": "", "account": ""} | principal,
        "request": request,
        "resourcePolicy": case.get("resourcePolicy"),
        "identityPolicies": case.get("identityPolicies") or [],
        "sessionPolicies": case.get("sessionPolicies") or [],
        "permissionBoundaries": case.get("permissionBoundaries") or [],
    }


def resource_denies(policy: Any, principal: Any, request: Any, context: Any, *, bounded: bool) -> bool:
    for statement in statements(policy):
        if statement_applies(policy, statement, "Deny", request, context):
            if "NotPrincipal" in statement:
                hit = bounded or not listed(statement["NotPrincipal"], principal)
            else:
                hit = naming(statement["Principal"], principal) > 0
            if hit:
                return True
    return False


def resource_naming(policy: Any, principal: Any, request: Any, context: Any) -> int:
    """How closely an Allow of the resource policy names the caller."""
    return max(
        (
            naming(statement["Principal"], principal)
            for statement in statements(policy)
            if statement_applies(policy, statement, "Allow", request, context)
        ),
        default=0,
    )


def answer(allowed: bool) -> str:
    return "Allowed" if allowed else "ImplicitlyDenied"


def statements(policy: Any) -> list[Any]:
    found = policy["Statement"]
    return found if isinstance(found, list) else [found]


def applies(policy: Any, effect: str, request: Any, context: Any) -> bool:
    return any(statement_applies(policy, one, effect, request, context) for one in statements(policy))


def statement_applies(policy: Any, statement: Any, effect: str, request: Any, context: Any) -> bool:
    if statement["Effect"] != effect:
        return False
    variables = policy.get("Version") == "2012-10-17"
    action = request["action"].lower()
    actions = [glob(one.lower(), action) for one in many(statement.get("Action", statement.get("NotAction")))]
    if any(actions) != ("Action" in statement):
        return False
    given = statement.get("Resource", statement.get("NotResource"))
    if given is not None:
        hits = [resource_matches(one, request["resource"], context, variables) for one in many(given)]
        if any(hits) != ("Resource" in statement):
            return False
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            if not condition_holds(operator, key.lower(), [text(one) for one in many(values)], context, variables):
                return False
    return True


def many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# Wildcards: a pattern is a list of characters, where wildcards are the tuples ("*",) and ("?",).


def glob(pattern: str, value: str) -> bool:
    return match(raw(pattern), value)


def raw(pattern: str) -> list[Any]:
    return [(letter,) if letter in "*?" else letter for letter in pattern]


def match(pattern: list[Any], value: str) -> bool:
    """Dynamic programming over all prefixes."""
    reach = {0}
    for item in pattern:
        if item == ("*",):
            reach = set(range(min(reach), len(value) + 1)) if reach else set()
        elif item == ("?",):
            reach = {at + 1 for at in reach if at < len(value)}
        else:
            reach = {at + 1 for at in reach if at < len(value) and value[at] == item}
    return len(value) in reach


def fill(pattern: str, context: Any, variables: bool) -> list[Any] | None:
    """The pattern with its variables' values; None if one has none."""
    made: list[Any] = []
    rest = pattern
    while rest:
        end = rest.find("}")
        if variables and rest.startswith("${") and end > 0 and "{" not in rest[2:end]:
            value = variable(rest[2:end], context)
            if value is None:
                return None
            made += list(value)
            rest = rest[end + 1 :]
        else:
            made += raw(rest[0])
            rest = rest[1:]
    return made


def variable(body: str, context: Any) -> str | None:
    """The value of `${body}`: of a key that has one value, else its default."""
    if body in ("*", "?", "$"):
        return body
    key, comma, default = body.partition(",")
    value = context.get(key.strip().lower())
    if isinstance(value, str):
        return value
    default = default.strip()
    quoted = len(default) >= 2 and default[0] == default[-1] == "'" and "'" not in default[1:-1]
    return default[1:-1] if comma and quoted else None


def resource_matches(pattern: str, resource: str, context: Any, variables: bool) -> bool:
    """Six parts, each by itself. A pattern that ends early in `*` covers the rest."""
    if set(pattern) == {"*"}:
        return True
    wanted = pattern.split(":", 5)
    given = resource.split(":", len(wanted) - 1)
    if len(given) != len(wanted):
        return False
    if not all(glob(one, two) for one, two in zip(wanted[:-1], given[:-1], strict=True)):
        return False
    # Variables are in the sixth part only.
    last = fill(wanted[-1], context, variables and len(wanted) == 6)
    return last is not None and match(last, given[-1])


# Conditions


def condition_holds(spelling: str, key: str, values: list[str], context: Any, variables: bool) -> bool:
    quantifier, _, operator = canonical(spelling).rpartition(":")
    if_exists = operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    present = key in context
    if operator == "Null":
        return ("false" if present else "true") in [one.lower() for one in values]
    negated = "Not" in operator
    if not present:
        if quantifier == "ForAllValues":
            return True
        if quantifier == "ForAnyValue":
            return if_exists
        return negated or if_exists
    actual = context[key]

    def passes(value: str) -> bool:
        if unreadable(operator, value):
            return False
        hit = any(value_matches(operator.replace("Not", ""), one, value, context, variables) for one in values)
        return hit != negated

    if quantifier:
        results = [passes(one) for one in many(actual)]
        return all(results) if quantifier == "ForAllValues" else any(results)
    return isinstance(actual, str) and passes(actual)


WORDS = (
    "ForAllValues ForAnyValue String Numeric Date Bool Binary IpAddress Arn Null Not Equals IgnoreCase Like LessThan "
    "GreaterThan IfExists"
)


def canonical(spelling: str) -> str:
    """The operator as AWS's pages write it: its case does not matter."""
    for word in WORDS.split():
        spelling = re.sub(word, word, spelling, flags=re.IGNORECASE)
    return spelling


def unreadable(operator: str, value: str) -> bool:
    """ "Unreadable: no match", said of numbers and dates."""
    if operator.startswith("Numeric"):
        return number(value) is None
    return operator.startswith("Date") and moment(value) is None


def value_matches(operator: str, policy: str, value: str, context: Any, variables: bool) -> bool:
    if operator in ("StringEquals", "StringEqualsIgnoreCase", "StringLike"):
        filled = fill(policy, context, variables)
        if filled is None:
            return False
        if operator == "StringLike":
            return match(filled, value)
        plain = "".join(one if isinstance(one, str) else one[0] for one in filled)
        return plain.lower() == value.lower() if operator.endswith("IgnoreCase") else plain == value
    if operator.startswith("Arn"):
        filled = fill(policy, context, variables)
        return filled is not None and arn_matches(filled, value)
    if operator == "Bool":
        return policy.lower() in ("true", "false") and policy.lower() == value.lower()
    if operator == "BinaryEquals":
        wanted = unbase64(policy)
        return wanted is not None and wanted in (value.encode(), unbase64(value))
    if operator == "IpAddress":
        parsed = address(value)
        try:
            network = ipaddress.ip_network(policy, strict=False)
        except ValueError:
            return False
        return parsed is not None and parsed.version == network.version and parsed in network
    read = number if operator.startswith("Numeric") else moment
    left, right = read(value), read(policy)
    if left is None or right is None:
        return False
    return {
        "Equals": left == right,
        "LessThan": left < right,
        "LessThanEquals": left <= right,
        "GreaterThan": left > right,
        "GreaterThanEquals": left >= right,
    }[operator.removeprefix("Numeric").removeprefix("Date")]


def unbase64(value: str) -> bytes | None:
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        return None


def arn_matches(pattern: list[Any], value: str) -> bool:
    parts: list[list[Any]] = [[]]
    for item in pattern:
        if item == ":" and len(parts) < 6:
            parts.append([])
        else:
            parts[-1].append(item)
    given = value.split(":", 5)
    return len(parts) == len(given) == 6 and all(match(one, two) for one, two in zip(parts, given, strict=True))


def number(value: str) -> Fraction | None:
    return Fraction(value) if re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", value, re.ASCII) else None


def moment(value: str) -> Fraction | None:
    """Seconds since 1970: a year, a month, a day, a time of a day, or those seconds themselves."""
    if re.fullmatch(r"\d{4}", value, re.ASCII):
        value += "-01"
    if re.fullmatch(r"\d{4}-\d\d", value, re.ASCII):
        value += "-01"
    if re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        value += "T00:00:00Z"
    if not re.match(r"\d{4}-\d\d-\d\d[Tt]", value, re.ASCII):
        return number(value)
    fraction = re.search(r"\.(\d+)", value)
    try:
        parsed = dt.datetime.fromisoformat(re.sub(r"\.\d+", "", value.upper()))
    except ValueError:
        return None
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=dt.UTC)
    seconds = aware - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    whole = seconds.days * 86_400 + seconds.seconds
    return whole + (Fraction(int(fraction[1]), 10 ** len(fraction[1])) if fraction else Fraction(0))


def address(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(value)
    except ValueError:
        return None


# Principals: 3 by the caller's own ARN or `*`, 2 by the role or user behind it, 1 by the account, 0 not


def naming(element: Any, principal: Any) -> int:
    return max(one_naming(kind, name, principal) for kind, name in entries(element))


def listed(element: Any, principal: Any) -> bool:
    for kind, name in entries(element):
        if one_naming(kind, name, principal) == 3:
            return True
        if principal["type"] == "root" and one_naming(kind, name, principal) == 1:
            return True
    return False


def entries(element: Any) -> list[tuple[str, str]]:
    if element == "*":
        return [("AWS", "*")]
    return [(kind, name) for kind, names in element.items() for name in many(names)]


def one_naming(kind: str, name: str, principal: Any) -> int:
    who = principal["type"]
    if kind == "AWS" and name == "*":
        return 3
    if who == "anonymous":
        return 0
    if who == "service":
        return 3 if kind == "Service" and name == principal["arn"] else 0
    if who in ("saml", "web-identity"):
        return 3 if kind == "Federated" and name == principal["arn"] else 0
    if kind != "AWS":
        return 0
    if name == principal["arn"]:
        return 3
    unique, _, session = principal.get("userId", "").partition(":")
    if name == unique and re.fullmatch("A(ID|RO)A[A-Z0-9]{16,}", name):
        return 2 if session else 3
    if who == "role-session" and name == role_of(principal):
        return 2
    if who == "federated-user" and name == principal.get("userArn"):
        return 2
    account = principal["account"]
    return 1 if name in (account, f"arn:aws:iam::{account}:root") else 0


def role_of(session: Any) -> str:
    """The role of a session; one without a path where the case does not say."""
    name = session["arn"].split("/")[1]
    return str(session.get("roleArn", f"arn:aws:iam::{session['account']}:role/{name}"))
