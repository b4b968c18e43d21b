"""The port by which requests to S3 come into the audit trail (`emr_studio.trail` fulfils it)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Protocol

from emr_studio.aws.auth import for_protocol
from emr_studio.aws.context import Caller
from emr_studio.aws.errors import AccessDenied, AuthError, AwsError, ClientError
from emr_studio.aws.sigv4 import Signature
from emr_studio.edge.decisions import EdgeRequest
from emr_studio.storage.s3_request import S3Request


@dataclass
class S3Call:
    """What is known of one request, filled step by step."""

    asked: EdgeRequest
    request_id: str
    time: dt.datetime
    signature: Signature | None = None
    caller: Caller | None = None
    request: S3Request | None = None
    owner: str = ""
    """Account of the bucket, once it was found."""
    error: AwsError | None = None
    """With S3's own code."""
    claimed: str = ""
    """Account of a key that did not sign the request rightly."""
    keys: list[str] = field(default_factory=list)
    """The objects that a DeleteObjects names."""
    details: str | None = None
    """Of a denial: the encoded authorization message."""

    def refuse(self, error: AwsError) -> AwsError:
        """Note the refusal; returns the error as S3 says it."""
        if isinstance(error, AuthError):
            self.claimed, error = error.claimed, for_protocol(error, "rest-xml")
        elif isinstance(error, AccessDenied):
            self.details, error = error.details, ClientError("AccessDenied", error.message, 403)
        self.error = error
        return error


class S3Recorder(Protocol):
    """Called once a request, after it is decided and before that is told. Never raises."""

    def record_s3(self, call: S3Call) -> None: ...


class NoS3Recorder:
    """Keeps nothing."""

    def record_s3(self, call: S3Call) -> None:
        return None
