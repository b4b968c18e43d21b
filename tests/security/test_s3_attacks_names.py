"""Attacks on S3 by names: spellings of keys and prefixes, continuations, sources of copies."""

from __future__ import annotations

from functools import partial

import pytest

from tests.support.s3_attack import BUCKET, Scene


@pytest.mark.parametrize(
    "key",
    [
        "alice/../bob/secret", "alice/%2e%2e/bob/secret", "alice/..%2Fbob/secret", "alice/%2E%2E%2Fbob%2Fsecret",
        "alice/.%2e/bob/secret", "./bob/secret", "%2e/bob/secret", "alice\\..\\bob\\secret", "alice%5C..%5Cbob/secret",
        "/bob/secret", "//bob/secret", "%2Fbob/secret", "bob%2Fsecret", "bob//secret",
        "Alice/../bob/secret", "alice/own/../../bob/secret", "alice/%c0%ae%c0%ae/bob/secret", "alice/%00/bob/secret",
        "alice/\u2024\u2024/bob/secret".encode().decode("latin-1"), "alice%20/../bob/secret",
        "alice+/../bob/secret", "bob/secret?versionId=null", "bob/secret?acl", "bob/secret?tagging",
        "bob/secret?attributes", "bob/secret?torrent", "bob/secret?partNumber=1", "bob/secret?x-id=GetObject",
        "bob/secret?uploadId=1", "alice/own?unknown", "alice/own?acl", "alice/own?policy", "alice/own?versionId=../bob",
    ],
)  # fmt: skip
def test_no_spelling_of_a_key_leads_elsewhere(scene: Scene, key: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        if key.startswith("alice/own?acl") and method != "GET":
            continue
        scene.refused(partial(scene.rig.send, method, f"/{BUCKET}/{key}", scene.alice))


@pytest.mark.parametrize("key", ["alice/%252e%252e/bob/x", "alice/..;/bob/x", "alice/%252e%252e%252fbob%252fx"])
def test_what_only_looks_like_a_way_out_stays_inside(scene: Scene, key: str) -> None:
    """Decoded once, as S3 does, these are names below her prefix like any other."""
    before = {name for name, _ in scene.inside()[0]}
    assert scene.rig.send("PUT", f"/{BUCKET}/{key}", scene.alice).status == 200
    made = {name for name, _ in scene.inside()[0]} - before
    assert len(made) == 1
    assert all(name.startswith("alice/") for name in made)
    assert scene.rig.send("DELETE", f"/{BUCKET}/{key}", scene.alice).status == 204


@pytest.mark.parametrize(
    "query",
    [
        "prefix=bob/", "prefix=", "", "list-type=2", "prefix=alice", "prefix=Alice/", "prefix=/bob/", "prefix=//bob/",
        "prefix=alice/../bob/", "prefix=alice/%2e%2e/bob/", "prefix=alice%2F..%2Fbob%2F", "prefix=alice/&prefix=bob/",
        "prefix=bob/&prefix=alice/", "prefix=alice/;prefix=bob/", "Prefix=alice/", "prefix%00=alice/",
        "prefix=alice%5C..%5Cbob/", "versions&prefix=bob/", "versions&prefix=alice/", "uploads",
        "uploads&prefix=alice/",
        "prefix=alice/&marker=alice/../", "list-type=2&prefix=bob/&start-after=alice/", "prefix=%2561lice/",
        "list-type=2&prefix=alice/&continuation-token=../bob", "prefix=alice/*", "prefix=*", "prefix=?",
    ],
)  # fmt: skip
def test_no_listing_shows_another_prefix(scene: Scene, query: str) -> None:
    reply = scene.rig.send("GET", f"/{BUCKET}?{query}", scene.alice)
    assert b"bob/secret" not in reply.body.partition(b"<Resource>")[0]
    assert b"<CommonPrefixes>" not in reply.body
    assert reply.status in {200, 400, 403, 501}
    if reply.status == 200:
        assert b"<Contents>" not in reply.body, reply.body


def test_another_ones_continuation(scene: Scene) -> None:
    admin = scene.rig.client()
    for number in range(3):
        scene.rig.client(scene.bob).put_object(Bucket=BUCKET, Key=f"bob/{number}", Body=b"")
    page = admin.list_objects_v2(Bucket=BUCKET, Prefix="bob/", MaxKeys=1)
    alice = scene.rig.client(scene.alice)
    for more in ({"ContinuationToken": page["NextContinuationToken"]}, {"StartAfter": "bob/0"}, {"StartAfter": "a"}):
        listed = alice.list_objects_v2(Bucket=BUCKET, Prefix="alice/", **more)
        assert all(item["Key"].startswith("alice/") for item in listed.get("Contents", []))
    marked = alice.list_objects(Bucket=BUCKET, Prefix="alice/", Marker="bob/0")
    assert not [item for item in marked.get("Contents", []) if item["Key"].startswith("bob/")]


@pytest.mark.parametrize(
    "source",
    [
        "vault/bob/secret", "/vault/bob/secret", "vault%2Fbob%2Fsecret", "vault/alice/../bob/secret",
        "vault/alice/%2e%2e/bob/secret", "vault/alice/..%2fbob%2fsecret", "vault/alice/%252e%252e/bob/secret",
        "//vault/bob/secret", "vault//bob/secret", "vault/./bob/secret", "vault/bob/secret?versionId=null",
        "vault/alice/own?versionId=../../bob/secret", "vault/alice/own?versionId=1&versionId=2", "vault", "vault/",
        "vault/alice%5C..%5Cbob%5Csecret", "vault/bob/secret%00", "http://vault/bob/secret", "vault/bob/s%C0%AFecret",
        "emr-studio-ready/x", "arn:aws:s3:us-east-1:123456789012:accesspoint/a/object/bob/secret",
    ],
)  # fmt: skip
def test_no_copy_from_another_prefix(scene: Scene, source: str) -> None:
    headers = {"x-amz-copy-source": source}
    scene.refused(lambda: scene.rig.send("PUT", f"/{BUCKET}/alice/stolen", scene.alice, headers))
    upload = scene.rig.client(scene.alice).create_multipart_upload(Bucket=BUCKET, Key="alice/part")["UploadId"]
    target = f"/{BUCKET}/alice/part?partNumber=1&uploadId={upload}"
    try:
        scene.refused(lambda: scene.rig.send("PUT", target, scene.alice, headers))
    finally:
        scene.rig.client(scene.alice).abort_multipart_upload(Bucket=BUCKET, Key="alice/part", UploadId=upload)


def test_copy_to_another_prefix(scene: Scene) -> None:
    headers = {"x-amz-copy-source": f"{BUCKET}/alice/own"}
    scene.refused(lambda: scene.rig.send("PUT", f"/{BUCKET}/bob/planted", scene.alice, headers), "AccessDenied")
