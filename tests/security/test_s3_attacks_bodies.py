"""Attacks on S3 by bodies: parts of another one's upload, bodies that were not signed, XML."""

from __future__ import annotations

import time
from functools import partial

import pytest

from tests.support.s3_attack import BUCKET, Scene
from tests.support.s3_rig import request_bytes


def test_parts_of_another_ones_upload(scene: Scene) -> None:
    bob, send = scene.rig.client(scene.bob), scene.rig.send
    upload = bob.create_multipart_upload(Bucket=BUCKET, Key="bob/large")["UploadId"]
    tag = bob.upload_part(Bucket=BUCKET, Key="bob/large", UploadId=upload, PartNumber=1, Body=b"his")["ETag"]
    complete = (
        f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{tag}</ETag></Part></CompleteMultipartUpload>"
    ).encode()
    his, hers = f"/{BUCKET}/bob/large?uploadId={upload}", f"/{BUCKET}/alice/large?uploadId={upload}"
    denied: list[tuple[str, str, bytes]] = [
        ("PUT", his + "&partNumber=2", b"hers"), ("POST", his, complete), ("DELETE", his, b""), ("GET", his, b""),
    ]  # fmt: skip
    for method, target, body in denied:
        scene.refused(partial(send, method, target, scene.alice, body=body), "AccessDenied")
    # With a key of her own she may ask, but his upload is not one of that key.
    for method, target, body in (
        ("PUT", hers + "&partNumber=2", b"hers"),
        ("POST", hers, complete),
        ("DELETE", hers, b""),
        ("GET", hers, b""),
    ):
        scene.refused(partial(send, method, target, scene.alice, body=body), "NoSuchUpload")
    assert len(bob.list_parts(Bucket=BUCKET, Key="bob/large", UploadId=upload)["Parts"]) == 1
    bob.abort_multipart_upload(Bucket=BUCKET, Key="bob/large", UploadId=upload)


def test_a_body_that_was_not_signed(scene: Scene) -> None:
    rig, target = scene.rig, f"/{BUCKET}/alice/hashed"
    signed = rig.signed("PUT", target, scene.alice, body=b"signed")
    for body in (b"forged", b"signed and more", b""):
        lines = [*signed, ("Content-Length", str(len(body))), ("Connection", "close")]
        scene.refused(partial(rig.raw, request_bytes("PUT", target, lines) + body))


def test_delete_objects_with_another_body(scene: Scene) -> None:
    rig, target = scene.rig, f"/{BUCKET}?delete"

    def delete(*keys: str) -> bytes:
        return f"<Delete>{''.join(f'<Object><Key>{key}</Key></Object>' for key in keys)}</Delete>".encode()

    signed = rig.signed("POST", target, scene.alice, body=delete("alice/nothing"))
    body = delete("alice/own")
    lines = [*signed, ("Content-Length", str(len(body))), ("Connection", "close")]
    scene.refused(
        lambda: rig.raw(request_bytes("POST", target, lines) + body), "XAmzContentSHA256Mismatch", "BadDigest"
    )
    before = scene.inside()
    for keys in (["bob/secret"], ["alice/../bob/secret"], ["/bob/secret"], ["./bob/secret"], ["bob%2Fsecret"]):
        reply = rig.send("POST", target, scene.alice, body=delete(*keys))
        assert (reply.status, b"<Deleted>" in reply.body) == (200, False), reply.body
    assert scene.inside() == before


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><Delete>&b;</Delete>',
        b'<?xml version="1.0"?><!DOCTYPE d SYSTEM "file:///etc/passwd"><Delete/>',
        b'<!DOCTYPE d [<!ENTITY f SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&f;</Key></Object></Delete>',
        b"<Delete>" + b"<Object>" * 20_000,
        b"<Delete>" + b"<Object><Key>alice/x</Key></Object>" * 1001 + b"</Delete>",
        b"\xff\xfe<\x00D\x00e\x00l\x00",
        b"",
        b"not xml",
    ],
)
def test_xml_bombs(scene: Scene, body: bytes) -> None:
    begun = time.monotonic()
    scene.refused(lambda: scene.rig.send("POST", f"/{BUCKET}?delete", scene.alice, body=body))
    # An entity or a tag that is expanded takes all memory, or minutes; a loaded machine some seconds.
    assert time.monotonic() - begun < 60
