"""A small AWS front door for tests of the wire: two callers, a policy that knows one action, a few operations.

The stores here are dictionaries; everything between the socket and them is the product's own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from sqlalchemy.orm import Session

from emr_studio.aws.auth import Credential, InvalidToken, UnknownKey
from emr_studio.aws.context import Caller, Check, Context
from emr_studio.aws.errors import AccessDenied, ClientError, InvalidRequest
from emr_studio.aws.pipeline import AwsApplication, Call
from emr_studio.aws.registry import Operation, Registry, Request, Response, action, no_check
from emr_studio.aws.wire import WireRequest, WireResponse
from emr_studio.clock import Clock, SystemClock
from emr_studio.db import Database

ACCOUNT = "123456789012"
KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TEMPORARY_KEY, TEMPORARY_SECRET, TOKEN = (
    "ASIAIOSFODNN7EXAMPLE",
    "temporary+secret/0123456789abcdefghijkl",
    "the/token==",
)
EXPIRED_TOKEN = "an/old/token=="
ARN = f"arn:aws:iam::{ACCOUNT}:user/ann"
CALLER = Caller(ACCOUNT, "user", ARN, ARN, "AIDAEXAMPLE", user_name="ann", access_key_id=KEY)
FORBIDDEN = "elasticmapreduce:DeleteStudio"


class Keys:
    """A `CredentialStore` of one long-term and one temporary key."""

    def find(self, session: Session, access_key_id: str, session_token: str | None, now: dt.datetime) -> Credential:
        if access_key_id == KEY:
            if session_token is not None:
                raise InvalidToken()
            return Credential(KEY, SECRET, CALLER)
        if access_key_id != TEMPORARY_KEY:
            raise UnknownKey()
        if session_token not in (TOKEN, EXPIRED_TOKEN):
            raise InvalidToken()
        expires = now + dt.timedelta(minutes=15 if session_token == TOKEN else -1)
        return Credential(TEMPORARY_KEY, TEMPORARY_SECRET, CALLER, expires)


class Cookies:
    """A `SessionAuthenticator` that knows one cookie and its CSRF token."""

    def authenticate(self, session: Session, headers: Mapping[str, str]) -> Caller | None:
        good = "__Host-emr-studio=good" in headers.get("cookie", "") and headers.get("x-csrf-token") == "csrf"
        return CALLER if good else None


class OneForbidden:
    """An `Authorizer` that denies one action."""

    def authorize(self, context: Context, check: Check) -> None:
        if check.action == FORBIDDEN:
            raise AccessDenied(
                f"User: {context.caller.arn} is not authorized to perform: {check.action} on resource: "
                f"{check.resource} because no identity-based policy allows the {check.action} action"
            )


class Kept:
    """A `Recorder` that keeps all calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def record(self, call: Call) -> None:
        self.calls.append(call)


def _identity(context: Context, _request: Request) -> Response:
    return {"UserId": context.caller.user_id, "Account": context.account_id, "Arn": context.caller.arn}


def _echo_name(_context: Context, request: Request) -> Response:
    return {"EditorId": request["Name"], "EditorArn": None}


def _missing_user(_context: Context, request: Request) -> Response:
    raise ClientError("NoSuchEntity", f"The user with name <{request['UserName']}> cannot be found.")


def _missing_studio(_context: Context, _request: Request) -> Response:
    raise InvalidRequest("Studio does not exist.")


def _crash(_context: Context, _request: Request) -> Response:
    raise KeyError("an unexpected fault with secrets in it")


def _nothing(_context: Context, _request: Request) -> Response:
    return None


def make_registry() -> Registry:
    """A registry with an operation for every way that a call can go."""
    registry = Registry()
    for service, name, function, checks in (
        ("sts", "GetCallerIdentity", _identity, no_check),
        ("sts", "AssumeRoleWithWebIdentity", _nothing, no_check),
        ("sts", "GetSessionToken", _crash, no_check),
        ("iam", "GetUser", _missing_user, action("iam:GetUser")),
        ("iam", "CreateUser", _crash, action("iam:CreateUser")),
        ("iam", "DeleteUser", _nothing, action(FORBIDDEN)),
        ("emr", "CreateEditor", _echo_name, action("elasticmapreduce:CreateEditor")),
        ("emr", "DescribeStudio", _missing_studio, action("elasticmapreduce:DescribeStudio")),
        ("emr", "DeleteStudio", _nothing, action(FORBIDDEN)),
        ("emr", "UpdateStudio", _nothing, action("elasticmapreduce:UpdateStudio")),
        ("emr", "ListStudios", lambda c, q: {"Studios": []}, action("elasticmapreduce:ListStudios")),
        ("emr", "CreateStudio", _crash, action("elasticmapreduce:CreateStudio")),
        ("emr", "RunJobFlow", lambda c, q: {"JobFlowId": "j-1"}, action("elasticmapreduce:RunJobFlow")),
        ("emr", "ListSteps", _nothing, lambda c, q: ()),
        ("emr-containers", "ListTagsForResource", lambda c, q: {"tags": {"arn": q["resourceArn"]}}, action("x:y")),
        ("emr-containers", "CreateVirtualCluster", _nothing, action("x:y")),
        ("emr-containers", "DeleteVirtualCluster", _nothing, action(FORBIDDEN)),
    ):
        registry.add(Operation(service, name, function, checks, name.startswith(("Get", "List", "Describe"))))
    return registry


def make_application(
    folder: Path, clock: Clock | None = None, ports: Mapping[type[Any], Any] | None = None, recorder: Kept | None = None
) -> AwsApplication:
    """Return the front door over a fresh database in `folder`."""
    return AwsApplication(
        Database(f"sqlite:///{folder / 'wire.sqlite'}"),
        clock or SystemClock(),
        make_registry(),
        credentials=Keys(),
        sessions=Cookies(),
        authorizer=OneForbidden(),
        ports=ports or {},
        recorder=recorder,
    )


def json_call(target: str, body: bytes = b"{}", **headers: str) -> WireRequest:
    """An unsigned json 1.1 call."""
    return WireRequest(
        "POST",
        "/",
        "",
        {"host": "localhost:8080", "content-type": "application/x-amz-json-1.1", "x-amz-target": target} | headers,
        body,
    )


def query_call(body: str | bytes, **headers: str) -> WireRequest:
    """An unsigned query call."""
    content = body.encode() if isinstance(body, str) else body
    form = {"host": "localhost:8080", "content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    return WireRequest("POST", "/", "", form | headers, content)


def sign(
    request: WireRequest,
    service: str,
    *,
    key: str = KEY,
    secret: str = SECRET,
    token: str | None = None,
    region: str = "us-east-1",
) -> WireRequest:
    """Return the request signed by botocore, as of now."""
    url = f"http://{request.headers['host']}{request.path}" + (f"?{request.query}" if request.query else "")
    aws = AWSRequest(request.method, url, headers=dict(request.headers), data=request.body)
    SigV4Auth(Credentials(key, secret, token), service, region).add_auth(aws)
    headers = {name.lower(): value for name, value in aws.headers.items()}
    return WireRequest(request.method, request.path, request.query, headers, request.body)


def header_of(response: WireResponse, name: str) -> str | None:
    """Return a response's header."""
    return next((value for found, value in response.headers if found.lower() == name.lower()), None)
