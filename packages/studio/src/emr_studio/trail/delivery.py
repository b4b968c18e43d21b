"""Log and digest files: what is in them. Made once and kept in the database until they are in S3.

Source of the digest's members and of what is signed: "CloudTrail digest file structure" and "Custom
implementations of CloudTrail log file integrity validation" (CloudTrail user guide).
"""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from emr_studio.trail import selectors
from emr_studio.trail.collector import last_batch
from emr_studio.trail.lines import event_time
from emr_studio.trail.model import Digest, EventRow, LogFile, Trail
from emr_studio.trail.naming import digest_key, log_key
from emr_studio.trail.signing import DigestKey

MOST_BATCHES = 160
"""How many batches one file may hold at most: a batch has 128 KB of lines."""
_GLOBAL = ("iam.amazonaws.com", "sts.amazonaws.com", "signin.amazonaws.com")
_ALGORITHM = "SHA-256"


def cut_file(session: Session, trail: Trail, now: dt.datetime) -> LogFile | None:
    """Make the next log file and move the trail's cursor past what is in it.

    None if there is nothing to write (the cursor may have moved all the same).
    """
    first, last = _next_batches(session, trail)
    if last <= trail.cursor:
        return None
    wanted = select(EventRow.moment, EventRow.event).where(
        EventRow.account_id == trail.account_id, EventRow.batch >= first, EventRow.batch <= last
    )
    rows = session.execute(wanted.order_by(EventRow.moment, EventRow.event_id)).all()
    taken = [(moment, event) for moment, event in rows if _takes(trail, event)]
    trail.cursor = last
    if not taken:
        return None
    content = ('{"Records":[' + ",".join(event for _, event in taken) + "]}").encode()
    file = LogFile(
        id=str(uuid.uuid4()),
        trail_id=trail.id,
        bucket=trail.bucket,
        key=log_key(trail, now),
        sha256=hashlib.sha256(content).hexdigest(),
        oldest=taken[0][0],
        newest=taken[-1][0],
        created=now,
        body=gzip.compress(content, mtime=0),
    )
    session.add(file)
    return file


def _next_batches(session: Session, trail: Trail) -> tuple[int, int]:
    """The batches that the next file is made of; those that hold nothing of this account cost nothing."""
    end = last_batch(session) if trail.last_batch is None else trail.last_batch
    wanted = select(func.min(EventRow.batch)).where(
        EventRow.account_id == trail.account_id, EventRow.batch > trail.cursor, EventRow.batch <= end
    )
    first = session.scalar(wanted)
    return (first, min(end, first + MOST_BATCHES)) if first is not None else (end, end)


def _takes(trail: Trail, text: str) -> bool:
    event: Mapping[str, Any] = msgspec.json.decode(text)
    if not trail.includes_global and event.get("eventSource") in _GLOBAL:
        return False
    return selectors.takes(trail.selectors, trail.advanced_selectors, event)


@dataclass(frozen=True)
class Period:
    """From when to when a digest speaks of deliveries."""

    start: dt.datetime
    end: dt.datetime


def make_digest(session: Session, trail: Trail, period: Period, key: DigestKey) -> Digest:
    """Make the digest of a period: the log files delivered in it, chained to the digest before."""
    files = undigested(session, trail)
    before = _last_digest(session, trail) if trail.digest_start is not None else None
    digest = Digest(
        id=str(uuid.uuid4()),
        trail_id=trail.id,
        bucket=trail.bucket,
        key=digest_key(trail, period.end),
        end=period.end,
        sha256="",
        signature="",
    )
    described = _content(digest, period, before, files)
    described |= {"awsAccountId": trail.account_id, "digestPublicKeyFingerprint": key.fingerprint}
    content = msgspec.json.encode(described)
    digest.sha256 = hashlib.sha256(content).hexdigest()
    previous = before.signature if before else "null"
    signed = f"{event_time(period.end)}\n{digest.bucket}/{digest.key}\n{digest.sha256}\n{previous}"
    digest.signature = key.sign(signed.encode())
    digest.body = gzip.compress(content, mtime=0)
    session.add(digest)
    for file in files:
        file.digest_id = digest.id
    trail.digest_start = period.end
    return digest


def undigested(session: Session, trail: Trail) -> Sequence[LogFile]:
    """Log files that are delivered and in no digest yet."""
    wanted = select(LogFile).where(
        LogFile.trail_id == trail.id, LogFile.digest_id.is_(None), LogFile.delivered.is_not(None)
    )
    return session.scalars(wanted.order_by(LogFile.delivered, LogFile.key)).all()


def _last_digest(session: Session, trail: Trail) -> Digest | None:
    wanted = select(Digest).where(Digest.trail_id == trail.id).order_by(Digest.end.desc()).limit(1)
    return session.scalars(wanted).first()


def _content(digest: Digest, period: Period, before: Digest | None, files: Sequence[LogFile]) -> dict[str, Any]:
    return {
        "digestStartTime": event_time(period.start),
        "digestEndTime": event_time(period.end),
        "digestS3Bucket": digest.bucket,
        "digestS3Object": digest.key,
        "digestSignatureAlgorithm": "SHA256withRSA",
        "newestEventTime": _time(max((file.newest for file in files), default=None)),
        "oldestEventTime": _time(min((file.oldest for file in files), default=None)),
        "previousDigestS3Bucket": before.bucket if before else None,
        "previousDigestS3Object": before.key if before else None,
        "previousDigestHashValue": before.sha256 if before else None,
        "previousDigestHashAlgorithm": _ALGORITHM if before else None,
        "previousDigestSignature": before.signature if before else None,
        "logFiles": [
            {
                "s3Bucket": file.bucket,
                "s3Object": file.key,
                "hashValue": file.sha256,
                "hashAlgorithm": _ALGORITHM,
                "newestEventTime": _time(file.newest),
                "oldestEventTime": _time(file.oldest),
            }
            for file in files
        ],
    }


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else event_time(dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC))
