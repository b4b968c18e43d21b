"""What the parts of S3 (the edge's question, what is served here, uploads by forms) need of the rest."""

from __future__ import annotations

from dataclasses import dataclass, field

from emr_studio.aws.auth import CredentialStore
from emr_studio.aws.context import Authorizer
from emr_studio.clock import Clock
from emr_studio.db import Database
from emr_studio.settings import Settings
from emr_studio.storage.s3_existing import Mentions
from emr_studio.storage.s3_keys import NoObjectKeys, ObjectKeys
from emr_studio.storage.s3_policy import Principals
from emr_studio.storage.s3_reads import NothingSettled, Settled
from emr_studio.storage.s3_recording import NoS3Recorder, S3Recorder


@dataclass(frozen=True)
class S3Ports:
    """The ports, as the composition fills them."""

    settings: Settings
    database: Database
    clock: Clock
    credentials: CredentialStore
    authorizer: Authorizer
    principals: Principals
    mentions: Mentions
    recorder: S3Recorder = field(default_factory=NoS3Recorder)
    keys: ObjectKeys = field(default_factory=NoObjectKeys)
    settled: Settled = field(default_factory=NothingSettled)
