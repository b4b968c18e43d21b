"""The life of a request, in one ordered list: see `AwsApplication.answer`.

An ASGI application. The body is read on the event loop; everything else is plain, synchronous code in
one worker thread per request, but for reads of an embedded database (see `_reads_locally`).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import threading
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.model import OperationModel
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from emr_studio.aws import sigv4
from emr_studio.aws.auth import (
    ANONYMOUS,
    CredentialStore,
    SessionAuthenticator,
    authenticate_signature,
    has_session_cookie,
)
from emr_studio.aws.context import Authorizer, Caller, Context, Preparation, RequestInfo
from emr_studio.aws.errors import AccessDenied, AuthError, AuthFailure, AwsError, ClientError, ServerError, Unavailable
from emr_studio.aws.protocols.base import Output, ServiceProtocol
from emr_studio.aws.registry import Operation, Registry, no_check
from emr_studio.aws.routing import Router
from emr_studio.aws.wire import WireRequest, WireResponse
from emr_studio.clock import Clock
from emr_studio.db import Database

MAX_BODY = 5 * 2**20
"""Largest request body in bytes; AWS's own limits per operation are far below."""
MESSAGE_HEADER = "x-emr-studio-authorization-message"
"""Of a denial: the encoded message for `sts:DecodeAuthorizationMessage`."""
ALWAYS_SERVED = ("emr", "iam", "sts")
_TRIES = 3
_GLOBAL_REGION = "us-east-1"
"""For which clients sign what has one endpoint for all regions (botocore's `globalEndpoint`)."""
_log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass
class Call:
    """What is known of one call, filled step by step; what a `Recorder` gets at the end."""

    request: WireRequest
    request_id: str
    time: dt.datetime
    region: str
    protocol: ServiceProtocol | None = None
    model: OperationModel | None = None
    operation: Operation | None = None
    signature: sigv4.Signature | None = None
    caller: Caller | None = None
    input: Mapping[str, Any] | None = None
    prepared: Any = None
    output: Output = None
    error: AwsError | None = None


class Recorder(Protocol):
    """Keeps the audit trail. Called once per call, after the answer is known, in the worker thread."""

    def record(self, call: Call) -> None: ...


class NoRecorder:
    """Keeps nothing."""

    def record(self, call: Call) -> None:
        return None


class AwsApplication:
    """The AWS API as an ASGI application, to be mounted at `/`.

    Args:
        credentials, sessions, authorizer: the identity ports (`aws/auth.py`, `aws/context.py`).
        ports: what operations may ask for by `context.port(...)`.
        region: the region that is served; global services (IAM) may also be signed for us-east-1.
        workers: threads, so calls at a time.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        registry: Registry,
        *,
        credentials: CredentialStore,
        sessions: SessionAuthenticator,
        authorizer: Authorizer,
        ports: Mapping[type[Any], Any],
        recorder: Recorder | None = None,
        region: str = "us-east-1",
        workers: int = 16,
    ) -> None:
        self._database = database
        self._clock = clock
        self._registry = registry
        self._credentials = credentials
        self._sessions = sessions
        self._authorizer = authorizer
        self._ports = ports
        self._recorder = recorder or NoRecorder()
        self._region = region
        self._router = Router({*ALWAYS_SERVED, *(operation.service for operation in registry.all())})
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="aws")
        # SQLite has one writer: waiting here is fair and at once, waiting inside it is polling.
        sqlite = database.engine.dialect.name == "sqlite"
        self._writer: AbstractContextManager[Any] = threading.Lock() if sqlite else nullcontext()
        # It answers a read in less time than handing it to a thread and back takes, and never waits for
        # a writer (WAL): such calls run where they arrived. Another database is across a network.
        self._reads_locally = sqlite

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        body = await _read_body(receive)
        if body is None:
            return
        request = _wire_request(scope, body)
        if self._reads_locally and self._is_reading(request):
            response = self.answer(request)
        else:
            response = await asyncio.get_running_loop().run_in_executor(self._threads, self.answer, request)
        headers = [(b"content-length", str(len(response.body)).encode())]
        if response.body or response.status != 200:
            headers.append((b"content-type", response.content_type.encode()))
        headers += [
            (name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in response.headers
        ]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    def _is_reading(self, request: WireRequest) -> bool:
        """True for a signed call of an operation that only reads: a page at most, by an index."""
        try:
            protocol = self._router.find(request)
            model = protocol.operation(request) if protocol else None
        except AwsError:
            return False
        operation = self._registry.find(protocol.service, model.name) if protocol and model else None
        if operation is None or not operation.read_only or operation.prepare is not None:
            return False
        return not has_session_cookie(request.headers)

    def answer(self, request: WireRequest, caller: Caller | None = None) -> WireResponse:
        """Take a request through all its steps; `caller` is who makes it, if that was established elsewhere."""
        call = Call(request, str(uuid.uuid4()), self._clock.now(), self._region, caller=caller)
        try:
            self._find_operation(call)
            with self._database.read() as session:
                self._authenticate(call, session)
                self._parse_and_validate(call)
                if _operation(call).read_only and _operation(call).prepare is None:
                    self._authorize_and_run(call, session)
            if _operation(call).prepare is not None:
                self._prepare(call)
            if not _operation(call).read_only:
                self._write(call)
            response = self._serialise(call)
        except AwsError as error:
            response = self._refuse(call, error)
        except (OperationalError, PoolTimeout):
            _log.warning("%s: the database is busy or away", call.request_id, exc_info=True)
            response = self._refuse(call, Unavailable())
        except Exception:  # the last line of defence: a caller never sees a trace
            _log.exception("%s: %s failed", call.request_id, call.model.name if call.model else "a request")
            response = self._refuse(call, ServerError())
        self._record(call)
        return response

    def _find_operation(self, call: Call) -> None:
        request = call.request
        if len(request.body) > MAX_BODY:
            raise ClientError("RequestEntityTooLarge", f"The request is larger than {MAX_BODY} bytes.", 413)
        call.protocol = self._router.find(request)
        if call.protocol is None:
            call.protocol = self._router.fallback(request)
            raise call.protocol.unknown_operation(
                call.protocol.operation_name(request) or f"{request.method} {request.path}"
            )
        call.model = call.protocol.operation(request)
        call.operation = self._registry.find(call.protocol.service, call.model.name)
        if call.operation is None:
            raise call.protocol.unknown_operation(call.model.name)

    def _authenticate(self, call: Call, session: Session) -> None:
        if call.caller is not None:
            return
        request = call.request
        signature = sigv4.find_signature(request)
        if signature is not None:
            call.signature, call.region = signature, signature.region
            self._check_scope(call, signature)
            call.caller = authenticate_signature(session, self._credentials, request, signature, call.time)
        elif has_session_cookie(request.headers):
            call.caller = self._sessions.authenticate(session, request.headers)
        elif call.model is not None and call.model.auth_type == "none":
            call.caller = ANONYMOUS
        if call.caller is None:
            raise AuthError(AuthFailure.MISSING)

    def _check_scope(self, call: Call, signature: sigv4.Signature) -> None:
        assert call.protocol is not None
        # A signature for one service is never good for another, however the request was routed.
        right = call.protocol.model.signing_name
        if signature.service != right:
            raise AuthError(AuthFailure.SCOPE, f"Credential should be scoped to correct service: '{right}'.")
        # What is here is of one region: a policy's `aws:RequestedRegion` must not depend on what the caller says.
        regions = {self._region} | ({_GLOBAL_REGION} if call.protocol.model.metadata.get("globalEndpoint") else set())
        if signature.region not in regions:
            raise AuthError(AuthFailure.SCOPE, "Credential should be scoped to a valid region.")

    def _parse_and_validate(self, call: Call) -> None:
        assert call.protocol is not None
        assert call.model is not None
        call.input = call.protocol.read(call.model, call.request)

    def _prepare(self, call: Call) -> None:
        operation = _operation(call)
        assert call.caller is not None
        assert operation.prepare is not None
        preparation = Preparation(call.caller, self._database, self._clock, self._ports)
        call.prepared = operation.prepare(preparation, call.input or {})
        if operation.read_only:
            with self._database.read() as session:
                self._authorize_and_run(call, session)

    def _write(self, call: Call) -> None:
        """Run a writing operation in its own transaction, again if another process came first."""
        for attempt in range(1, _TRIES + 1):
            try:
                with self._writer, self._database.write() as session:
                    context = self._authorize_and_run(call, session)
                break
            except IntegrityError:
                # Somebody wrote the same between our reading and our writing: now the operation will see it.
                if attempt == _TRIES:
                    raise
        try:
            context.run_after_commit()
        except (
            Exception
        ):  # it is written: what was to follow (a wake, say) is made up for by the controllers' own clock
            _log.exception("%s: not all was done after the commit", call.request_id)

    def _authorize_and_run(self, call: Call, session: Session) -> Context:
        context = self._context(call, session)
        self._authorize(call, context)
        call.output = _operation(call).function(context, call.input or {})
        return context

    def _context(self, call: Call, session: Session) -> Context:
        assert call.caller is not None
        headers = call.request.headers
        return Context(
            caller=call.caller,
            region=call.region,
            session=session,
            clock=self._clock,
            request_id=call.request_id,
            request=RequestInfo(
                source_ip=call.request.source_ip,
                user_agent=headers.get("user-agent", ""),
                secure=call.request.secure,
                host=headers.get("host", ""),
            ),
            authorizer=self._authorizer,
            ports=self._ports,
            prepared=call.prepared,
        )

    def _authorize(self, call: Call, context: Context) -> None:
        operation = _operation(call)
        if operation.checks is no_check:
            return
        asked = False
        # One by one: who may not is told so before anything else is found wrong with the request.
        for check in operation.checks(context, call.input or {}):
            self._authorizer.authorize(context, check)
            asked = True
        if not asked:
            raise AccessDenied(f"User: {context.caller.arn} is not authorized: {operation.name} declares no permission")

    def _serialise(self, call: Call) -> WireResponse:
        assert call.protocol is not None
        assert call.model is not None
        return call.protocol.result(call.model, call.output, call.request_id)

    def _refuse(self, call: Call, error: AwsError) -> WireResponse:
        call.error = error
        protocol = call.protocol or self._router.fallback(call.request)
        response = protocol.error(error, call.request_id)
        if isinstance(error, AccessDenied) and error.details:
            response.headers.append((MESSAGE_HEADER, error.details))
        return response

    def _record(self, call: Call) -> None:
        try:
            self._recorder.record(call)
        except Exception:  # the answer stands, whatever becomes of its record
            _log.exception("%s: not recorded", call.request_id)


def is_aws_request(scope: Scope) -> bool:
    """True if an HTTP request is for the AWS API rather than for a page of the console."""
    if scope["method"] == "POST" and scope["path"] == "/":
        return True
    if b"X-Amz-Algorithm=" in scope.get("query_string", b""):
        return True
    return any(
        name == b"x-amz-target" or (name == b"authorization" and value.startswith(b"AWS4-"))
        for name, value in scope["headers"]
    )


def _operation(call: Call) -> Operation:
    assert call.operation is not None
    return call.operation


async def _read_body(receive: Receive) -> bytes | None:
    """Return the body, cut off soon after the limit; None if the client went away."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk = message.get("body", b"")
        if size <= MAX_BODY:  # beyond it, read on to keep the connection usable, but keep nothing
            chunks.append(chunk)
            size += len(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _wire_request(scope: Scope, body: bytes) -> WireRequest:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    client = scope.get("client")
    source_ip, secure = (client[0], scope.get("scheme") == "https") if client else _told_by_edge(headers)
    return WireRequest(
        method=scope["method"],
        path=raw_path.partition(b"?")[0].decode("latin-1"),
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=headers,
        body=body,
        source_ip=source_ip,
        secure=secure,
    )


def _told_by_edge(headers: Mapping[str, str]) -> tuple[str, bool]:
    # No client address: the unix socket, on which only the edge can call. Its own entry is the last.
    address = headers.get("x-forwarded-for", "").rpartition(",")[2].strip() or "127.0.0.1"
    return address, headers.get("x-forwarded-proto", "") == "https"
