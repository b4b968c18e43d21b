"""Records of requests to S3. What concerns a bucket is a management event, what concerns objects a data event.

Source of names and kinds: "Amazon S3 CloudTrail events" (S3 user guide).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from emr_studio.storage.s3_recording import S3Call
from emr_studio.storage.s3_request import S3Request
from emr_studio.trail import identity
from emr_studio.trail.api_record import VERSION, Party
from emr_studio.trail.lines import Line, clean, event_time, milliseconds, new_event_id, write_event

_VERBS = {"GET": "Get", "HEAD": "Get", "PUT": "Put", "DELETE": "Delete", "POST": "Post"}
# (method, sub-resource) of a bucket whose operations are about its objects: data events.
_OBJECTS_OF_BUCKET = {
    ("GET", ""): "ListObjects",
    ("HEAD", ""): "HeadBucket",
    ("GET", "versions"): "ListObjectVersions",
    ("GET", "uploads"): "ListMultipartUploads",
    ("POST", "delete"): "DeleteObjects",
    ("POST", ""): "PostObject",
}
_OF_BUCKET = {("PUT", ""): "CreateBucket", ("DELETE", ""): "DeleteBucket"}
_OF_OBJECT = {
    ("GET", ""): "GetObject",
    ("HEAD", ""): "HeadObject",
    ("PUT", ""): "PutObject",
    ("DELETE", ""): "DeleteObject",
    ("POST", ""): "PostObject",
    ("POST", "uploads"): "CreateMultipartUpload",
    ("GET", "attributes"): "GetObjectAttributes",
}
_OF_UPLOAD = {
    "GET": "ListParts",
    "HEAD": "ListParts",
    "PUT": "UploadPart",
    "POST": "CompleteMultipartUpload",
    "DELETE": "AbortMultipartUpload",
}
_SUBRESOURCES = {
    "acl": "Acl", "cors": "Cors", "lifecycle": "Lifecycle", "tagging": "Tagging", "versioning": "Versioning",
    "location": "Location", "encryption": "Encryption", "policy": "Policy", "policyStatus": "PolicyStatus",
    "ownershipControls": "OwnershipControls", "publicAccessBlock": "PublicAccessBlock", "website": "Website",
    "logging": "Logging", "notification": "Notification", "replication": "Replication",
    "requestPayment": "RequestPayment", "retention": "Retention", "legal-hold": "LegalHold",
    "object-lock": "ObjectLockConfiguration", "accelerate": "AccelerateConfiguration",
}  # fmt: skip
_MOST_KEYS = 100


class S3Records:
    """Makes the records of requests to S3."""

    def __init__(self, default_account: str, region: str, partition: str, secure: bool) -> None:
        self._default_account = default_account
        self._region = region
        self._partition = partition
        self._secure = secure

    def parties(self, call: S3Call) -> list[Party]:
        """In whose trails the request is: the caller's, and that of another account whose the bucket is."""
        caller, key = call.caller, clean(call.signature.access_key_id, 128) if call.signature else None
        if caller is not None and caller.kind != "anonymous":
            own = Party(caller.account_id, identity.user_identity(caller), caller, caller.access_key_id)
            if call.owner in {"", caller.account_id}:
                return [own]
            return [own, Party(call.owner, identity.from_another_account(caller), None, None)]
        if key is None:
            account = call.owner or self._default_account
            return [Party(account, identity.anonymous(), None, None, is_proven=False)]
        account = call.claimed or self._default_account
        return [Party(account, identity.unknown(call.claimed, key), None, key, is_proven=False)]

    def events(self, call: S3Call, parties: list[Party]) -> list[dict[str, Any]]:
        """A record for each of the trails."""
        made = [self._event(call, party) for party in parties]
        if len(made) > 1:
            shared = new_event_id()
            for event in made:
                event["sharedEventID"] = shared
        return made

    def _event(self, call: S3Call, party: Party) -> dict[str, Any]:
        request = call.request or _guess(call)
        name, is_data = event_name(request, "x-amz-copy-source" in call.asked.headers)
        event: dict[str, Any] = {
            "eventVersion": VERSION,
            "userIdentity": party.identity,
            "eventTime": event_time(call.time),
            "eventSource": "s3.amazonaws.com",
            "eventName": name,
            "awsRegion": self._region,
            "sourceIPAddress": call.asked.source_ip,
            "userAgent": f"[{clean(call.asked.headers.get('user-agent', ''))}]",
        }
        if call.error is not None:
            event |= {"errorCode": call.error.code, "errorMessage": clean(call.error.message)}
        event |= {
            "requestParameters": _parameters(call, request),
            "responseElements": None,
            "additionalEventData": _additional(call),
            "requestID": call.request_id,
            "eventID": new_event_id(),
            "readOnly": name.startswith(("Get", "List", "Head")),
            "resources": self._resources(call, request),
            "eventType": "AwsApiCall",
            "managementEvent": not is_data,
            "recipientAccountId": party.account_id,
            "eventCategory": "Data" if is_data else "Management",
        }
        if self._secure:
            event["tlsDetails"] = {"clientProvidedHostHeader": clean(call.asked.host)}
        return event

    def _resources(self, call: S3Call, request: S3Request) -> list[dict[str, str]]:
        if not request.bucket:
            return []
        bucket = f"arn:{self._partition}:s3:::{clean(request.bucket)}"
        of = {"accountId": call.owner} if call.owner else {}
        found = [of | {"type": "AWS::S3::Bucket", "ARN": bucket}]
        keys = call.keys[:_MOST_KEYS] or ([request.key] if request.key else [])
        objects = [{"type": "AWS::S3::Object", "ARN": f"{bucket}/{clean(key)}"} for key in keys]
        if not objects and (request.method, request.subresource) in _OBJECTS_OF_BUCKET:
            objects = [{"type": "AWS::S3::Object", "ARNPrefix": f"{bucket}/"}]
        return objects + found

    def line(self, call: S3Call, event: dict[str, Any], party: Party) -> Line:
        """The journal's line of a record."""
        username = identity.username(party.caller) if party.caller else None
        named = [(str(one["type"]), _short(str(one.get("ARN") or one["ARNPrefix"]))) for one in event["resources"][:20]]
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
            # AWS shows no data events there; refused ones must be seen without a trail too.
            is_shown=int(event["managementEvent"] or call.error is not None),
            is_denied=int(call.error is not None and call.error.code == "AccessDenied"),
            authorization=call.details,
            resources=named,
        )


def is_data_event(call: S3Call) -> bool:
    """True if the request is about objects; none that could not be read is asked about."""
    return call.request is not None and event_name(call.request, copies=False)[1]


def event_name(request: S3Request, copies: bool) -> tuple[str, bool]:
    """The name of the operation, and whether it is a data event."""
    method, sub = request.method, request.subresource
    if not request.bucket:
        return "ListBuckets", False
    if not request.key:
        if (method, sub) in _OBJECTS_OF_BUCKET:
            return _OBJECTS_OF_BUCKET[method, sub], True
        return _OF_BUCKET.get((method, sub)) or _of_subresource("Bucket", method, sub), False
    if "uploadId" in request.parameters and not sub:
        name = _OF_UPLOAD.get(method, "UploadPart")
        return (f"{name}Copy" if copies and name == "UploadPart" else name), True
    if copies and (method, sub) == ("PUT", ""):
        return "CopyObject", True
    return _OF_OBJECT.get((method, sub)) or _of_subresource("Object", method, sub), True


def _of_subresource(level: str, method: str, sub: str) -> str:
    what = _SUBRESOURCES.get(sub, sub.title().replace("-", ""))
    if sub == "object-lock":
        level = ""
    return f"{_VERBS.get(method, method.title())}{level}{what}"


def _guess(call: S3Call) -> S3Request:
    """What a request that could not be read seems to be about."""
    bucket, _, key = unquote(call.asked.path, errors="replace").lstrip("/").partition("/")
    return S3Request(call.asked.method, bucket, key, "", {})


def _parameters(call: S3Call, request: S3Request) -> dict[str, Any]:
    found: dict[str, Any] = {"bucketName": clean(request.bucket)} if request.bucket else {}
    found["Host"] = clean(call.asked.host)
    if request.key:
        found["key"] = clean(request.key)
    if request.subresource:
        found[request.subresource] = ""
    for name, value in request.parameters.items():
        # A presigned URL's parameters are a credential.
        if not name.lower().startswith("x-amz-") and name not in found:
            found[name] = clean(value)
    if source := call.asked.headers.get("x-amz-copy-source"):
        found["x-amz-copy-source"] = clean(source)
    return found


def _additional(call: S3Call) -> dict[str, Any]:
    if call.signature is None:
        return {}
    in_query = "X-Amz-Signature=" in call.asked.query
    return {"SignatureVersion": "SigV4", "AuthenticationMethod": "QueryString" if in_query else "AuthHeader"}


def _short(arn: str) -> str:
    """What a resource is looked up by: a bucket by its name, an object by its ARN."""
    name = arn.partition(":::")[2]
    return arn if "/" in name else name
