"""What a bucket has beside its objects, as far as we keep it: policy, public access, ownership, ACL.

A handler gets a request that IAM allowed and answers it. Those that need the request's body are in
`WITH_BODY`: the edge hands such requests to us whole (see `s3_served`).

What the store does itself (versioning, CORS, lifecycle, tags, object lock) goes to
it untouched. What neither does is answered as not configured, and setting it is NotImplemented.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from emr_studio.aws.context import Context
from emr_studio.aws.errors import AwsError, ClientError, Unavailable
from emr_studio.storage import s3_encryption, s3_xml
from emr_studio.storage.model import ENFORCED, PREFERRED, Bucket, PublicAccess
from emr_studio.storage.s3_keys import KMS
from emr_studio.storage.s3_limits import CANNED, acls_not_supported, not_implemented
from emr_studio.storage.s3_policy import is_public, malformed, read_bucket_policy
from emr_studio.storage.s3_ports import S3Ports
from emr_studio.storage.s3_request import S3Request
from emr_studio.storage.s3_xml import Served, document
from emr_studio.storage.store import store_client

_FLAGS = {
    "BlockPublicAcls": PublicAccess.BLOCK_ACLS,
    "IgnorePublicAcls": PublicAccess.IGNORE_ACLS,
    "BlockPublicPolicy": PublicAccess.BLOCK_POLICY,
    "RestrictPublicBuckets": PublicAccess.RESTRICT,
}
_NO_WEBSITE = ("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration")
_NO_REPLICATION = ("ReplicationConfigurationNotFoundError", "The replication configuration was not found")
_XSI = "http://www.w3.org/2001/XMLSchema-instance"


@dataclass(frozen=True)
class Wanted:
    """One allowed request on a bucket (or an object's ACL)."""

    ports: S3Ports
    context: Context
    bucket: Bucket
    request: S3Request
    headers: Mapping[str, str]
    body: bytes = b""


Handler = Callable[[Wanted], Served]


def canonical_id(account_id: str) -> str:
    """The canonical user id of an account: 64 hex digits, as S3 shows owners."""
    return hashlib.sha256(f"emr-studio:canonical-user:{account_id}".encode()).hexdigest()


# --- Policy


def _get_policy(wanted: Wanted) -> Served:
    text = wanted.ports.principals.to_show(wanted.context.session, _policy_of(wanted.bucket))
    return Served(body=text.encode(), content_type="application/json")


def _get_policy_status(wanted: Wanted) -> Served:
    _policy_of(wanted.bucket)
    return document("PolicyStatus", f"<IsPublic>{str(wanted.bucket.policy_is_public).lower()}</IsPublic>")


def _policy_of(bucket: Bucket) -> str:
    if bucket.policy is None:
        raise ClientError("NoSuchBucketPolicy", "The bucket policy does not exist", 404)
    return bucket.policy


def _put_policy(wanted: Wanted) -> Served:
    bucket, context = wanted.bucket, wanted.context
    try:
        text = wanted.body.decode()
    except UnicodeDecodeError:
        raise malformed("Policies must be valid JSON and the first byte must be '{'") from None
    read = read_bucket_policy(text, bucket.name, wanted.ports.settings.partition)
    if (public := is_public(read)) and bucket.forbids(PublicAccess.BLOCK_POLICY):
        arn = f"arn:{wanted.ports.settings.partition}:s3:::{bucket.name}"
        message = (
            f'User: {context.caller.arn} is not authorized to perform: s3:PutBucketPolicy on resource: "{arn}" '
            "because public policies are blocked by the BlockPublicPolicy block public access setting."
        )
        raise ClientError("AccessDenied", message, 403)
    try:
        bucket.policy = wanted.ports.principals.to_keep(context.session, text)
    except AwsError as error:
        raise malformed("Invalid principal in policy") from error
    bucket.policy_is_public = public
    return Served(204)


def _delete_policy(wanted: Wanted) -> Served:
    wanted.bucket.policy, wanted.bucket.policy_is_public = None, False
    return Served(204)


# --- Public access block


def _get_public_access(wanted: Wanted) -> Served:
    kept = wanted.bucket.public_access
    if kept is None:
        message = "The public access block configuration was not found"
        raise ClientError("NoSuchPublicAccessBlockConfiguration", message, 404)
    inner = "".join(f"<{name}>{str(bool(kept & flag)).lower()}</{name}>" for name, flag in _FLAGS.items())
    return document("PublicAccessBlockConfiguration", inner)


def _put_public_access(wanted: Wanted) -> Served:
    root = s3_xml.parse(wanted.body, "PublicAccessBlockConfiguration")
    kept = PublicAccess(0)
    for element in root:
        name, value = s3_xml.name_of(element), (element.text or "").strip().lower()
        if name not in _FLAGS or value not in {"true", "false"}:
            raise s3_xml.malformed_xml()
        kept |= _FLAGS[name] if value == "true" else PublicAccess(0)
    wanted.bucket.public_access = int(kept)
    return Served()


def _delete_public_access(wanted: Wanted) -> Served:
    wanted.bucket.public_access = None
    return Served(204)


# --- Ownership and ACLs: objects are always the bucket owner's


def _get_ownership(wanted: Wanted) -> Served:
    if wanted.bucket.ownership is None:
        message = "The bucket ownership controls were not found"
        raise ClientError("OwnershipControlsNotFoundError", message, 404)
    rule = f"<Rule><ObjectOwnership>{wanted.bucket.ownership}</ObjectOwnership></Rule>"
    return document("OwnershipControls", rule)


def _put_ownership(wanted: Wanted) -> Served:
    root = s3_xml.parse(wanted.body, "OwnershipControls")
    wanted.bucket.ownership = check_ownership(s3_xml.text_of(root, "Rule/ObjectOwnership") or "")
    return Served()


def check_ownership(value: str) -> str:
    """An object ownership that is really kept to.

    Raises:
        ClientError: NotImplemented for ObjectWriter, MalformedXML for what is none.
    """
    if value in {ENFORCED, PREFERRED}:
        return value
    if value == "ObjectWriter":
        raise not_implemented("Objects are always the bucket owner's: ObjectWriter is not implemented.")
    raise s3_xml.malformed_xml()


def _delete_ownership(wanted: Wanted) -> Served:
    wanted.bucket.ownership = None
    return Served(204)


def _get_acl(wanted: Wanted) -> Served:
    if wanted.request.key:
        _look_at_object(wanted)
    owner = f"<ID>{canonical_id(wanted.bucket.account_id)}</ID>"
    grantee = f'<Grantee xmlns:xsi="{_XSI}" xsi:type="CanonicalUser">{owner}</Grantee>'
    grant = f"<Grant>{grantee}<Permission>FULL_CONTROL</Permission></Grant>"
    inner = f"<Owner>{owner}</Owner><AccessControlList>{grant}</AccessControlList>"
    return document("AccessControlPolicy", inner)


def _put_acl(wanted: Wanted) -> Served:
    """Only what changes nothing is taken: the owner has full control, and nobody else any."""
    if wanted.request.key:
        _look_at_object(wanted)
    elif wanted.bucket.ownership == ENFORCED:
        raise acls_not_supported()
    canned = wanted.headers.get("x-amz-acl")
    if canned in CANNED or (canned is None and wanted.body and _is_owners_acl(wanted)):
        return Served()
    raise acls_not_supported()


def _is_owners_acl(wanted: Wanted) -> bool:
    root = s3_xml.parse(wanted.body, "AccessControlPolicy")
    grants = [child for part in root if s3_xml.name_of(part) == "AccessControlList" for child in part]
    owner = canonical_id(wanted.bucket.account_id)
    return len(grants) == 1 and (
        s3_xml.text_of(grants[0], "Grantee/ID") == owner
        and s3_xml.text_of(grants[0], "Permission") == "FULL_CONTROL"
        and s3_xml.text_of(root, "Owner/ID") in {owner, None}
    )


def _look_at_object(wanted: Wanted) -> None:
    """Raise what the store says if the object (or its version) is not there."""
    version = wanted.request.parameters.get("versionId")
    query = {"versionId": version} if version else {}
    try:
        with store_client(wanted.ports.settings) as client:
            answer = client.head(f"/{wanted.bucket.name}/{quote(wanted.request.key, safe='/~')}", params=query)
    except (OSError, httpx.HTTPError) as error:
        raise Unavailable("The store does not answer. Try again.") from error
    if answer.status_code == httpx.codes.NOT_FOUND:
        code, message = ("NoSuchVersion", "version") if version else ("NoSuchKey", "key")
        raise ClientError(code, f"The specified {message} does not exist.", 404)


# --- Default encryption: AES256 is the store's; KMS is put on uploads that name none (`s3_encryption`)


def _put_encryption(wanted: Wanted) -> Served:
    rule = s3_encryption.read(wanted.body)
    if rule.algorithm == KMS and wanted.ports.settings.s3_endpoint:
        raise not_implemented("Encryption with KMS keys is not implemented by this store.")
    bucket = wanted.bucket
    if rule.algorithm == KMS:
        bucket.default_key, bucket.default_bucket_key = rule.key, rule.bucket_key
        return Served()
    answer = _ask_for_encryption(wanted, "PUT", wanted.body)
    if answer.is_client_error:
        raise s3_xml.malformed_xml()
    bucket.default_key, bucket.default_bucket_key = None, False
    return Served()


def _get_encryption(wanted: Wanted) -> Served:
    if wanted.bucket.default_key is not None:
        return s3_encryption.shown(wanted.bucket)
    answer = _ask_for_encryption(wanted, "GET")
    return Served(answer.status_code, answer.content)


def _delete_encryption(wanted: Wanted) -> Served:
    _ask_for_encryption(wanted, "DELETE")
    wanted.bucket.default_key, wanted.bucket.default_bucket_key = None, False
    return Served(204)


def _ask_for_encryption(wanted: Wanted, method: str, body: bytes = b"") -> httpx.Response:
    try:
        with store_client(wanted.ports.settings) as client:
            answer = client.request(method, f"/{wanted.bucket.name}?encryption", content=body)
    except (OSError, httpx.HTTPError) as error:
        raise Unavailable("The store does not answer. Try again.") from error
    if answer.is_server_error:
        raise Unavailable("The store did not take it. Try again.")
    return answer


# --- What is not configured, and cannot be


def _head(wanted: Wanted) -> Served:
    return Served(headers={"x-amz-bucket-region": wanted.bucket.region, "x-amz-access-point-alias": "false"})


def _get_location(wanted: Wanted) -> Served:
    region = wanted.bucket.region
    return document("LocationConstraint", "" if region == "us-east-1" else region)


def _nothing(root: str, inner: str = "") -> Handler:
    return lambda _wanted: document(root, inner)


def _absent(code: str, message: str) -> Handler:
    def answer(_wanted: Wanted) -> Served:
        raise ClientError(code, message, 404)

    return answer


def _only_nothing(root: str, what: str, allowed: Callable[[bytes], bool]) -> Handler:
    """Setting it to what it is anyhow is fine; anything else is not implemented."""

    def answer(wanted: Wanted) -> Served:
        parsed = s3_xml.parse(wanted.body, root)
        if not allowed(b"".join(text.encode() for text in parsed.itertext())):
            raise not_implemented(f"{what} is not implemented by this store.")
        return Served()

    return answer


def _empty(text: bytes) -> bool:
    return not text.strip()


AT_ONCE: dict[tuple[str, str], Handler] = {
    ("HEAD", ""): _head,
    ("GET", "location"): _get_location,
    ("GET", "policy"): _get_policy,
    ("DELETE", "policy"): _delete_policy,
    ("GET", "policyStatus"): _get_policy_status,
    ("GET", "publicAccessBlock"): _get_public_access,
    ("DELETE", "publicAccessBlock"): _delete_public_access,
    ("GET", "ownershipControls"): _get_ownership,
    ("DELETE", "ownershipControls"): _delete_ownership,
    ("GET", "acl"): _get_acl,
    ("GET", "encryption"): _get_encryption,
    ("DELETE", "encryption"): _delete_encryption,
    ("GET", "website"): _absent(*_NO_WEBSITE),
    ("DELETE", "website"): lambda _wanted: Served(204),
    ("GET", "replication"): _absent(*_NO_REPLICATION),
    ("DELETE", "replication"): lambda _wanted: Served(204),
    ("GET", "logging"): _nothing("BucketLoggingStatus"),
    ("GET", "notification"): _nothing("NotificationConfiguration"),
    ("GET", "requestPayment"): _nothing("RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>"),
    ("GET", "accelerate"): _nothing("AccelerateConfiguration"),
}  # fmt: skip
"""By method and sub-resource, for a bucket; an object has `acl` only."""
WITH_BODY: dict[tuple[str, str], Handler] = {
    ("PUT", "policy"): _put_policy,
    ("PUT", "publicAccessBlock"): _put_public_access,
    ("PUT", "ownershipControls"): _put_ownership,
    ("PUT", "acl"): _put_acl,
    ("PUT", "encryption"): _put_encryption,
    ("PUT", "logging"): _only_nothing("BucketLoggingStatus", "Server access logging", _empty),
    ("PUT", "notification"): _only_nothing("NotificationConfiguration", "Notification", _empty),
    ("PUT", "requestPayment"): _only_nothing(
        "RequestPaymentConfiguration", "Requester pays", lambda text: text.strip() == b"BucketOwner"
    ),
    ("PUT", "accelerate"): _only_nothing(
        "AccelerateConfiguration", "Transfer acceleration", lambda text: text.strip() == b"Suspended"
    ),
}
"""Those that need the request's body."""
WRITING = frozenset(key for key in AT_ONCE if key[0] == "DELETE")
"""Those of `AT_ONCE` that change our table."""


def at_once(request: S3Request) -> Handler | None:
    """The handler of a request whose head is enough; None if it is the store's or needs its body."""
    return AT_ONCE.get((request.method, request.subresource)) if _ours(request) else None


def with_body(request: S3Request) -> Handler | None:
    """The handler of a request that must come to us whole."""
    return WITH_BODY.get((request.method, request.subresource)) if _ours(request) else None


def _ours(request: S3Request) -> bool:
    return not request.key or request.subresource == "acl"
