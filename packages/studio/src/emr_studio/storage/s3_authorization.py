"""Answers the edge's question about a request to S3: who is it, may she, and where does it go?

The question has the request's head only. The signature is verified as S3 does (header or presigned,
session tokens; none at all is the anonymous caller), IAM and the bucket's policy are asked for every
action that the request needs, and the answer names the store; the body then flows from the client to
the store without us. What the store gets instead of what the signature stood for: `s3_forward`.

    CreateBucket, DeleteBucket, ListBuckets     answered from our table of buckets: `s3_buckets`
    policy, public access, ownership, ACL, …    answered from it too: `s3_settings`
    what only the body tells (DeleteObjects, …) comes to us whole: `s3_served`
    lists of keys and of versions               put into S3's order: `s3_list`
    a page's preflight (OPTIONS)                from the bucket's CORS rules: `s3_cors`
    everything else                             to the store
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Hashable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from urllib.parse import unquote

from sqlalchemy.orm import Session
from starlette.types import ASGIApp

from emr_studio.aws.auth import ANONYMOUS, authenticate_signature
from emr_studio.aws.context import Caller, Check, Context, RequestInfo
from emr_studio.aws.errors import AuthError, AuthFailure, AwsError, ClientError
from emr_studio.aws.sigv4 import Signature, find_signature
from emr_studio.aws.wire import WireRequest
from emr_studio.edge.config import base_domain
from emr_studio.edge.decisions import Decisions, EdgeAnswer, EdgeRequest
from emr_studio.storage import buckets, s3_buckets, s3_gate, s3_reads, s3_settings, s3_xml
from emr_studio.storage.external import external
from emr_studio.storage.model import Bucket
from emr_studio.storage.s3_actions import Signed, needed
from emr_studio.storage.s3_cors import Cors
from emr_studio.storage.s3_encryption import by_default
from emr_studio.storage.s3_existing import asks_for_tags, with_tags
from emr_studio.storage.s3_forward import replacements
from emr_studio.storage.s3_limits import check_supported
from emr_studio.storage.s3_list import Listing, S3Lists, is_list
from emr_studio.storage.s3_ports import S3Ports
from emr_studio.storage.s3_recording import S3Call
from emr_studio.storage.s3_request import (
    S3Request,
    bucket_of_host,
    path_style,
    read_copy_source,
    understand,
    without_signature,
)
from emr_studio.storage.s3_room import check_room
from emr_studio.storage.s3_served import S3Served, form_ticket, is_served, ticket
from emr_studio.storage.s3_settings import Wanted, canonical_id
from emr_studio.storage.s3_tagging import is_decided_by_body
from emr_studio.storage.s3_xml import Served
from emr_studio.storage.store import store_address
from emr_studio.storage.store_connection import StoreConnection

log = logging.getLogger(__name__)

_FORM = "multipart/form-data"


class _TakesTime(Exception):
    """Not an answer to give on the event loop."""


class WrongRegion(ClientError):
    """Signed for another region; the answer names the right one, and SDKs try again there."""

    def __init__(self, given: str, region: str) -> None:
        message = f"The authorization header is malformed; the region '{given}' is wrong; expecting '{region}'"
        super().__init__("AuthorizationHeaderMalformed", message, 400)
        self.region = region


_ADDRESS_SECONDS = 1.0
_UNKEYED: Mapping[str, str] = {}


@dataclass(frozen=True)
class _Question:
    """A request whose caller is known."""

    asked: EdgeRequest
    request: S3Request
    headers: Mapping[str, str]
    context: Context
    signature: Signature | None
    host_bucket: str
    quick: bool = False

    @property
    def signed(self) -> Signed:
        signature, tls = self.signature, self.asked.tls_version
        if signature is None:
            return Signed(tls_version=tls)
        kind = "REST-QUERY-STRING" if signature.presigned else "REST-HEADER"
        return Signed(kind, signature.timestamp, self.context.now(), tls)


class S3Authorization:
    """The resolver of the edge's questions about S3."""

    def __init__(self, ports: S3Ports) -> None:
        self._ports = ports
        self._settings = ports.settings
        self._domain = base_domain(ports.settings)
        self._store_address, self._store_until = "", 0.0
        self._local = ports.database.engine.dialect.name == "sqlite"
        self._store_connection = StoreConnection(ports.settings)
        self._cors = Cors(self._store_connection)
        self._served = S3Served(ports, self._cors)
        self._lists = S3Lists(self._store_connection)

    def register(self, decisions: Decisions) -> None:
        """Let the edge ask: about requests, and about what the store does not have."""
        decisions.register("s3", self, self.quickly)
        decisions.register("s3-missing", self.missing)

    def serving(self, app: ASGIApp) -> ASGIApp:
        """Wrap the control plane: it then also serves what only a request's body tells."""
        return self._served.wrap(app)

    def close(self) -> None:
        """Close what is open to the store."""
        self._store_connection.close()

    def __call__(self, asked: EdgeRequest) -> EdgeAnswer:
        """Answer; every refusal is S3's own XML error."""
        return self._respond(asked)

    def missing(self, asked: EdgeRequest) -> EdgeAnswer:
        """What is told of an object that the store does not have: only who may list the bucket learns that.

        S3 asks for `s3:ListBucket` on the bucket. One that is allowed for prefixes which the key has is enough here.
        """
        call = S3Call(asked, secrets.token_hex(8).upper(), self._ports.clock.now())
        try:
            with self._ports.database.read() as session:
                self._may_list(call, session)
            problem: AwsError = ClientError("NoSuchKey", "The specified key does not exist.", 404)
        except AwsError as refusal:
            problem = refusal
        return self._readable(call, self._error(call, problem))

    def missing_quickly(self, asked: EdgeRequest) -> EdgeAnswer | None:
        """The same at once, as `quickly`; else None."""
        return self.missing(asked) if self._local and "origin" not in asked.headers else None

    def _may_list(self, call: S3Call, session: Session) -> None:
        asked, wire = call.asked, _wire(call.asked)
        host_bucket = bucket_of_host(asked.host, self._domain) or ""
        caller = self._caller(session, wire, find_signature(wire))
        request = understand(asked.method, asked.path, asked.query, host_bucket)
        context = self._context(call, session, caller, wire)
        bucket = s3_gate.bucket_of(context, request.bucket)
        arn = f"arn:{self._settings.partition}:s3:::{bucket.name}"
        s3_gate.authorize(context, Check("s3:ListBucket", arn, {"s3:prefix": request.key}), bucket)

    def _context(self, call: S3Call, session: Session, caller: Caller, wire: WireRequest) -> Context:
        agent, secure = wire.headers.get("user-agent", ""), self._settings.scheme == "https"
        info = RequestInfo(call.asked.source_ip, agent, secure, call.asked.host)
        return Context(
            caller, self._settings.region, session, self._ports.clock, call.request_id, info, self._ports.authorizer
        )

    def quickly(self, asked: EdgeRequest) -> EdgeAnswer | None:
        """Answer for an object, if that takes no more than a look into the embedded database; else None.

        Handing such a question to a thread and back would take longer than the answer itself.
        """
        # What comes from a page of another origin may need the bucket's CORS rules.
        if not self._local or not _names_object(asked.path) or "origin" in asked.headers:
            return None
        try:
            return self._respond(asked, quick=True)
        except _TakesTime:
            return None

    def _respond(self, asked: EdgeRequest, *, quick: bool = False) -> EdgeAnswer:
        call = S3Call(asked, secrets.token_hex(8).upper(), self._ports.clock.now())
        try:
            answer = self._listed(self._answer(call, quick), call)
        except AwsError as problem:
            answer = self._error(call, problem)
        except OSError:  # the address or the keys of the store
            log.warning("%s: the store cannot be asked", call.request_id, exc_info=True)
            answer = self._error(call, ClientError("ServiceUnavailable", "The store cannot be asked now.", 503))
        # What comes to us whole is recorded once its body is known; a page's own address is no request to S3.
        if (not answer.identity and call.request is not None) or call.error is not None:
            self._ports.recorder.record_s3(call)
        return self._readable(call, answer)

    def _readable(self, call: S3Call, answer: EdgeAnswer) -> EdgeAnswer:
        """An answer of ours with what a page of another origin needs to read it."""
        asked = call.asked
        if answer.upstream or "origin" not in asked.headers or asked.method == "OPTIONS":
            return answer
        bucket = bucket_of_host(asked.host, self._domain) or unquote(asked.path).lstrip("/").partition("/")[0]
        more = self._cors.headers(bucket, asked.method, asked.headers)
        return replace(answer, response_headers={**answer.response_headers, **more})

    def _error(self, call: S3Call, problem: AwsError) -> EdgeAnswer:
        asked = call.asked
        told = s3_xml.error(call.refuse(problem), asked.path, call.request_id, head=asked.method == "HEAD")
        return _final(told, call.request_id, {"x-amz-bucket-region": self._settings.region})

    def _listed(self, answer: EdgeAnswer | Listing, call: S3Call) -> EdgeAnswer:
        """A list is made here, where the database is no longer held."""
        return _final(self._lists.answer(answer), call.request_id) if isinstance(answer, Listing) else answer

    def _answer(self, call: S3Call, quick: bool) -> EdgeAnswer | Listing:
        asked, wire = call.asked, _wire(call.asked)
        host_bucket = bucket_of_host(asked.host, self._domain)
        call.signature = signature = find_signature(wire)
        if quick and (signature is None or host_bucket):
            raise _TakesTime
        if signature is None and (early := self._unsigned(call, host_bucket)) is not None:
            return early
        with self._session(asked, host_bucket or "") as session:
            call.caller = caller = self._caller(session, wire, signature)
            key = s3_reads.key_of(asked, wire.headers, signature) if quick and signature else None
            if (known := self._known(session, key, caller)) is not None:
                call.request, call.owner = known.request, known.owner
                return known.answer
            call.request = request = understand(asked.method, asked.path, asked.query, host_bucket or "")
            call.owner = buckets.owner_of(session, request.bucket)
            context = self._context(call, session, caller, wire)
            if quick and not request.key:
                raise _TakesTime
            question = _Question(asked, request, wire.headers, context, signature, host_bucket or "", quick)
            answer = self._decide(question)
            if key is not None and isinstance(answer, EdgeAnswer):
                self._keep(key, question, s3_reads.Allowed(request, call.owner, answer))
            return answer

    def _known(self, session: Session, key: Hashable | None, caller: Caller) -> s3_reads.Allowed | None:
        """How a read that was allowed before goes on, if that still stands."""
        found = s3_reads.allowed(session, key)
        if found is None or found.answer.upstream != self._store():
            return None
        self._ports.settled.used(caller, "s3", self._settings.region, self._ports.clock)
        return found

    def _keep(self, key: Hashable, question: _Question, found: s3_reads.Allowed) -> None:
        context, request = question.context, question.request
        bucket = s3_gate.bucket_of(context, request.bucket)
        checks = needed(request, question.headers, self._settings.partition, question.signed)
        wholes = [s3_gate.whole(context.caller, check, bucket) for check in checks]
        s3_reads.keep(context.session, key, found, wholes, (self._ports.settled, context.caller))

    def _unsigned(self, call: S3Call, host_bucket: str | None) -> EdgeAnswer | None:
        """What needs no caller: forms, preflights, and pages that only look like objects."""
        asked = call.asked
        if asked.method == "POST" and asked.headers.get("content-type", "").lower().startswith(_FORM):
            return EdgeAnswer(upstream=self._here, identity=form_ticket(call.request_id, asked.source_ip, host_bucket))
        bucket = host_bucket or unquote(asked.path).lstrip("/").partition("/")[0]
        with self._ports.database.read() as session:
            known = bool(bucket) and buckets.find_bucket(session, bucket) is not None
        if not known:
            if host_bucket is None:
                return EdgeAnswer(upstream=self._here)
            if bucket:
                raise ClientError("NoSuchBucket", "The specified bucket does not exist", 404)
        if asked.method != "OPTIONS":
            return None
        if not known or not asked.headers.get("origin") or not asked.headers.get("access-control-request-method"):
            raise ClientError("BadRequest", "Insufficient information. Origin request header needed.", 400)
        return _final(self._cors.preflight(bucket, asked), call.request_id)

    def _session(self, asked: EdgeRequest, host_bucket: str) -> AbstractContextManager[Session]:
        database = self._ports.database
        return database.write() if _changes_buckets(asked, host_bucket) else database.glance()

    def _caller(self, session: Session, wire: WireRequest, signature: Signature | None) -> Caller:
        if signature is None:
            return ANONYMOUS
        if signature.service != "s3":
            raise AuthError(
                AuthFailure.SCOPE,
                f"Credential should be scoped to correct service: 's3'. Not '{signature.service[:32]}'.",
            )
        if signature.region != self._settings.region:
            raise WrongRegion(signature.region[:32], self._settings.region)
        now = self._ports.clock.now()
        return authenticate_signature(session, self._ports.credentials, wire, signature, now, s3=True)

    def _decide(self, question: _Question) -> EdgeAnswer | Listing:
        request, context, headers = question.request, question.context, question.headers
        checks = needed(request, headers, self._settings.partition, question.signed)
        if not request.bucket:
            return self._of_the_service(question, checks[0])
        if checks[0].action == "s3:CreateBucket":
            _refuse_anonymous(context.caller)
            context.authorize(checks[0])
            if is_served(request, headers):
                return self._to_us(question)
            made = s3_buckets.create(self._settings, context, request.bucket, headers, b"")
            return _final(made, context.request_id)
        bucket = s3_gate.bucket_of(context, request.bucket)
        s3_gate.check_owner(bucket, headers)
        if _asks_for_versions(request):  # said before the store hears of it
            bucket.may_keep_versions = True
        if is_decided_by_body(self._ports.mentions, context, request, bucket):
            return self._to_us(question)
        self._authorize(question, checks, bucket)
        return self._go(question, bucket)

    def _of_the_service(self, question: _Question, check: Check) -> EdgeAnswer:
        if question.request.method not in {"GET", "HEAD"}:
            raise ClientError("MethodNotAllowed", "The specified method is not allowed against this resource.", 405)
        _refuse_anonymous(question.context.caller)
        question.context.authorize(check)
        listed = s3_buckets.listed(question.context, question.request.parameters)
        return _final(listed, question.context.request_id)

    def _authorize(self, question: _Question, checks: list[Check], bucket: Bucket) -> None:
        request, context, headers = question.request, question.context, question.headers
        if request.subresource == "delete":  # there each key is checked
            return
        if source := headers.get("x-amz-copy-source"):
            from_bucket = s3_gate.bucket_of(context, read_copy_source(source)[0])
            s3_gate.check_owner(from_bucket, headers, "x-amz-source-expected-bucket-owner")
        for check in checks:
            name = check.resource.partition(":::")[2].partition("/")[0]
            target = bucket if name == bucket.name else s3_gate.bucket_of(context, name)
            s3_gate.authorize(context, self._with_tags(question, check, target), target)

    def _with_tags(self, question: _Question, check: Check, bucket: Bucket) -> Check:
        """The check with its object's tags, where a policy may ask for them."""
        if not asks_for_tags(self._ports.mentions, question.context, check, bucket):
            return check
        if question.quick:
            raise _TakesTime
        source, version = question.headers.get("x-amz-copy-source"), question.request.parameters.get("versionId", "")
        if source and check.action in {"s3:GetObject", "s3:GetObjectVersion"}:
            version = read_copy_source(source)[2]
        return with_tags(self._settings, check, version)

    def _go(self, question: _Question, bucket: Bucket) -> EdgeAnswer | Listing:
        """Where an allowed request goes."""
        request, context, sent = question.request, question.context, question.headers
        if is_served(request, sent):
            return self._to_us(question)
        default = by_default(bucket, request, sent)
        headers = {**sent, **default} if default else sent
        if question.quick and (request.subresource or self._ports.keys.takes_time(context, request, headers)):
            raise _TakesTime
        handler = s3_settings.at_once(request)
        if handler is not None:
            answer = handler(Wanted(self._ports, context, bucket, request, headers))
            return _final(answer, context.request_id, head=request.method == "HEAD")
        if (request.method, request.key, request.subresource) == ("DELETE", "", ""):
            return _final(s3_buckets.delete(self._settings, context, bucket), context.request_id)
        # An S3 of one's own has that order.
        if is_list(request) and not self._settings.s3_endpoint:
            return Listing(request, canonical_id(bucket.account_id))
        check_supported(request, headers, kms=not self._settings.s3_endpoint)
        check_room(self._settings, request)
        keyed = self._ports.keys.replaced(context, request, headers)
        if default:
            keyed = {**{name.title(): value for name, value in default.items()}, **keyed}
        way = self._to_store(question.asked, request, headers, question.host_bucket, keyed)
        return way if bucket.may_keep_versions else replace(way, without_versions=way.ask_if_missing)

    @property
    def _here(self) -> str:
        return f"unix/{self._settings.api_socket}"

    def _to_us(self, question: _Question) -> EdgeAnswer:
        said = ticket(question.signature, question.context, question.host_bucket, question.signed)
        return EdgeAnswer(upstream=self._here, identity=said)

    def _to_store(
        self,
        asked: EdgeRequest,
        request: S3Request,
        headers: Mapping[str, str],
        host_bucket: str | None,
        keyed: Mapping[str, str] = _UNKEYED,
    ) -> EdgeAnswer:
        # The store has keys of its own: a presigned request's are not among them.
        query = without_signature(asked.query) if asked.query else ""
        uri = path_style(request, query) if host_bucket or query != asked.query else ""
        changed = {**replacements(request, headers), **keyed}
        answer = EdgeAnswer(upstream=self._store(), uri=uri, headers=changed, ask_if_missing=_is_read(request))
        # The settings are asked first: to look them up in a cache takes longer.
        outside = external(self._settings) if self._settings.s3_endpoint else None
        if outside is None:
            return answer
        return outside.resigned(answer, request, asked, headers, self._ports.clock.now())

    def _store(self) -> str:
        """The store's address; a start of the store may change it, so it is looked up every second."""
        now = time.monotonic()
        if now >= self._store_until:
            self._store_address, self._store_until = store_address(self._settings), now + _ADDRESS_SECONDS
        return self._store_address


def _is_read(request: S3Request) -> bool:
    """GetObject or HeadObject of the present version."""
    return bool(request.key and request.method in {"GET", "HEAD"} and not request.subresource) and not (
        "uploadId" in request.parameters or "versionId" in request.parameters
    )


def _refuse_anonymous(caller: Caller) -> None:
    if caller is ANONYMOUS:
        raise ClientError("AccessDenied", "Access Denied", 403)


def _changes_buckets(asked: EdgeRequest, host_bucket: str) -> bool:
    """True for requests that the question itself answers by a change of our table."""
    if asked.method not in {"PUT", "DELETE"} or (not host_bucket and _names_object(asked.path)):
        return False
    try:
        request = understand(asked.method, asked.path, asked.query, host_bucket)
    except ClientError:
        return False  # and nothing will be done
    if request.key:
        return False
    written = (request.method, request.subresource) in s3_settings.WRITING
    return not request.subresource or written or _asks_for_versions(request)


def _asks_for_versions(request: S3Request) -> bool:
    return request.method == "PUT" and not request.key and request.subresource in {"versioning", "object-lock"}


def _names_object(path: str) -> bool:
    # As the store reads it: `/bucket/%2F` is the bucket.
    return "/" in unquote(path).strip("/")


def _wire(asked: EdgeRequest) -> WireRequest:
    headers: dict[str, str] = {}
    for name, value in asked.headers.items():
        headers[name.lower()] = f"{headers[name.lower()]},{value}" if name.lower() in headers else value
    headers["host"] = asked.host
    return WireRequest(asked.method, asked.path, asked.query, headers, source_ip=asked.source_ip)


def _final(served: Served, request_id: str, more: Mapping[str, str] | None = None, *, head: bool = False) -> EdgeAnswer:
    headers = {"x-amz-request-id": request_id, **(more or {}), **served.headers}
    body = b"" if head else served.body
    return EdgeAnswer(served.status, body=body, content_type=served.content_type, response_headers=headers, final=True)
