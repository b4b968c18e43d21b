"""Ways around IAM that a holder of keys for one prefix may try at the S3 endpoint; none changes or shows anything.

Alice may read, write and delete below `vault/alice/` and list that prefix; Bob the same below `bob/`.
After each attack the store itself is asked, past the door, what is in it.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.support.s3_rig import Keys, RawReply, Rig, request_bytes
from tests.support.studio import until

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


@pytest.fixture(scope="module")
def scene(s3: Rig) -> Scene:
    s3.client().create_bucket(Bucket=BUCKET)
    found = Scene(s3, s3.user("attack-alice", policy_of("alice")), s3.user("attack-bob", policy_of("bob")))
    s3.client(found.bob).put_object(Bucket=BUCKET, Key="bob/secret", Body=SECRET)
    s3.client(found.alice).put_object(Bucket=BUCKET, Key="alice/own", Body=b"hers")
    return found


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


# --- signatures


def test_a_signature_over_one_key_is_no_good_for_another(scene: Scene) -> None:
    send = scene.rig.send
    own, others = f"/{BUCKET}/alice/own", f"/{BUCKET}/bob/secret"
    cases: list[tuple[str, str, str, str]] = [
        ("GET", own, "GET", others),
        ("GET", own, "GET", own + "?versionId=1"),
        ("GET", own, "DELETE", own),
        ("GET", own, "PUT", own),
        ("HEAD", own, "GET", own),
        ("GET", own, "GET", own + "?tagging"),
        ("GET", f"/{BUCKET}?prefix=alice/", "GET", f"/{BUCKET}?prefix=bob/"),
        ("GET", f"/{BUCKET}?prefix=alice/", "GET", f"/{BUCKET}?prefix=alice/&delimiter=/"),
    ]
    for method, target, sent_method, sent_target in cases:
        sent_as = (sent_method, sent_target)
        scene.refused(partial(send, method, target, scene.alice, sent_as=sent_as), "SignatureDoesNotMatch")


def test_headers_that_were_not_signed(scene: Scene) -> None:
    own = f"/{BUCKET}/alice/new"
    for name, value in [
        ("x-amz-copy-source", f"{BUCKET}/bob/secret"),
        ("x-amz-acl", "public-read"),
        ("x-amz-tagging", "a=b"),
        ("x-amz-meta-a", "b"),
        ("x-amz-server-side-encryption", "AES256"),
        ("X-AMZ-Storage-Class", "STANDARD"),
    ]:
        extra = [(name, value)]
        scene.refused(partial(scene.rig.send, "PUT", own, scene.alice, extra=extra), "AccessDenied")
    # `Connection` names headers that a proxy drops: what was signed must not vanish behind the check.
    reply = scene.rig.send("PUT", own, scene.alice, {"x-amz-copy-source": f"{BUCKET}/bob/secret"},
                           extra=[("Connection", "x-amz-copy-source, authorization")])  # fmt: skip
    assert reply.status in {400, 403}, reply


def test_tokens_of_sessions(scene: Scene) -> None:
    rig, target = scene.rig, f"/{BUCKET}/alice/own"
    narrow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject",
              "Resource": f"arn:aws:s3:::{BUCKET}/alice/only-this"}]}  # fmt: skip
    mine, his = rig.session(scene.alice, narrow), rig.session(scene.bob, policy_of("bob"))
    wide = rig.session(scene.alice, policy_of("alice"))
    assert rig.send("GET", target, wide).status == 200
    stripped = Keys(mine.access_key_id, mine.secret_access_key)
    swapped = Keys(mine.access_key_id, mine.secret_access_key, his.token)
    wider = Keys(mine.access_key_id, mine.secret_access_key, wide.token)
    long_term = Keys(scene.alice.access_key_id, scene.alice.secret_access_key, mine.token)
    assert mine.token is not None
    broken = Keys(mine.access_key_id, mine.secret_access_key, mine.token[:-8] + "AAAAAAAA")
    for keys in (stripped, swapped, wider, long_term, broken):
        scene.refused(partial(rig.send, "GET", target, keys), "InvalidToken")
    scene.refused(lambda: rig.send("GET", target, mine), "AccessDenied")
    # The signed token replaced by another while the signature stays.
    lines = [(n, wide.token or "" if n.lower() == "x-amz-security-token" else v)
             for n, v in rig.signed("GET", target, mine)]  # fmt: skip
    scene.refused(lambda: rig.raw(request_bytes("GET", target, [*lines, ("Connection", "close")])), "InvalidToken")
    doubled = [("X-Amz-Security-Token", wide.token or "")]
    scene.refused(lambda: rig.send("GET", target, mine, extra=doubled))


def test_presigned_links(scene: Scene) -> None:
    good = link(scene, scene.bob, "get_object", "bob/secret")
    assert follow(scene, good).body == SECRET
    path, _, query = good.partition("?")
    changed = {
        "another key": f"/{BUCKET}/bob/other?{query}",
        "more query": good + "&versionId=null",
        "another response": good + "&response-content-type=text/html",
        "longer": good.replace("X-Amz-Expires=60", "X-Amz-Expires=6000"),
        "no expiry": re.sub(r"&X-Amz-Expires=\d+", "", good),
        "doubled": good + "&X-Amz-Expires=604800",
        "escaped path": good.replace("bob/secret", "bob%2Fsecret/"),
        "sub-resource": good + "&acl",
        "fragment": f"{path}?tagging&{query}",
    }
    for target in changed.values():
        reply = follow(scene, target)
        assert reply.status in {400, 403}, (target, reply)
        assert SECRET not in reply.body
    for method in ("PUT", "DELETE", "POST", "HEAD"):
        before = scene.inside()
        assert follow(scene, good, method).status in {400, 403}, method
        assert scene.inside() == before
    scene.refused(lambda: follow(scene, good, "GET", b"", ("x-amz-server-side-encryption", "AES256")), "AccessDenied")
    both = [(n, v) for n, v in scene.rig.signed("GET", path, scene.alice) if n != "Host"]
    scene.refused(lambda: follow(scene, good, "GET", b"", *both), "InvalidArgument")


def test_a_link_ends_with_its_time_and_with_its_policy(scene: Scene) -> None:
    iam = scene.rig.client(service="iam")
    short = link(scene, scene.bob, "get_object", "bob/secret", 1)
    read, write = (link(scene, scene.bob, op, "bob/secret", 600) for op in ("get_object", "put_object"))
    assert follow(scene, read).status == 200
    iam.delete_user_policy(UserName="attack-bob", PolicyName="p0")
    try:
        scene.refused(lambda: follow(scene, read), "AccessDenied")
        scene.refused(lambda: follow(scene, write, "PUT", b"changed"), "AccessDenied")
    finally:
        iam.put_user_policy(UserName="attack-bob", PolicyName="p0", PolicyDocument=json.dumps(policy_of("bob")))
    assert follow(scene, read).status == 200
    key = scene.bob.access_key_id
    iam.update_access_key(UserName="attack-bob", AccessKeyId=key, Status="Inactive")
    try:
        scene.refused(lambda: follow(scene, read), "InvalidAccessKeyId")
    finally:
        iam.update_access_key(UserName="attack-bob", AccessKeyId=key, Status="Active")
    until("the short link has expired", lambda: follow(scene, short).status == 403, 10)
    assert b"Request has expired" in scene.refused(lambda: follow(scene, short), "AccessDenied").body


# --- names


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


# --- multipart


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


# --- bodies that differ from what was signed


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
    assert time.monotonic() - begun < 5


# --- the wire


def test_forged_words_of_the_edge(scene: Scene) -> None:
    forged = {
        "X-Emr-Studio-Upstream": "127.0.0.1:1", "X-Emr-Studio-Identity": "s3-delete.e30=", "X-Emr-Studio-Question": "1",
        "X-Emr-Studio-Set-Authorization": "x", "X-Emr-Studio-Uri": f"/{BUCKET}/bob/secret", "X-Emr-Studio-Changes": "1",
        "X-Emr-Studio-Set-X-Amz-Copy-Source": f"{BUCKET}/bob/secret", "X-Forwarded-Uri": f"/{BUCKET}/alice/own",
        "X-Forwarded-Method": "HEAD", "X-Forwarded-For": "10.0.0.1", "X-Original-Url": f"/{BUCKET}/alice/own",
        "X-Rewrite-Url": f"/{BUCKET}/alice/own", "X-Http-Method-Override": "HEAD", "Forwarded": "for=10.0.0.1",
    }  # fmt: skip
    for name, value in forged.items():
        extra = [(name, value)]
        scene.refused(partial(scene.rig.send, "GET", f"/{BUCKET}/bob/secret", scene.alice, extra=extra))
        # And on a request that she may make, they change nothing.
        reply = scene.rig.send("GET", f"/{BUCKET}/alice/own", scene.alice, extra=extra)
        assert (reply.status, reply.body) == (200, b"hers"), (name, reply)
    for name in ("x_emr_studio_uri", "X-Emr-Studio-Uri ", "X-Emr-Studio-Uri\t"):
        reply = scene.rig.send("GET", f"/{BUCKET}/alice/own", scene.alice, extra=[(name, f"/{BUCKET}/bob/secret")])
        assert SECRET not in reply.body


def test_hosts_and_targets(scene: Scene) -> None:
    rig, own = scene.rig, f"/{BUCKET}/alice/own"
    lines = [(n, v) for n, v in rig.signed("GET", own, scene.alice) if n != "Host"] + [("Connection", "close")]
    absolute = f"{rig.url}/{BUCKET}/bob/secret"
    cases: list[tuple[str, list[tuple[str, str]]]] = [
        (own, [("Host", rig.host), ("Host", "evil.example.com"), *lines]),
        (own, [("Host", "evil.example.com"), *lines]),
        (own, lines),
        (own, [("Host", f"{rig.host}, {rig.host}"), *lines]),
        (own, [("Host", f"{BUCKET}.s3.{rig.host}"), *lines]),
        (absolute, [("Host", rig.host), *lines]),
        (f"http://{BUCKET}.s3.{rig.host}/bob/secret", [("Host", rig.host), *lines]),
        ("*", [("Host", rig.host), *lines]),
        (f"{rig.host}/{BUCKET}/bob/secret", [("Host", rig.host), *lines]),
        (f"//{rig.host}/{BUCKET}/bob/secret", [("Host", rig.host), *lines]),
        (f"{own}#/../../bob/secret", [("Host", rig.host), *lines]),
    ]
    for target, headers in cases:
        reply = scene.rig.raw(request_bytes("GET", target, headers))
        assert reply.status in {400, 403, 404}, (target, headers[:2], reply)
        assert SECRET not in reply.body


def test_smuggled_requests(scene: Scene) -> None:
    """What follows a body must never be taken for a request that somebody signed, or be answered unsigned."""
    rig, target = scene.rig, f"/{BUCKET}/alice/smuggle"
    inner = request_bytes("GET", f"/{BUCKET}/bob/secret", [("Host", rig.host)])
    signed = rig.signed("PUT", target, scene.alice, {"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"})
    framings: list[tuple[list[tuple[str, str]], bytes]] = [
        ([("Content-Length", "0"), ("Transfer-Encoding", "chunked")], b"0\r\n\r\n" + inner),
        ([("Content-Length", str(len(inner))), ("Transfer-Encoding", "chunked")], b"0\r\n\r\n" + inner),
        ([("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "identity")], b"0\r\n\r\n" + inner),
        ([("Transfer-Encoding", "xchunked"), ("Content-Length", "0")], inner),
        ([("Transfer-Encoding", " chunked"), ("Content-Length", "4")], b"0\r\n\r\n" + inner),
        ([("Content-Length", "0"), ("Content-Length", str(len(inner)))], inner),
        ([("Content-Length", "+0")], inner),
        ([("Content-Length", "0x0")], inner),
        ([("Transfer-Encoding", "chunked")], b"0;a=\r\n\r\n" + inner),
        ([("Transfer-Encoding", "chunked")], b"2;x\nyy\r\nab\r\n0\r\n\r\n" + inner),
        ([("Transfer-Encoding", "chunked")], b"-1\r\n\r\n" + inner),
        ([("Transfer-Encoding", "chunked")], b"fffffffffffffffff\r\n" + inner),
        ([("X-A", "b\r\n folded: x"), ("Content-Length", "0")], inner),
    ]
    for headers, body in framings:
        replies = _all_replies(scene, request_bytes("PUT", target, [*signed, *headers]) + body)
        assert SECRET not in replies, headers
        statuses = [int(found) for found in re.findall(rb"HTTP/1\.1 (\d\d\d)", replies)]
        assert statuses, headers
        assert all(status != 200 for status in statuses[1:]), (headers, replies[:2000])
    before = scene.inside()
    pipelined = request_bytes("GET", f"/{BUCKET}/alice/own", rig.signed("GET", f"/{BUCKET}/alice/own", scene.alice))
    for second in ("GET", "DELETE"):
        hers = [*rig.signed(second, f"/{BUCKET}/bob/secret", scene.alice), ("Connection", "close")]
        replies = _all_replies(scene, pipelined + request_bytes(second, f"/{BUCKET}/bob/secret", hers))
        statuses = [int(found) for found in re.findall(rb"HTTP/1\.1 (\d\d\d)", replies)]
        assert statuses == [200, 403], replies
        assert SECRET not in replies
    assert scene.inside() == before


def _all_replies(scene: Scene, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", scene.rig.settings.port), timeout=3) as connection:
        connection.sendall(data)
        found = b""
        try:
            while chunk := connection.recv(65536):
                found += chunk
                connection.settimeout(1)
        except (TimeoutError, ConnectionResetError):
            pass
        return found


def test_other_versions_and_upgrades(scene: Scene) -> None:
    rig, target = scene.rig, f"/{BUCKET}/bob/secret"
    lines = rig.signed("GET", target, scene.alice)
    for version in ("HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "ICY/1.0"):
        reply = rig.raw(request_bytes("GET", target, [*lines, ("Connection", "close")], version))
        assert SECRET not in reply.body
        assert reply.status in {0, 400, 403, 505}, (version, reply)
    for name, value in (("h2c", "Upgrade, HTTP2-Settings"), ("websocket", "Upgrade"), ("TLS/1.0", "Upgrade")):
        extra = [("Upgrade", name), ("Connection", value), ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")]
        reply = rig.raw(request_bytes("GET", target, [*lines, *extra]))
        assert (reply.status, reply.code) == (403, "AccessDenied"), reply
        hers = rig.signed("GET", f"/{BUCKET}/alice/own", scene.alice)
        reply = rig.raw(request_bytes("GET", f"/{BUCKET}/alice/own", [*hers, *extra]))
        assert reply.status == 200, reply  # never 101
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    assert b"HTTP/2" not in _all_replies(scene, preface)


def test_heads_that_are_too_much(scene: Scene) -> None:
    rig, target = scene.rig, f"/{BUCKET}/alice/own"
    cases: list[list[tuple[str, str]]] = [
        [("X-A", "a" * 200_000)],
        [(f"X-{number}", "a") for number in range(20_000)],
        [("x-amz-meta-" + "a" * 9000, "b")],
        [("Cookie", "a=b; " * 30_000)],
    ]
    for extra in cases:
        try:
            reply = rig.send("GET", f"/{BUCKET}/bob/secret", scene.alice, extra=extra)
        except (ConnectionResetError, BrokenPipeError):  # it was not read to the end
            continue
        assert reply.status in {400, 403, 413, 431}, reply.head[:200]
    assert rig.send("GET", target, scene.alice).status == 200


def test_the_store_is_reached_by_nobody_else(scene: Scene) -> None:
    """Its ports are in a network of its own (as root), so this machine's loopback, where code runs, has none."""
    ports = json.loads((scene.rig.settings.store_dir / "ports.json").read_text())
    if not (scene.rig.settings.store_dir / "hidden").exists():
        pytest.skip("without root the store listens on loopback: `emr-studio doctor` says so")
    for port in ports.values():
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/{BUCKET}/bob/secret", timeout=2)
    assert (scene.rig.settings.run_dir / "store").stat().st_mode & 0o077 == 0


# --- all in the trail


def test_refusals_are_in_the_trail(scene: Scene) -> None:
    send, headers = scene.rig.send, {"x-amz-copy-source": f"{BUCKET}/bob/secret"}
    attacks: Mapping[str, RawReply] = {
        "GetObject": send("GET", f"/{BUCKET}/bob/secret", scene.alice),
        "DeleteObject": send("DELETE", f"/{BUCKET}/bob/secret", scene.alice),
        "CopyObject": send("PUT", f"/{BUCKET}/alice/stolen", scene.alice, headers),
        "UploadPart": send("PUT", f"/{BUCKET}/bob/x?uploadId=1&partNumber=1", scene.alice),
        "ListObjects": send("GET", f"/{BUCKET}?prefix=bob/", scene.alice),
        "PutBucketPolicy": send("PUT", f"/{BUCKET}?policy", scene.alice, body=b"{}"),
    }
    forged = send("GET", f"/{BUCKET}/alice/own", scene.alice, sent_as=("GET", f"/{BUCKET}/bob/secret"))
    wanted = {_request_id(reply) for reply in [*attacks.values(), forged]}
    assert len(wanted) == 7
    found: dict[str, Any] = {}

    def recorded() -> bool:
        pages = (
            scene.rig.client(service="cloudtrail")
            .get_paginator("lookup_events")
            .paginate(LookupAttributes=[{"AttributeKey": "EventSource", "AttributeValue": "s3.amazonaws.com"}])
        )
        for page in pages:
            for event in page["Events"]:
                record = json.loads(event["CloudTrailEvent"])
                found[record["requestID"]] = record
        return wanted <= found.keys()

    until("every refusal is in the trail", recorded)
    for name, reply in attacks.items():
        record = found[_request_id(reply)]
        assert (record["eventName"], record["errorCode"]) == (name, "AccessDenied")
        assert record["userIdentity"]["userName"] == "attack-alice"
    assert found[_request_id(forged)]["errorCode"] == "SignatureDoesNotMatch"


def _request_id(reply: RawReply) -> str:
    found = re.search(r"(?i)^x-amz-request-id: (\S+)", reply.head, re.MULTILINE)
    assert found, reply
    return found.group(1)


def test_stock_clients_see_the_denials(scene: Scene) -> None:
    alice = scene.rig.client(scene.alice)
    with pytest.raises(ClientError) as error:
        alice.get_object(Bucket=BUCKET, Key="bob/secret")
    message = error.value.response["Error"]["Message"]
    assert "is not authorized to perform: s3:GetObject on resource" in message
