"""Mutated requests to S3, most of them validly signed so that they reach deep: against edge, control plane and store.

None gets a 5xx of ours, hangs, ends a process, shows an object outside of the caller's prefix, or changes one.
`FUZZ_CASES` says how many; a failure shows the seed of its case.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from random import Random
from urllib.parse import quote, unquote_to_bytes

import pytest

from tests.fuzz import CASES, seeds
from tests.support.s3_rig import REGION, Keys, RawReply, Rig, read_reply, request_bytes

pytestmark = pytest.mark.timeout(900 + CASES // 20)
BUCKET, SECRET = "fuzzed", b"not for the fuzzer"
OTHERS = ("bob/secret", "alicex", "top", "alice%2F", "a/b/c")
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}/alice/*"},
        {
            "Effect": "Allow",
            "Action": ["s3:ListBucket", "s3:ListBucketVersions"],
            "Resource": f"arn:aws:s3:::{BUCKET}",
            "Condition": {"StringLike": {"s3:prefix": "alice/*"}},
        },
    ],
}
METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "get", "TRACE", "PROPFIND", "COPY", "GETT")
PIECES = (
    *("alice", "bob", "secret", "..", ".", "", "%2e%2e", "%2E", "%2F", "%5c", "\\", "%00", "%ff", "%", "%zz", "+", " "),
    *("a" * 300, "ü", "%C3%BC", "%c0%ae", ";", ":", "@", "#", "//", "~", "'", '"', "<x>", "{http.vars.x}", "${a}", "*"),
    *("%252e", "top", "alicex", "own", "?", "&", "=", "[", "|", "\x7f", "\x01", "\t"),
)
PARAMETERS = (
    *("acl", "tagging", "uploads", "uploadId", "partNumber", "versionId", "versions", "prefix", "delimiter", "marker"),
    *(
        "max-keys",
        "list-type",
        "continuation-token",
        "start-after",
        "delete",
        "policy",
        "cors",
        "lifecycle",
        "location",
    ),
    *("location", "encoding-type", "fetch-owner", "attributes", "retention", "legal-hold", "object-lock", "encryption"),
    *("response-content-type", "response-expires", "x-id", "restore", "select", "torrent", "logging", "replication"),
    *("publicAccessBlock", "ownershipControls", "policyStatus", "notification", "key-marker", "upload-id-marker", "x"),
    *("versioning", "X-Amz-Expires", "X-Amz-Signature", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "Prefix"),
)
HEADERS = (
    *("x-amz-copy-source", "x-amz-acl", "x-amz-tagging", "x-amz-meta-a", "x-amz-storage-class", "Range", "If-Match"),
    *("If-None-Match", "If-Modified-Since", "Content-Type", "Content-MD5", "Content-Encoding", "x-amz-trailer"),
    *("x-amz-decoded-content-length", "x-amz-checksum-crc32", "x-amz-checksum-sha256", "x-amz-sdk-checksum-algorithm"),
    *("x-amz-server-side-encryption", "x-amz-server-side-encryption-customer-algorithm", "x-amz-grant-read", "Expect"),
    *("x-amz-copy-source-range", "x-amz-metadata-directive", "x-amz-expected-bucket-owner", "x-amz-object-lock-mode"),
    *("x-amz-object-lock-retain-until-date", "x-amz-bypass-governance-retention", "x-amz-mfa", "Origin", "Date"),
    *("Access-Control-Request-Method", "X-Forwarded-Uri", "X-Emr-Studio-Uri", "Cookie", "Upgrade", "Connection", "TE"),
    *("x-amz-security-token", "x-amz-date", "x-amz-content-sha256", "x-amz-bucket-object-lock-enabled", "Accept"),
    *("x-amz-website-redirect-location", "x-amz-request-payer", "x-amz-checksum-mode", "x-amz-tagging-directive"),
)
VALUES = (
    *("", "x", "*", "0", "-1", "1", "99999999999999999999", "bytes=0-1", "bytes=5-", "bytes=-1", "bytes=9-1"),
    *(
        f"{BUCKET}/bob/secret",
        f"/{BUCKET}/alice/own",
        f"{BUCKET}/alice/../bob/secret",
        "public-read",
        "a=b&c=d",
        "a&=;",
    ),
    *(
        "aws:kms",
        "STANDARD",
        "GLACIER",
        "gzip",
        "aws-chunked",
        "chunked",
        "100-continue",
        "true",
        "2030-01-01T00:00:00Z",
    ),
    *(
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "UNSIGNED-PAYLOAD",
        "0" * 64,
        "CRC32",
    ),
    *("alice/", "bob/", "alice/*", "url", "null", "20261126T000000Z", "Wed, 21 Oct 2026 07:28:00 GMT", "REPLACE", "é"),
    *(
        "a" * 5000,
        "\xff\xfe",
        "x-amz-checksum-crc32c",
        "AAAAAA==",
        "websocket",
        "keep-alive, Authorization",
        "GOVERNANCE",
    ),
)
BODIES = (
    *(b"", b"", b"x", b"<Delete><Object><Key>bob/secret</Key></Object></Delete>", b"<Tagging><TagSet/></Tagging>"),
    *(b"<Delete><Object><Key>alice/own</Key></Object></Delete>", b"{}", b"<a", b"\x00\xff" * 100),
    *(b"5;chunk-signature=0\r\nhello\r\n0;chunk-signature=0\r\n\r\n", b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"),
    *(b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",),
)
_HANGS = 0
"""In place of a status: nothing came."""
_BLANKS = re.compile(r"\s+")


class Case:
    """One request, made from its seed."""

    def __init__(self, seed: int, rig: Rig, keys: Keys) -> None:
        self.random = Random(seed)
        self.rig, self.keys = rig, keys
        self.broken = False
        """Bytes of its head were changed: it may have no end, and the server rightly waits for more."""
        self.method = self.random.choice(METHODS[:5] * 4 + METHODS)
        self.target = self._path() + self._query()
        self.body = self.random.choice(BODIES)
        self.headers = {name.lower(): self.random.choice(VALUES) for name in self._some(HEADERS, 4)}

    def _some(self, values: tuple[str, ...], most: int) -> list[str]:
        # Often none: one mutation goes deeper than five.
        return [self.random.choice(values) for _ in range(self.random.choice((0, 0, 0, 1, 1, most)))]

    def _path(self) -> str:
        start = self.random.choice((f"/{BUCKET}/alice/", f"/{BUCKET}/alice/", f"/{BUCKET}/", f"/{BUCKET}", "/", ""))
        if self.random.random() < 0.4:
            return f"/{BUCKET}/alice/{self.random.choice(('own', 'a', 'b/c'))}"
        return start + self.random.choice(("/", "/", "")).join(self._some(PIECES, 5))

    def _query(self) -> str:
        parts = [f"{name}{self._value()}" for name in self._some(PARAMETERS, 3)]
        return f"?{'&'.join(parts)}" if parts else ""

    def _value(self) -> str:
        return self.random.choice(("", "=", "=" + self.random.choice(PIECES), f"={quote(self.random.choice(VALUES))}"))

    def data(self) -> bytes:
        """The request as bytes: signed rightly, mostly."""
        lines = [("Host", self.rig.host), *self._signed(), *self._unsigned(), ("Connection", "close")]
        if self.body and self.random.random() < 0.95:
            lines.append(("Content-Length", str(len(self.body) + self.random.choice((0, 0, 0, 0, 0, -1)))))
        head = request_bytes(self.method, self.target, lines)
        self.broken = self.random.random() < 0.05
        return (self._broken(head) if self.broken else head) + self.body

    def _unsigned(self) -> list[tuple[str, str]]:
        if self.random.random() < 0.8:
            return []
        return [(name, self.random.choice(VALUES)) for name in self._some(HEADERS, 2)]

    def _broken(self, head: bytes) -> bytes:
        at = self.random.randrange(len(head))
        return head[:at] + self.random.randbytes(self.random.randint(0, 3)) + head[at + self.random.randint(0, 3) :]

    def _signed(self) -> list[tuple[str, str]]:
        now = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        given = {"x-amz-date": now, "x-amz-content-sha256": hashlib.sha256(self.body).hexdigest()} | self.headers
        if self.random.random() < 0.3:
            given["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
        headers = {"host": self.rig.host} | given
        names = ";".join(sorted(headers))
        path, _, query = self.target.partition("?")
        lines = "".join(f"{name}:{_BLANKS.sub(' ', headers[name].strip())}\n" for name in sorted(headers))
        parts = (self.method, path, _canonical(query), lines, names, headers["x-amz-content-sha256"])
        digest = hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
        scope = f"{now[:8]}/{REGION}/s3/aws4_request"
        key = ("AWS4" + self.keys.secret_access_key).encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        to_sign = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{digest}"
        signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        said = f"AWS4-HMAC-SHA256 Credential={self.keys.access_key_id}/{scope}, SignedHeaders={names}, Signature="
        return [*given.items(), ("Authorization", said + signature)]


def _canonical(query: str) -> str:
    pairs = [part.partition("=") for part in query.split("&") if part]
    encoded = [(_encoded(name), _encoded(value)) for name, _, value in pairs if name != "X-Amz-Signature"]
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text.replace("+", " ")), safe="~")


@pytest.fixture(scope="module")
def fuzzer(s3: Rig) -> Keys:
    """Keys of one who may do anything below `alice/`, beside objects that she may not see."""
    s3.client().create_bucket(Bucket=BUCKET)
    keys = s3.user("fuzzer", POLICY)
    for key in OTHERS:
        s3.client().put_object(Bucket=BUCKET, Key=key, Body=SECRET)
    s3.client(keys).put_object(Bucket=BUCKET, Key="alice/own", Body=b"hers")
    return keys


def test_mutated_requests(s3: Rig, fuzzer: Keys) -> None:
    before, pids = _others(s3), _pids(s3)
    statuses: dict[int, int] = {}
    waited: list[tuple[int, Case, Future[RawReply]]] = []
    with ThreadPoolExecutor(128) as pool:
        for seed in seeds(CASES):
            case = Case(seed, s3, fuzzer)
            data = case.data()
            if case.broken:
                # A head that has no end is rightly waited for: not as long, and beside the others.
                waited.append((seed, case, pool.submit(_send, s3, data, 10)))
            else:
                reply = _send(s3, data, 60)
                statuses[reply.status] = statuses.get(reply.status, 0) + 1
                _check(seed, case, reply)
        for seed, case, answer in waited:
            statuses[answer.result().status] = statuses.get(answer.result().status, 0) + 1
            _check(seed, case, answer.result())
    print("answers by status:", dict(sorted(statuses.items())))
    assert _others(s3) == before
    assert _pids(s3) == pids
    assert (
        s3.client(fuzzer).list_objects_v2(Bucket=BUCKET, Prefix="alice/")["ResponseMetadata"]["HTTPStatusCode"] == 200
    )
    # Enough of them came as far as the store, or the fuzzer has lost its way in.
    assert sum(statuses.get(status, 0) for status in (200, 204, 206, 404)) > sum(statuses.values()) // 20


def _check(seed: int, case: Case, reply: RawReply) -> None:
    shown = (seed, case.method, case.target[:200], case.headers, reply.status, reply.body[:300])
    assert reply.status != _HANGS or case.broken, shown
    assert reply.status < 500 or reply.status == 501 or _is_the_stores(reply), shown
    assert SECRET not in reply.body, shown
    assert b"<Contents>" not in reply.body or b"<Key>bob/" not in reply.body, shown


def _send(s3: Rig, data: bytes, seconds: float) -> RawReply:
    """One request on a connection of its own; nothing after so many seconds is a hang."""
    with closing(socket.create_connection(("127.0.0.1", s3.settings.port), timeout=seconds)) as connection:
        try:
            connection.sendall(data)
            return read_reply(connection)
        except OSError as error:  # closed before all was read: what could not be a request
            return RawReply(_HANGS if isinstance(error, TimeoutError) else 400, "", b"")


def _is_the_stores(reply: RawReply) -> bool:
    # Its ids have 24 digits, ours 16.
    found = re.search(r"(?i)^x-amz-request-id: ([0-9A-F]+)", reply.head, re.MULTILINE)
    return bool(found and len(found.group(1)) == 24)


def _others(s3: Rig) -> list[tuple[str, str]]:
    """What the store has outside of the fuzzer's prefix, and which buckets there are."""
    with s3.bare() as store:
        listed = store.get(f"/{BUCKET}?list-type=2&max-keys=1000&encoding-type=url").text
        found = zip(re.findall("<Key>(.*?)</Key>", listed), re.findall("<ETag>(.*?)</ETag>", listed), strict=True)
        return sorted(
            pair for pair in found if not pair[0].startswith(("alice/", "alice%2F")) or pair[0] == "alice%252F"
        )


def _pids(s3: Rig) -> list[int]:
    return [part.process.pid for part in s3.supervisor.parts if part.process and part.process.poll() is None]
