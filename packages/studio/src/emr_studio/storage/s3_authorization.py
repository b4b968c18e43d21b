"""Answers the edge's question about a request to S3: who is it, may she, and where does it go?

The question has the request's head only. The signature is verified as S3 does (header or presigned,
session tokens), IAM is asked for every action that the request needs, and the answer names the
store; the body then flows from the client to the store without us.

What follows from not seeing the body: a payload hash that the client declared is bound to the
signature, but the bytes are not compared with it, nor are the signatures of single chunks. The
store does check the checksums (CRC32 and so on, Content-MD5) that today's SDKs send.

    CreateBucket, DeleteBucket, ListBuckets   answered here, from the table of buckets
    DeleteObjects                             its keys are in the body: see `s3_deletion`
    everything else                           to the store
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote
from xml.sax.saxutils import escape

from sqlalchemy.orm import Session
from starlette.types import ASGIApp

from emr_studio.aws.auth import CredentialStore, authenticate_signature
from emr_studio.aws.context import Authorizer, Caller, Check, Context, RequestInfo
from emr_studio.aws.errors import AuthError, AuthFailure, AwsError, ClientError
from emr_studio.aws.sigv4 import Signature, find_signature
from emr_studio.aws.wire import WireRequest
from emr_studio.clock import Clock
from emr_studio.db import Database
from emr_studio.edge.decisions import DELETE, EdgeAnswer, EdgeRequest
from emr_studio.settings import Settings
from emr_studio.storage import buckets
from emr_studio.storage.s3_actions import needed
from emr_studio.storage.s3_deletion import S3Deletion
from emr_studio.storage.s3_recording import NoS3Recorder, S3Call, S3Recorder
from emr_studio.storage.s3_request import S3Request, read_copy_source, understand, write_copy_source
from emr_studio.storage.store import store_address

log = logging.getLogger(__name__)

_SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
_UNSIGNED_CHUNKS = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
_XML = "application/xml"
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class WrongRegion(ClientError):
    """Signed for another region; the answer names the right one, and SDKs try again there."""

    def __init__(self, given: str, region: str) -> None:
        message = f"The authorization header is malformed; the region '{given}' is wrong; expecting '{region}'"
        super().__init__("AuthorizationHeaderMalformed", message, 400)
        self.region = region


@dataclass(frozen=True)
class _Question:
    """A request whose caller is known."""

    request: S3Request
    headers: Mapping[str, str]
    context: Context
    signature: Signature


class S3Authorization:
    """The resolver to register for the kind `s3`."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        credentials: CredentialStore,
        authorizer: Authorizer,
        *,
        recorder: S3Recorder | None = None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._credentials = credentials
        self._authorizer = authorizer
        self._clock = clock
        self._recorder = recorder or NoS3Recorder()
        self._deletion = S3Deletion(settings, database, clock, credentials, authorizer, recorder=self._recorder)

    def serving(self, app: ASGIApp) -> ASGIApp:
        """Wrap the control plane: it then also serves what only a request's body tells (DeleteObjects)."""
        return self._deletion.serving(app)

    def __call__(self, asked: EdgeRequest) -> EdgeAnswer:
        """Answer; every refusal is S3's own XML error."""
        call = S3Call(asked, secrets.token_hex(8).upper(), self._clock.now())
        try:
            answer = self._answer(call)
        except AwsError as error:
            answer = _error(call.refuse(error), asked, call.request_id)
        except FileNotFoundError:
            away = ClientError("ServiceUnavailable", "The store was never started.", 503)
            answer = _error(call.refuse(away), asked, call.request_id)
        if not answer.identity:  # DeleteObjects is recorded where its keys are known
            self._recorder.record_s3(call)
        return answer

    def _answer(self, call: S3Call) -> EdgeAnswer:
        asked, wire = call.asked, _wire(call.asked)
        call.signature = signature = find_signature(wire)
        if signature is None:
            raise AuthError(AuthFailure.MISSING)
        changes_buckets = asked.method in {"PUT", "DELETE"} and _is_bucket_path(asked.path)
        with self._database.write() if changes_buckets else self._database.read() as session:
            call.caller = caller = self._caller(session, wire, signature)
            call.request = request = understand(asked.method, asked.path, asked.query)
            call.owner = buckets.owner_of(session, request.bucket)
            agent, secure = wire.headers.get("user-agent", ""), self._settings.scheme == "https"
            info = RequestInfo(asked.source_ip, agent, secure, asked.host)
            region = self._settings.region
            context = Context(caller, region, session, self._clock, call.request_id, info, self._authorizer)
            return self._decide(_Question(request, wire.headers, context, signature))

    def _caller(self, session: Session, wire: WireRequest, signature: Signature) -> Caller:
        if signature.service != "s3":
            raise AuthError(
                AuthFailure.SCOPE,
                f"Credential should be scoped to correct service: 's3'. Not '{signature.service[:32]}'.",
            )
        if signature.region != self._settings.region:
            raise WrongRegion(signature.region[:32], self._settings.region)
        return authenticate_signature(session, self._credentials, wire, signature, self._clock.now(), s3=True)

    def _decide(self, question: _Question) -> EdgeAnswer:
        request, context = question.request, question.context
        checks = needed(request, question.headers, self._settings.partition)
        if not request.bucket:
            if request.method != "GET":
                raise ClientError("MethodNotAllowed", "The specified method is not allowed against this resource.", 405)
            context.authorize(checks[0])
            return self._list_buckets(context)
        if checks[0].action == "s3:CreateBucket":
            context.authorize(checks[0])
            return self._create_bucket(question)
        for check in checks:
            owned = self._owned(context, check, question.headers)
            if request.subresource != "delete":  # there each key is checked
                context.authorize(owned)
        if checks[0].action == "s3:DeleteBucket":
            return self._delete_bucket(question)
        if request.subresource == "delete":
            here = f"unix/{self._settings.api_socket}"
            return EdgeAnswer(upstream=here, identity=self._deletion.ticket(question.signature, context))
        return EdgeAnswer(upstream=store_address(self._settings), headers=self._replacements(question.headers))

    def _owned(self, context: Context, check: Check, headers: Mapping[str, str]) -> Check:
        """Say whose the bucket is: another account's is denied unless a policy of its own says otherwise.

        Raises:
            ClientError: NoSuchBucket.
        """
        name = check.resource.partition(":::")[2].partition("/")[0]
        bucket = buckets.find_bucket(context.session, name)
        if bucket is None:
            raise ClientError("NoSuchBucket", "The specified bucket does not exist", 404)
        expected = headers.get("x-amz-expected-bucket-owner")
        if expected is not None and expected != bucket.account_id:
            raise ClientError("AccessDenied", "Access Denied", 403)
        return replace(check, context={**check.context, "aws:ResourceAccount": bucket.account_id})

    def _replacements(self, headers: Mapping[str, str]) -> dict[str, str]:
        """What the store must not see, or must see in another form."""
        changed = {}
        if "x-amz-security-token" in headers:
            changed["X-Amz-Security-Token"] = DELETE
        # The store has no keys to verify chunks with; it decodes the same framing as unsigned.
        if headers.get("x-amz-content-sha256", "").startswith(_SIGNED_CHUNKS):
            changed["X-Amz-Content-Sha256"] = _UNSIGNED_CHUNKS
        if source := headers.get("x-amz-copy-source"):
            changed["X-Amz-Copy-Source"] = write_copy_source(*read_copy_source(source))
        return changed

    # --- answered here

    def _list_buckets(self, context: Context) -> EdgeAnswer:
        owner = f"<Owner><ID>{context.account_id}</ID></Owner>"
        items = "".join(
            f"<Bucket><Name>{escape(bucket.name)}</Name>"
            f"<CreationDate>{bucket.created:%Y-%m-%dT%H:%M:%S.000Z}</CreationDate></Bucket>"
            for bucket in buckets.list_buckets(context.session, context.account_id)
        )
        body = f"{owner}<Buckets>{items}</Buckets>"
        return _final(200, f'<ListAllMyBucketsResult xmlns="{_NAMESPACE}">{body}</ListAllMyBucketsResult>')

    def _create_bucket(self, question: _Question) -> EdgeAnswer:
        context, name = question.context, question.request.bucket
        account, now = context.account_id, context.now()
        buckets.create_bucket(context.session, self._settings, account, name, now=now, headers=question.headers)
        return _final(200, "", {"Location": f"/{name}"})

    def _delete_bucket(self, question: _Question) -> EdgeAnswer:
        bucket = buckets.find_bucket(question.context.session, question.request.bucket)
        if bucket is not None:
            buckets.delete_bucket(question.context.session, self._settings, bucket)
        return _final(204, "")


def _wire(asked: EdgeRequest) -> WireRequest:
    headers: dict[str, str] = {}
    for name, value in asked.headers.items():
        headers[name.lower()] = f"{headers[name.lower()]},{value}" if name.lower() in headers else value
    headers["host"] = asked.host
    return WireRequest(asked.method, asked.path, asked.query, headers, source_ip=asked.source_ip)


def _is_bucket_path(path: str) -> bool:
    # As the store reads it: `/bucket/%2F` is the bucket too.
    return "/" not in unquote(path).strip("/")


def _final(status: int, body: str, headers: Mapping[str, str] | None = None) -> EdgeAnswer:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode() if body else b""
    return EdgeAnswer(status, body=text, content_type=_XML, response_headers=dict(headers or {}), final=True)


def _error(error: AwsError, asked: EdgeRequest, request_id: str) -> EdgeAnswer:
    more = f"<Region>{escape(error.region)}</Region>" if isinstance(error, WrongRegion) else ""
    body = (
        f"<Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>{more}"
        f"<Resource>{escape(asked.path)}</Resource><RequestId>{request_id}</RequestId></Error>"
    )
    headers = {"x-amz-request-id": request_id}
    return _final(error.status, "" if asked.method == "HEAD" else body, headers)
