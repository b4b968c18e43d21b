"""Attacks on S3 by the wire: forged words of the edge, hosts, smuggled requests; all refusals are in the trail."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.support.s3_attack import BUCKET, SECRET, Scene
from tests.support.s3_rig import RawReply, request_bytes
from tests.support.studio import until


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
        # Some of these connections stay open.
        replies = _all_replies(scene, request_bytes("PUT", target, [*signed, *headers]) + body, more=1)
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


def _all_replies(scene: Scene, data: bytes, first: float = 60.0, more: float = 60.0) -> bytes:
    """All that comes until the connection is closed, or nothing came for `first` and then `more` seconds."""
    with socket.create_connection(("127.0.0.1", scene.rig.settings.port), timeout=first) as connection:
        connection.sendall(data)
        found = b""
        try:
            while chunk := connection.recv(65536):
                found += chunk
                connection.settimeout(more)
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
    assert b"HTTP/2" not in _all_replies(scene, preface, first=3, more=1)


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
        # This machine's own programs may have the number, in its own network.
        with suppress(httpx.TransportError):
            answer = httpx.get(f"http://127.0.0.1:{port}/{BUCKET}/bob/secret", timeout=2)
            assert "seaweed" not in answer.headers.get("server", "").lower(), port
            assert SECRET not in answer.content, port
    assert (scene.rig.settings.run_dir / "store").stat().st_mode & 0o077 == 0


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
