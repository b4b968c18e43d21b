"""A disk that fills below the object store: what does not fit is refused, nothing is lost, deletes make room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emr_studio.storage import store
from emr_studio.storage.s3_room import KEPT_FREE_MB
from tests.support.s3_rig import Rig, s3_rig
from tests.support.studio import until

PIECE = os.urandom(8 << 20)
DISK_MB, BUCKETS = KEPT_FREE_MB + 700, 4


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder for a rig whose store has a file system of its own."""
    place = tmp_path / "store"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=700", "none", place], check=False)
    if made.returncode:
        pytest.skip("only root may mount a disk")
    yield tmp_path
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(client: Any, bucket: str) -> tuple[int, ClientError]:
    """How many pieces fitted, and how the next was refused."""
    for number in range(DISK_MB):
        try:
            client.put_object(Bucket=bucket, Key=str(number), Body=PIECE)
        except ClientError as error:
            return number, error
    raise AssertionError("the disk never filled")


def compact(rig: Rig) -> None:
    """What the store does by itself every quarter of an hour."""
    part = next(part for part in rig.supervisor.parts if part.name == "store")
    assert part.process is not None
    enter = ["nsenter", "-t", str(part.process.pid), "-n"] if store.is_hidden(rig.settings) else []
    address = f"http://127.0.0.1:{store.read_ports(rig.settings)['master']}/vol/vacuum?garbageThreshold=0.1"
    subprocess.run([*enter, "curl", "-sSf", "-o", "/dev/null", address], check=True, timeout=60)


def is_taken_after_compaction(rig: Rig, client: Any) -> bool:
    # The store learns by and by, with its heartbeats, how much of a volume is deleted.
    compact(rig)
    try:
        client.put_object(Bucket="small-0", Key="again", Body=PIECE)
    except ClientError:
        return False
    return True


def test_a_full_disk_loses_nothing_and_is_used_again(small_disk: Path) -> None:
    with s3_rig(small_disk) as rig:
        client = rig.client()
        # A bucket takes several volumes: many buckets fit on a small disk as long as there is little in them.
        for number in range(BUCKETS):
            client.create_bucket(Bucket=f"small-{number}")
            client.put_object(Bucket=f"small-{number}", Key="kept", Body=b"kept")
        upload = client.create_multipart_upload(Bucket="small-2", Key="parts")["UploadId"]
        part = client.upload_part(Bucket="small-2", Key="parts", UploadId=upload, PartNumber=1, Body=b"part")
        fitted, refusal = fill(client, "small-0")
        assert refusal.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert refusal.response["Error"]["Code"] == "ServiceUnavailable"
        assert "The disk of this S3 is full" in refusal.response["Error"]["Message"]
        assert fitted * len(PIECE) > 500 << 20, "most of the disk is for objects"
        # What was there is there; what takes no room works.
        for number in range(fitted):
            assert client.get_object(Bucket="small-0", Key=str(number))["Body"].read() == PIECE
        assert client.get_object(Bucket="small-1", Key="kept")["Body"].read() == b"kept"
        assert client.list_objects_v2(Bucket="small-0")["KeyCount"] == fitted + 1
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        client.complete_multipart_upload(Bucket="small-2", Key="parts", UploadId=upload, MultipartUpload=parts)
        for number in range(fitted):
            client.delete_object(Bucket="small-0", Key=str(number))
        until("there is room again", lambda: is_taken_after_compaction(rig, client), 400)
        assert client.get_object(Bucket="small-0", Key="again")["Body"].read() == PIECE
