"""DeleteObjects: the one request to S3 whose body names what it wants, so it comes to us whole.

The edge's question is answered with the control plane's own address and a ticket that says who
asked; then each key is put to IAM, and those that are allowed are deleted in the store. The ticket
is believed for the reason that every question of the edge is: only the edge reaches our socket, and
it strips that header from what clients send.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import httpx
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from emr_studio.aws.auth import CredentialStore
from emr_studio.aws.context import Authorizer, Check, Context, RequestInfo
from emr_studio.aws.errors import AwsError, ClientError, Unavailable
from emr_studio.aws.sigv4 import Signature
from emr_studio.clock import Clock
from emr_studio.db import Database
from emr_studio.edge.decisions import IDENTITY, EdgeRequest
from emr_studio.settings import Settings
from emr_studio.storage import buckets
from emr_studio.storage.s3_recording import S3Call, S3Recorder
from emr_studio.storage.s3_request import normal_key, understand
from emr_studio.storage.store import store_client

_TICKET = "s3-delete."
_MOST_KEYS = 1000
_MOST_BYTES = 4 << 20
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class _Wanted:
    """One object to delete."""

    key: str
    version: str

    def xml(self) -> str:
        version = f"<VersionId>{escape(self.version)}</VersionId>" if self.version else ""
        return f"<Key>{escape(self.key)}</Key>{version}"


class S3Deletion:
    """Serves DeleteObjects inside the control plane."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        credentials: CredentialStore,
        authorizer: Authorizer,
        *,
        recorder: S3Recorder,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._credentials = credentials
        self._authorizer = authorizer
        self._recorder = recorder

    def ticket(self, signature: Signature, context: Context) -> str:
        """What the edge hands on to us: the (verified) key, and the request's circumstances."""
        content = {
            "key": signature.access_key_id,
            "token": signature.session_token,
            "request": context.request_id,
            "ip": context.request.source_ip,
        }
        return _TICKET + base64.urlsafe_b64encode(json.dumps(content).encode()).decode()

    def serving(self, app: ASGIApp) -> ASGIApp:
        """Wrap the control plane: requests with a ticket are ours, all others go to `app`."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            ticket = _ticket_of(scope)
            if ticket is None:
                await app(scope, receive, send)
                return
            request = Request(scope, receive)
            body = await _read(request)
            await (await run_in_threadpool(self._respond, request, body, ticket))(scope, receive, send)

        return serve

    def _respond(self, request: Request, body: bytes | None, ticket: str) -> Response:
        said = json.loads(base64.urlsafe_b64decode(ticket.removeprefix(_TICKET)))
        headers = {"x-amz-request-id": said["request"], "Cache-Control": "no-store"}
        call = S3Call(_asked(request, said), said["request"], self._clock.now())
        try:
            if body is None:
                raise ClientError("MalformedXML", "The request body is too large.", 400)
            answer, status = self._delete(call, request, body, said), 200
        except AwsError as error:
            told = call.refuse(error)
            answer = f"<Error><Code>{escape(told.code)}</Code><Message>{escape(told.message)}</Message></Error>"
            status = told.status
        self._recorder.record_s3(call)
        text = f'<?xml version="1.0" encoding="UTF-8"?>\n{answer}'
        return Response(text, status, headers, media_type="application/xml")

    def _delete(self, call: S3Call, request: Request, body: bytes, said: Mapping[str, str]) -> str:
        call.request = asked = understand("POST", call.asked.path, call.asked.query)
        with self._database.read() as session:
            context = self._context(session, request, said)
            call.caller, call.owner = context.caller, buckets.owner_of(session, asked.bucket)
            _check_hash(request.headers.get("x-amz-content-sha256", ""), body)
            wanted, quiet = _parse(body)
            call.keys = [item.key for item in wanted]
            allowed, refused = [], []
            for item in wanted:
                try:
                    allowed.append(_Wanted(self._check(context, asked.bucket, item), item.version))
                except AwsError as error:
                    told = call.refuse(error)
                    code, message = told.code, escape(told.message)
                    refused.append(f"<Error>{item.xml()}<Code>{code}</Code><Message>{message}</Message></Error>")
        done = self._ask_store(asked.bucket, allowed, quiet) if allowed else ""
        return f'<DeleteResult xmlns="{_NAMESPACE}">{done}{"".join(refused)}</DeleteResult>'

    def _context(self, session: Session, request: Request, said: Mapping[str, str]) -> Context:
        now = self._clock.now()
        caller = self._credentials.find(session, said["key"], said["token"], now).caller
        agent, host = request.headers.get("user-agent", ""), request.headers.get("host", "")
        info = RequestInfo(said["ip"], agent, self._settings.scheme == "https", host)
        region = self._settings.region
        return Context(caller, region, session, self._clock, said["request"], info, self._authorizer)

    def _check(self, context: Context, bucket: str, item: _Wanted) -> str:
        """Return the key as the store reads it.

        Raises:
            AwsError: the caller may not delete it.
        """
        key = normal_key(item.key)
        found = buckets.find_bucket(context.session, bucket)
        if found is None:
            raise ClientError("NoSuchBucket", "The specified bucket does not exist", 404)
        action = "s3:DeleteObjectVersion" if item.version else "s3:DeleteObject"
        resource = f"arn:{self._settings.partition}:s3:::{bucket}/{key}"
        context.authorize(Check(action, resource, {"aws:ResourceAccount": found.account_id}))
        return key

    def _ask_store(self, bucket: str, allowed: list[_Wanted], quiet: bool) -> str:
        items = "".join(f"<Object>{item.xml()}</Object>" for item in allowed)
        body = f"<Delete><Quiet>{str(quiet).lower()}</Quiet>{items}</Delete>".encode()
        try:
            with store_client(self._settings, timeout=60) as client:
                answer = client.post(f"/{bucket}?delete", content=body)
            answer.raise_for_status()
            root = ElementTree.fromstring(answer.content)
        except (httpx.HTTPError, OSError, ElementTree.ParseError) as error:
            raise Unavailable("The store does not answer. Try again.") from error
        return "".join(_plain(child) for child in root)


def _plain(element: ElementTree.Element) -> str:
    """The element again, without its namespace."""
    name = element.tag.rpartition("}")[2]
    inner = "".join(_plain(child) for child in element) or escape(element.text or "")
    return f"<{name}>{inner}</{name}>"


def _asked(request: Request, said: Mapping[str, str]) -> EdgeRequest:
    """The request as the edge's question had it, for the trail."""
    path, query = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
    uri = f"{path}?{query}" if query else path
    return EdgeRequest("POST", uri, request.headers.get("host", ""), request.headers, said["ip"])


def _ticket_of(scope: Scope) -> str | None:
    if scope["type"] != "http":
        return None
    name = IDENTITY.lower().encode()
    values = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
    return values[0] if len(values) == 1 and values[0].startswith(_TICKET) else None


async def _read(request: Request) -> bytes | None:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            return None
    return body


def _check_hash(declared: str, body: bytes) -> None:
    if declared.startswith("STREAMING-"):
        raise ClientError("NotImplemented", "DeleteObjects with a chunked body is not implemented.", 501)
    if _SHA256.fullmatch(declared) and declared != hashlib.sha256(body).hexdigest():
        message = "The provided 'x-amz-content-sha256' header does not match what was computed."
        raise ClientError("XAmzContentSHA256Mismatch", message, 400)


def _parse(body: bytes) -> tuple[list[_Wanted], bool]:
    malformed = ClientError("MalformedXML", "The XML you provided was not well-formed.", 400)
    if b"<!" in body:
        raise malformed  # neither declarations nor entities have a place in it
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        raise malformed from None
    wanted, quiet = [], False
    for element in root:
        name = element.tag.rpartition("}")[2]
        fields = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
        if name == "Quiet":
            quiet = (element.text or "").strip().lower() == "true"
        elif name == "Object" and fields.get("Key"):
            wanted.append(_Wanted(fields["Key"], fields.get("VersionId", "")))
        else:
            raise malformed
    if not 0 < len(wanted) <= _MOST_KEYS:
        raise malformed
    return wanted, quiet
