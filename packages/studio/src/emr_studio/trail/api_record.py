"""Records of calls of the AWS API.

Source of the members: "CloudTrail record contents" (CloudTrail user guide), event version 1.11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emr_studio.aws.context import Caller
from emr_studio.aws.errors import AccessDenied, AuthError, UnknownOperation
from emr_studio.aws.pipeline import Call
from emr_studio.trail import identity
from emr_studio.trail.elements import Elements
from emr_studio.trail.lines import Line, clean, event_time, milliseconds, new_event_id, write_event
from emr_studio.trail.resources import named_resources

VERSION = "1.11"
_READING = ("Describe", "List", "Get", "Head", "Lookup", "Simulate")
# Reading in CloudTrail's eyes, and recorded with their answers all the same.
_GIVES_CREDENTIALS = frozenset(
    {"AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "GetSessionToken", "GetFederationToken"}
)
_ROLE_ACCOUNT = re.compile(r"arn:[a-z-]+:iam::(\d{12}):role/")


@dataclass(frozen=True)
class Party:
    """Whose trail a record is in, and how it shows the caller there."""

    account_id: str
    identity: Mapping[str, Any]
    caller: Caller | None
    access_key_id: str | None
    is_proven: bool = True
    """False if anybody at all could have sent this."""


class ApiRecords:
    """Makes the records of calls; `default_account` gets those of callers that nobody knows."""

    def __init__(self, default_account: str) -> None:
        self._default_account = default_account
        self._elements: dict[str, Elements] = {}

    def party(self, call: Call) -> Party:
        """The caller of a call."""
        caller, key = call.caller, call.signature.access_key_id if call.signature else None
        if caller is None:
            return self._unidentified(call, key)
        if caller.kind == "anonymous":
            return self._federated(call)
        return Party(caller.account_id, identity.user_identity(caller), caller, caller.access_key_id)

    def _unidentified(self, call: Call, key: str | None) -> Party:
        claimed = call.error.claimed if isinstance(call.error, AuthError) else ""
        shown = identity.unknown(claimed, clean(key, 128) or "")
        return Party(claimed or self._default_account, shown, None, clean(key, 128), is_proven=False)

    def _federated(self, call: Call) -> Party:
        """Who calls AssumeRoleWithSAML or AssumeRoleWithWebIdentity: known by the answer alone."""
        name, output = call.model.name if call.model else "", call.output or {}
        account = _role_account(call.input) or self._default_account
        by = identity.by_saml if name.endswith("WithSAML") else identity.by_web_identity
        return Party(account, by(output), None, None, is_proven=call.error is None)

    def lines(self, call: Call, party: Party) -> list[Line]:
        """The call's record; two if it reaches into another account."""
        if call.protocol is None or call.model is None or isinstance(call.error, UnknownOperation):
            return []  # it names no operation, or none that is served: nobody was asked who he is
        event = self._event(call, party)
        other = self._other_account(call, party)
        if other is None:
            return [self._line(call, event, party)]
        event["sharedEventID"] = new_event_id()
        theirs = event | {
            "eventID": new_event_id(),
            "recipientAccountId": other.account_id,
            "userIdentity": other.identity,
        }
        return [self._line(call, event, party), self._line(call, theirs, other)]

    def _other_account(self, call: Call, party: Party) -> Party | None:
        """The account of a role that was assumed across accounts."""
        if call.error is not None or call.model is None or call.model.name != "AssumeRole" or party.caller is None:
            return None
        account = _role_account(call.input)
        if not account or account == party.account_id:
            return None
        return Party(account, identity.from_another_account(party.caller), None, None)

    def _event(self, call: Call, party: Party) -> dict[str, Any]:
        assert call.protocol is not None
        assert call.model is not None
        request, model = call.request, call.model
        headers = request.headers
        event: dict[str, Any] = {
            "eventVersion": VERSION,
            "userIdentity": party.identity,
            "eventTime": event_time(call.time),
            "eventSource": f"{call.protocol.model.signing_name}.amazonaws.com",
            "eventName": model.name,
            "awsRegion": clean(call.region, 32),
            "sourceIPAddress": request.source_ip,
            "userAgent": clean(headers.get("user-agent")),
        }
        self._add_error(call, event)
        reads = is_read_only(call)
        elements = self._elements_of(call.protocol.service)
        event["requestParameters"] = elements.request(model.input_shape, call.input)
        gives = model.name in _GIVES_CREDENTIALS
        answers = call.error is None and (gives or not reads)
        event["responseElements"] = elements.response(model.name, model.output_shape, call.output) if answers else None
        event |= {"requestID": call.request_id, "eventID": new_event_id(), "readOnly": reads}
        if resources := _record_resources(call):
            event["resources"] = resources
        event |= {
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": party.account_id,
            "eventCategory": "Management",
        }
        if request.secure:
            # TLS ends at the edge, which does not say which version and cipher it was.
            event["tlsDetails"] = {"clientProvidedHostHeader": clean(headers.get("host", ""))}
        if party.caller is not None and party.caller.console:
            event["sessionCredentialFromConsole"] = "true"
        return event

    def _add_error(self, call: Call, event: dict[str, Any]) -> None:
        if call.error is None or call.protocol is None:
            return
        code, message, status = call.protocol.described(call.error)
        if call.protocol.name == "ec2":
            code = f"{'Server' if status >= 500 else 'Client'}.{code}"
        event |= {"errorCode": code, "errorMessage": clean(message)}

    def _elements_of(self, service: str) -> Elements:
        found = self._elements.get(service)
        if found is None:
            found = self._elements[service] = Elements()
        return found

    def _line(self, call: Call, event: dict[str, Any], party: Party) -> Line:
        error = call.error
        username = identity.username(party.caller) if party.caller else party.identity.get("userName")
        service = call.protocol.service if call.protocol else ""
        return Line(
            event_id=event["eventID"],
            account_id=party.account_id,
            moment=milliseconds(call.time),
            event_name=event["eventName"],
            event_source=event["eventSource"],
            request_id=call.request_id,
            event=write_event(event),
            username=clean(username, 256),
            access_key_id=party.access_key_id,
            is_read_only=int(event["readOnly"]),
            is_denied=int(isinstance(error, AccessDenied)),
            authorization=error.details if isinstance(error, AccessDenied) else None,
            resources=[(kind, clean(name) or "") for kind, name in named_resources(service, call.input, call.output)],
        )


def is_read_only(call: Call) -> bool:
    """CloudTrail's `readOnly`."""
    if call.operation is not None and call.operation.read_only:
        return True
    name = call.model.name if call.model is not None else ""
    return name.startswith(_READING) or name in _GIVES_CREDENTIALS


def _role_account(given: Mapping[str, Any] | None) -> str:
    found = _ROLE_ACCOUNT.match(str((given or {}).get("RoleArn", "")))
    return found[1] if found else ""


def _record_resources(call: Call) -> list[dict[str, str]]:
    """The `resources` member, which few services write: STS the role."""
    arn = str((call.input or {}).get("RoleArn", ""))
    if call.protocol is None or call.protocol.service != "sts" or not (account := _role_account(call.input)):
        return []
    return [{"accountId": account, "type": "AWS::IAM::Role", "ARN": clean(arn) or ""}]
