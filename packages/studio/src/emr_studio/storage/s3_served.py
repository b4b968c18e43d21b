"""Requests to S3 that come to us whole, because their bodies tell what they want.

The edge's question is answered with the control plane's own address and a ticket that says who asked;
what the head tells was allowed there. The ticket is believed for the reason that every question of the
edge is: only the edge reaches our socket, and it strips that header from what clients send.

    DeleteObjects                      each key is put to IAM: `s3_deletion`
    PUT of policy, acl and the like    `s3_settings.WITH_BODY`
    PutObjectTagging, sometimes        `s3_tagging`
    CreateBucket with a configuration  `s3_buckets`
    POST of a form                     streamed: `s3_form`
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from emr_studio.aws.auth import ANONYMOUS
from emr_studio.aws.context import Caller, Context, RequestInfo
from emr_studio.aws.errors import AuthError, AwsError, ClientError
from emr_studio.aws.sigv4 import Signature
from emr_studio.bodies import short_body
from emr_studio.edge.decisions import IDENTITY, EdgeRequest
from emr_studio.storage import buckets, s3_buckets, s3_deletion, s3_settings, s3_xml
from emr_studio.storage.s3_actions import Signed
from emr_studio.storage.s3_cors import Cors
from emr_studio.storage.s3_form import FormUpload
from emr_studio.storage.s3_gate import bucket_of
from emr_studio.storage.s3_ports import S3Ports
from emr_studio.storage.s3_recording import S3Call
from emr_studio.storage.s3_request import S3Request, understand
from emr_studio.storage.s3_settings import Wanted
from emr_studio.storage.s3_tagging import put_object_tagging
from emr_studio.storage.s3_xml import Served

_TICKET = "s3."
_MOST_BYTES = 4 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHECKSUMS: dict[str, Callable[[bytes], bytes]] = {
    "content-md5": lambda body: hashlib.md5(body, usedforsecurity=False).digest(),
    "x-amz-checksum-crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "x-amz-checksum-sha1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "x-amz-checksum-sha256": lambda body: hashlib.sha256(body).digest(),
}


def is_served(request: S3Request, headers: Mapping[str, str]) -> bool:
    """True for requests whose body must come to us."""
    if (request.method, request.subresource) == ("POST", "delete") and not request.key:
        return True
    if request.method == "PUT" and not request.key and not request.subresource:
        return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    return s3_settings.with_body(request) is not None


def ticket(signature: Signature | None, context: Context, host_bucket: str, signed: Signed) -> str:
    """What the edge hands on to us: the (verified) key, and the request's circumstances."""
    content = {
        "key": signature.access_key_id if signature else "",
        "token": signature.session_token if signature else None,
        "request": context.request_id,
        "ip": context.request.source_ip,
        "bucket": host_bucket,
        "signed": [signed.kind, signed.timestamp, signed.tls_version],
    }
    return _ticket_with(content)


def form_ticket(request_id: str, source_ip: str, host_bucket: str | None) -> str:
    """The same for a form: who asks stands in the body."""
    return _ticket_with({"request": request_id, "ip": source_ip, "bucket": host_bucket or "", "form": True})


def _ticket_with(content: Mapping[str, object]) -> str:
    return _TICKET + base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


class S3Served:
    """Serves them inside the control plane."""

    def __init__(self, ports: S3Ports, cors: Cors) -> None:
        self._ports = ports
        self._cors = cors
        self._form = FormUpload(ports)

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """Wrap the control plane: requests with a ticket are ours, all others go to `app`."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            said = _ticket_of(scope)
            if said is None:
                await app(scope, receive, send)
                return
            request = Request(scope, receive)
            call = S3Call(_asked(request, said), said["request"], self._ports.clock.now())
            if said.get("form"):
                answer = await self._form.respond(request, call, said["bucket"])
            else:
                body = await short_body(request, _MOST_BYTES)
                answer = await run_in_threadpool(self._respond, call, body, said)
            if "origin" in request.headers:
                answer = await run_in_threadpool(self._readable, answer, call, said["bucket"])
            await _response(answer, call.request_id)(scope, receive, send)

        return serve

    def _readable(self, answer: Served, call: S3Call, host_bucket: str) -> Served:
        """The answer with what a page of another origin needs to read it."""
        bucket = host_bucket or unquote(call.asked.path).lstrip("/").partition("/")[0]
        return self._cors.put_on(answer, bucket, call.asked.method, call.asked.headers)

    def _respond(self, call: S3Call, body: bytes | None, said: Mapping[str, Any]) -> Served:
        try:
            if body is None:
                raise ClientError("MaxMessageLengthExceeded", "Your request was too big.", 400)
            answer = self._serve(call, body, said)
        except AwsError as problem:
            answer = s3_xml.error(call.refuse(problem), call.asked.path, call.request_id)
        self._ports.recorder.record_s3(call)
        return answer

    def _serve(self, call: S3Call, body: bytes, said: Mapping[str, Any]) -> Served:
        asked, headers = call.asked, call.asked.headers
        call.request = request = understand(asked.method, asked.path, asked.query, said["bucket"])
        deletes = request.subresource == "delete"
        reads = deletes or request.subresource == "tagging"
        database = self._ports.database
        with database.read() if reads else database.write() as session:
            context = self._context(session, call, said)
            call.caller, call.owner = context.caller, buckets.owner_of(session, request.bucket)
            _check_hashes(headers, body)
            if deletes:
                return s3_deletion.delete_objects(self._ports, context, call, body)
            if request.key and request.subresource == "tagging":
                kind, timestamp, tls_version = said["signed"]
                signed = Signed(kind, timestamp, context.now(), tls_version)
                return put_object_tagging(self._ports, context, request, signed, body)
            handler = s3_settings.with_body(request)
            if handler is None:
                return s3_buckets.create(self._ports.settings, context, request.bucket, headers, body)
            return handler(Wanted(self._ports, context, bucket_of(context, request.bucket), request, headers, body))

    def _context(self, session: Session, call: S3Call, said: Mapping[str, Any]) -> Context:
        settings, asked = self._ports.settings, call.asked
        info = RequestInfo(asked.source_ip, asked.headers.get("user-agent", ""), settings.scheme == "https", asked.host)
        caller = self._caller(session, said)
        return Context(
            caller, settings.region, session, self._ports.clock, call.request_id, info, self._ports.authorizer
        )

    def _caller(self, session: Session, said: Mapping[str, Any]) -> Caller:
        if not said["key"]:
            return ANONYMOUS
        try:
            return self._ports.credentials.find(session, said["key"], said["token"], self._ports.clock.now()).caller
        except AuthError:
            # It was good a moment ago, at the question.
            raise ClientError("AccessDenied", "Access Denied", 403) from None


def _asked(request: Request, said: Mapping[str, Any]) -> EdgeRequest:
    """The request as the edge's question had it."""
    path, query = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
    uri = f"{path}?{query}" if query else path
    return EdgeRequest(request.method, uri, request.headers.get("host", ""), request.headers, said["ip"])


def _ticket_of(scope: Scope) -> dict[str, Any] | None:
    if scope["type"] != "http":
        return None
    name = IDENTITY.lower().encode()
    values = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
    if len(values) != 1 or not values[0].startswith(_TICKET):
        return None
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(values[0].removeprefix(_TICKET)))
    return said


def _check_hashes(headers: Mapping[str, str], body: bytes) -> None:
    """Compare the body with what its headers say of it, as far as they use what everybody has.

    Raises:
        ClientError: XAmzContentSHA256Mismatch, BadDigest, InvalidDigest, NotImplemented.
    """
    declared = headers.get("x-amz-content-sha256", "")
    if declared.startswith("STREAMING-"):
        raise ClientError("NotImplemented", "This request with a chunked body is not implemented.", 501)
    if _SHA256.fullmatch(declared) and declared != hashlib.sha256(body).hexdigest():
        message = "The provided 'x-amz-content-sha256' header does not match what was computed."
        raise ClientError("XAmzContentSHA256Mismatch", message, 400)
    for name, digest in _CHECKSUMS.items():
        if (value := headers.get(name)) is not None and value != base64.b64encode(digest(body)).decode():
            kind = name.rpartition("-")[2].upper()
            raise ClientError("BadDigest", f"The {kind} you specified did not match the calculated checksum.", 400)


def _response(answer: Served, request_id: str) -> Response:
    headers = {"x-amz-request-id": request_id, "Cache-Control": "no-store", **answer.headers}
    if not answer.body:
        return Response(status_code=answer.status, headers=headers)
    return Response(answer.body, answer.status, headers, media_type=answer.content_type)
