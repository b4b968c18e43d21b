"""A browser's upload by a form (POST policy): its signature is in the body, so the body comes through us.

The fields precede the file: they are read, the policy's signature is verified, IAM is asked for
`s3:PutObject` of who signed it, and the file then streams on to the store, a chunk at a time. Where it
turns out too long, too short or cut off, the store never gets its end and keeps nothing.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit, urlunsplit
from xml.sax.saxutils import escape

import httpx
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from emr_studio.aws.auth import ANONYMOUS
from emr_studio.aws.context import Caller, Context, RequestInfo
from emr_studio.aws.errors import AuthError, AuthFailure, AwsError, ClientError, Unavailable
from emr_studio.aws.sigv4 import ALGORITHM, same_signature, sign_text
from emr_studio.storage import s3_gate, s3_xml
from emr_studio.storage.s3_actions import Signed, needed
from emr_studio.storage.s3_encryption import by_default
from emr_studio.storage.s3_form_policy import FormPolicy, check_form
from emr_studio.storage.s3_form_reader import FormReader
from emr_studio.storage.s3_limits import check_supported
from emr_studio.storage.s3_ports import S3Ports
from emr_studio.storage.s3_recording import S3Call
from emr_studio.storage.s3_request import S3Request, normal_key, understand
from emr_studio.storage.s3_room import check_room
from emr_studio.storage.s3_xml import Served
from emr_studio.storage.store import async_store_client

_HEADERS = frozenset({"cache-control", "content-type", "content-disposition", "content-encoding", "expires"})
_NO_HEADERS = frozenset(
    {"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "x-amz-security-token"}
)
_DATE = re.compile(r"\d{8}T\d{6}Z")


@dataclass(frozen=True)
class _Upload:
    """What the store shall keep, and what the browser gets for it."""

    bucket: str
    key: str
    headers: Mapping[str, str]
    sizes: FormPolicy
    fields: Mapping[str, str]


class FormUpload:
    """Serves POSTs of forms to a bucket."""

    def __init__(self, ports: S3Ports) -> None:
        self._ports = ports

    async def respond(self, request: Request, call: S3Call, host_bucket: str) -> Served:
        """Read, verify, authorise, pass on; never raises for what the client sent."""
        try:
            reader = FormReader(request.headers.get("content-type", ""), request.stream())
            fields = await reader.fields()
            upload = await run_in_threadpool(self._decide, call, host_bucket, fields, reader.file_name)
            answer = await self._pass_on(upload, reader, call)
        except AwsError as problem:
            answer = s3_xml.error(call.refuse(problem), call.asked.path, call.request_id)
        except ClientDisconnect:
            cut = ClientError("RequestTimeout", "Your socket connection to the server was closed.", 400)
            answer = s3_xml.error(call.refuse(cut), call.asked.path, call.request_id)
        await run_in_threadpool(self._ports.recorder.record_s3, call)
        return answer

    # --- who, and may she?

    def _decide(self, call: S3Call, host_bucket: str, fields: dict[str, str], file_name: str) -> _Upload:
        asked = call.asked
        bucket = understand("POST", asked.path, asked.query, host_bucket).bucket
        if not fields.get("key"):
            raise ClientError("InvalidArgument", "Bucket POST must contain a field named 'key'.", 400)
        fields = fields | {"bucket": bucket}
        key = normal_key(fields["key"].replace("${filename}", _base_name(file_name)))
        if not key:
            raise ClientError("UserKeyMustBeSpecified", "The bucket POST must contain the specified field name.", 400)
        headers = _headers(fields)
        call.request = request = S3Request("PUT", bucket, key, "", {})
        with self._ports.database.read() as session:
            call.caller, sizes = self._caller(session, fields)
            context = self._context(session, call, call.caller)
            found = s3_gate.bucket_of(context, bucket)
            call.owner = found.account_id
            signed = Signed("POST") if call.caller is not ANONYMOUS else Signed()
            for check in needed(request, headers, self._ports.settings.partition, signed):
                s3_gate.authorize(context, check, found)
            check_supported(request, headers, kms=not self._ports.settings.s3_endpoint)
            check_room(self._ports.settings, request)
            headers |= by_default(found, request, headers)
            keyed = self._ports.keys.replaced(context, request, headers)
            headers = {**headers, **{name.lower(): value for name, value in keyed.items()}}
        return _Upload(
            bucket, key, {name: value for name, value in headers.items() if name != "x-amz-acl"}, sizes, fields
        )

    def _caller(self, session: Session, fields: Mapping[str, str]) -> tuple[Caller, FormPolicy]:
        now = self._ports.clock.now()
        if "policy" not in fields:
            if "x-amz-signature" in fields:
                raise ClientError("InvalidArgument", "Bucket POST must contain a field named 'policy'.", 400)
            return ANONYMOUS, FormPolicy()
        for name in ("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"):
            if not fields.get(name):
                raise ClientError("InvalidArgument", f"Bucket POST must contain a field named '{name}'.", 400)
        key_id, scope = self._scope(fields)
        credential = self._ports.credentials.find(session, key_id, fields.get("x-amz-security-token"), now)
        expected = sign_text(credential.secret_access_key, scope, fields["policy"])
        if not same_signature(expected, fields["x-amz-signature"]):
            raise AuthError(AuthFailure.SIGNATURE)
        return credential.caller, check_form(fields, now)

    def _scope(self, fields: Mapping[str, str]) -> tuple[str, str]:
        parts = fields["x-amz-credential"].split("/")
        date, region = fields["x-amz-date"], self._ports.settings.region
        right = len(parts) == 5 and parts[2:] == [region, "s3", "aws4_request"] and parts[1] == date[:8]
        if fields["x-amz-algorithm"] != ALGORITHM or not _DATE.fullmatch(date) or not right:
            message = f'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/{region}/s3/aws4_request".'
            raise ClientError("InvalidArgument", message, 400)
        return parts[0], "/".join(parts[1:])

    def _context(self, session: Session, call: S3Call, caller: Caller) -> Context:
        settings, asked = self._ports.settings, call.asked
        agent = asked.headers.get("user-agent", "")
        info = RequestInfo(asked.source_ip, agent, settings.scheme == "https", asked.host)
        return Context(
            caller, settings.region, session, self._ports.clock, call.request_id, info, self._ports.authorizer
        )

    # --- the file

    async def _pass_on(self, upload: _Upload, reader: FormReader, call: S3Call) -> Served:
        path = quote(f"/{upload.bucket}/{upload.key}", safe="/~")
        try:
            async with async_store_client(self._ports.settings, timeout=60) as client:
                file = _within(reader.file(), upload.sizes)
                answer = await client.put(path, content=file, headers=_as_bytes(upload.headers))
        except (OSError, httpx.HTTPError) as error:
            raise Unavailable("The store does not answer. Try again.") from error
        if answer.status_code != httpx.codes.OK:
            code = re.search(r"<Code>(\w+)</Code>", answer.text)
            raise ClientError(code[1] if code else "InternalError", "The store refused the object.", answer.status_code)
        return self._told(upload, answer)

    def _told(self, upload: _Upload, answer: httpx.Response) -> Served:
        location = f"{self._ports.settings.endpoint_url}{quote(f'/{upload.bucket}/{upload.key}', safe='/~')}"
        etag = answer.headers.get("etag", "")
        headers = {"ETag": etag, "Location": location}
        if version := answer.headers.get("x-amz-version-id"):
            headers["x-amz-version-id"] = version
        if target := _redirect(upload, etag):
            return Served(303, headers=headers | {"Location": target})
        status = {"200": 200, "201": 201}.get(upload.fields.get("success_action_status", ""), 204)
        if status != 201:
            return Served(status, headers=headers)
        inner = (
            f"<Location>{escape(location)}</Location><Bucket>{escape(upload.bucket)}</Bucket>"
            f"<Key>{escape(upload.key)}</Key><ETag>{escape(etag)}</ETag>"
        )
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{inner}</PostResponse>'
        return Served(201, body.encode(), headers)


def _as_bytes(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    # What is not ASCII goes as UTF-8, as S3's clients send it.
    return [(name.encode(), value.encode()) for name, value in headers.items()]


async def _within(chunks: AsyncIterator[bytes], sizes: FormPolicy) -> AsyncIterator[bytes]:
    """The chunks; fails before the end where they are too many or too few bytes."""
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > sizes.largest:
            raise ClientError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", 400)
        yield chunk
    if size < sizes.smallest:
        raise ClientError("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", 400)


def _base_name(file_name: str) -> str:
    """Some browsers send the path on the user's machine: S3 takes what follows the last separator."""
    return file_name.replace("\\", "/").rpartition("/")[2]


def _headers(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields that are headers of the object."""
    headers = {
        name: value
        for name, value in fields.items()
        if name in _HEADERS or (name.startswith("x-amz-") and name not in _NO_HEADERS)
    }
    if "acl" in fields:
        headers["x-amz-acl"] = fields["acl"]
    if "tagging" in fields:
        headers["x-amz-tagging"] = _tagging(fields["tagging"])
    if any("\r" in value or "\n" in value for value in headers.values()):
        raise ClientError("InvalidArgument", "A field of the form holds a line break.", 400)
    return headers


def _tagging(text: str) -> str:
    root = s3_xml.parse(text.encode(), "Tagging")
    pairs = [
        (s3_xml.text_of(tag, "Key") or "", s3_xml.text_of(tag, "Value") or "")
        for tags in root
        if s3_xml.name_of(tags) == "TagSet"
        for tag in tags
    ]
    return urlencode(pairs, quote_via=quote)


def _redirect(upload: _Upload, etag: str) -> str | None:
    target = upload.fields.get("success_action_redirect") or upload.fields.get("redirect")
    if not target:
        return None
    parts = urlsplit(target)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        return None  # "If … cannot be interpreted as a URL, S3 acts as if the field is not present."
    added = urlencode({"bucket": upload.bucket, "key": upload.key, "etag": etag})
    query = f"{parts.query}&{added}" if parts.query else added
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, parts.fragment))
