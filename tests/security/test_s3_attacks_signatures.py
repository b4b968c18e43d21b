"""Attacks on S3 by signatures: of other keys, other times, other sessions; links that should have ended."""

from __future__ import annotations

import json
import re
from functools import partial

from tests.support.s3_attack import BUCKET, SECRET, Scene, follow, link, policy_of
from tests.support.s3_rig import Keys, request_bytes
from tests.support.studio import until


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
    until("the short link has expired", lambda: follow(scene, short).status == 403)
    assert b"Request has expired" in scene.refused(lambda: follow(scene, short), "AccessDenied").body
