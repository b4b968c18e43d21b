"""The scene of the attack tests: what a holder of keys for one prefix may try; none of it changes or shows anything.

Alice may read, write and delete below `vault/alice/` and list that prefix; Bob the same below `bob/`.
After each attack the store itself is asked, past the door, what is in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.s3_rig import Keys, RawReply, Rig, request_bytes

BUCKET, SECRET = "vault", b"nobody but bob reads this"
_ACTIONS = ["GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload", "ListMultipartUploadParts"]


def policy_of(name: str) -> dict[str, Any]:
    """What the owner of a prefix may do."""
    objects = {
        "Effect": "Allow",
        "Action": [f"s3:{action}" for action in _ACTIONS],
        "Resource": f"arn:aws:s3:::{BUCKET}/{name}/*",
    }
    listing = {
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": f"arn:aws:s3:::{BUCKET}",
        "Condition": {"StringLike": {"s3:prefix": [f"{name}/*"]}},
    }
    tokens = {"Effect": "Allow", "Action": "sts:GetFederationToken", "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [objects, listing, tokens]}


@dataclass(frozen=True)
class Scene:
    """Who is there, and what is in the store."""

    rig: Rig
    alice: Keys
    bob: Keys

    def inside(self) -> tuple[list[tuple[str, str]], list[str]]:
        """All objects with their ETags, and all uploads that are under way, as the store itself has them."""
        with self.rig.bare() as store:
            listed = store.get(f"/{BUCKET}?list-type=2&max-keys=1000").text
            uploads = store.get(f"/{BUCKET}?uploads").text
        keys, tags = re.findall(r"<Key>(.*?)</Key>", listed), re.findall(r"<ETag>(.*?)</ETag>", listed)
        return sorted(zip(keys, tags, strict=True)), sorted(re.findall(r"<UploadId>(.*?)</UploadId>", uploads))

    def refused(self, attack: Callable[[], RawReply], *codes: str) -> RawReply:
        """The attack is answered with one of these codes (`400`: any refusal), and nothing is other than before."""
        before = self.inside()
        reply = attack()
        assert 400 <= reply.status < 500 or reply.status == 501, (reply.status, reply.body)
        assert SECRET not in reply.body
        assert b"bob/secret</Key>" not in reply.body
        if codes:
            assert reply.code in codes, (reply.status, reply.body)
        assert self.inside() == before
        return reply


def link(scene: Scene, keys: Keys, operation: str, key: str, seconds: int = 60, **more: Any) -> str:
    """A presigned URL; path and query only."""
    client = scene.rig.client(keys, signature_version="s3v4")
    url: str = client.generate_presigned_url(
        operation, Params={"Bucket": BUCKET, "Key": key, **more}, ExpiresIn=seconds
    )
    return url.removeprefix(scene.rig.url)


def follow(scene: Scene, target: str, method: str = "GET", body: bytes = b"", *extra: tuple[str, str]) -> RawReply:
    """Use a link."""
    headers = [("Host", scene.rig.host), ("Connection", "close"), *extra]
    if body:
        headers.append(("Content-Length", str(len(body))))
    return scene.rig.raw(request_bytes(method, target, headers) + body)
