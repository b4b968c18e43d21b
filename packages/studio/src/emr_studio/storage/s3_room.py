"""Room on the disk of the embedded store: refused before the disk is so full that not even deletes would help.

The store gives the space of deleted objects back by writing what is left of a volume anew (within a quarter
of an hour), and closes all volumes for good when the disk is full. So new objects stop while there
is still space for that.
"""

from __future__ import annotations

import shutil

from emr_studio.aws.errors import ClientError
from emr_studio.settings import Settings
from emr_studio.storage.s3_request import S3Request

KEPT_FREE_MB = 512
_ADDING = frozenset({("PUT", ""), ("POST", "uploads")})


def check_room(settings: Settings, request: S3Request) -> None:
    """Return if the request adds nothing to the embedded store's disk, or there is room.

    Raises:
        ClientError: ServiceUnavailable (503, which SDKs try again).
    """
    if settings.s3_endpoint or not request.key or not _adds(request):
        return
    try:
        free = shutil.disk_usage(settings.store_dir).free >> 20
    except FileNotFoundError:  # the store's disk is another machine's
        return
    if free < KEPT_FREE_MB:
        message = (
            f"The disk of this S3 is full: {free} MB are free, and {KEPT_FREE_MB} MB are kept for what deletes need. "
            "Reading and deleting work."
        )
        raise ClientError("ServiceUnavailable", message, 503)


def _adds(request: S3Request) -> bool:
    """PutObject, CopyObject, UploadPart, and the start of a multipart upload."""
    return (request.method, request.subresource) in _ADDING
