"""How bytes and names travel: declared hashes, framings, hosts of buckets, other origins, browsers' forms."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import socket
import zlib
from typing import Any

import boto3
import httpx
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.support.s3_door import REGION, Door

NAME = "wire"
DOTTED = "wire.with.dots"


@pytest.fixture(scope="module")
def s3(door: Door) -> Any:
    client = door.client(door.admin)
    for name in (NAME, DOTTED):
        client.create_bucket(Bucket=name)
    return client


def keys_of(s3: Any, prefix: str) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket=NAME, Prefix=prefix).get("Contents", [])]


class Declaring(S3SigV4Auth):
    """Signs a payload hash of our choice."""

    def __init__(self, door: Door, declared: str) -> None:
        super().__init__(Credentials(*door.admin), "s3", REGION)
        self._declared = declared

    def payload(self, request: AWSRequest) -> str:
        return self._declared


def put(door: Door, key: str, body: bytes, declared: str, query: str = "", **headers: str) -> httpx.Response:
    url = f"{door.url}/{NAME}/{key}{query}"
    request = AWSRequest("PUT", url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    Declaring(door, declared).add_auth(request)
    return httpx.put(url, headers=dict(request.headers.items()), content=body, timeout=60)


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def test_a_declared_hash_is_compared_with_the_body(door: Door, s3: Any) -> None:
    assert put(door, "hash/right", b"abc", sha256(b"abc")).status_code == 200
    for body in (b"abd", b"", secrets.token_bytes(20 << 20)):
        refused = put(door, "hash/wrong", body, sha256(b"abc"))
        assert (refused.status_code, b"<Code>BadDigest</Code>" in refused.content) == (400, True)
    assert put(door, "hash/right", b"abd", sha256(b"abc")).status_code == 400
    assert keys_of(s3, "hash/") == ["hash/right"]
    assert s3.get_object(Bucket=NAME, Key="hash/right")["Body"].read() == b"abc"


def test_a_declared_hash_of_a_part_is_compared_too(door: Door, s3: Any) -> None:
    upload = s3.create_multipart_upload(Bucket=NAME, Key="hash/parts")["UploadId"]
    query = f"?partNumber=1&uploadId={upload}"
    assert put(door, "hash/parts", b"abd", sha256(b"abc"), query).status_code == 400
    etag = put(door, "hash/parts", b"abc", sha256(b"abc"), query).headers["etag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    s3.complete_multipart_upload(Bucket=NAME, Key="hash/parts", UploadId=upload, MultipartUpload=parts)
    assert s3.get_object(Bucket=NAME, Key="hash/parts")["Body"].read() == b"abc"


def test_a_checksum_of_the_clients_own_is_compared(door: Door, s3: Any) -> None:
    right = base64.b64encode(zlib.crc32(b"abc").to_bytes(4, "big")).decode()
    assert put(door, "sum/right", b"abc", sha256(b"abc"), x_amz_checksum_crc32=right).status_code == 200
    assert put(door, "sum/wrong", b"abd", sha256(b"abc"), x_amz_checksum_crc32=right).status_code == 400
    other = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    assert put(door, "sum/wrong", b"abc", sha256(b"abc"), x_amz_checksum_sha256=other).status_code == 400
    md5 = base64.b64encode(hashlib.md5(b"abc").digest()).decode()
    assert put(door, "sum/wrong", b"abd", "UNSIGNED-PAYLOAD", content_md5=md5).status_code == 400
    with pytest.raises(ClientError, match="BadDigest"):
        s3.put_object(Bucket=NAME, Key="sum/wrong", Body=b"abc", ChecksumCRC32="AAAAAA==")
    assert keys_of(s3, "sum/") == ["sum/right"]


def chunks(body: bytes, *, signed: bool, trailer: str = "") -> bytes:
    tail = f";chunk-signature={'0' * 64}" if signed else ""
    framed = b"".join(
        f"{len(part):x}{tail}\r\n".encode() + part + b"\r\n"
        for part in (*(body[i : i + 65536] for i in range(0, len(body), 65536)),)
    )
    return framed + f"0{tail}\r\n{trailer}\r\n".encode()


@pytest.mark.parametrize(
    ("mode", "signed", "with_trailer"),
    [
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", False, True),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", True, False),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", True, True),
    ],
)
def test_every_framing(door: Door, s3: Any, mode: str, signed: bool, with_trailer: bool) -> None:
    body = secrets.token_bytes(150_000)
    crc = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    key = f"framing/{mode}"
    headers = {"x_amz_decoded_content_length": str(len(body)), "content_encoding": "gzip,aws-chunked"}
    if with_trailer:
        headers["x_amz_trailer"] = "x-amz-checksum-crc32"
    wrong, trailer = "", ""
    if with_trailer:
        end = f"x-amz-trailer-signature:{'0' * 64}\r\n" if signed else ""
        trailer, wrong = f"x-amz-checksum-crc32:{crc}\r\n{end}", f"x-amz-checksum-crc32:AAAAAA==\r\n{end}"
    assert put(door, key, chunks(body, signed=signed, trailer=trailer), mode, **headers).status_code == 200
    found = s3.get_object(Bucket=NAME, Key=key)
    # How it was sent is no property of the object.
    assert (found["Body"]._raw_stream.read(decode_content=False), found["ContentEncoding"]) == (body, "gzip")
    if with_trailer:
        refused = put(door, key + "-wrong", chunks(body, signed=signed, trailer=wrong), mode, **headers)
        assert refused.status_code == 400
    cut = put(door, key + "-wrong", chunks(body, signed=signed)[:-20], mode, **headers)
    assert cut.status_code == 400
    assert keys_of(s3, f"framing/{mode}-wrong") == []


def test_a_folder_holds_no_bytes(door: Door, s3: Any) -> None:
    s3.put_object(Bucket=NAME, Key="folder/", Body=b"")
    assert s3.head_object(Bucket=NAME, Key="folder/")["ContentLength"] == 0
    with pytest.raises(ClientError, match="NotImplemented"):
        s3.put_object(Bucket=NAME, Key="folder/", Body=b"x")
    with pytest.raises(ClientError, match="NotImplemented"):
        s3.create_multipart_upload(Bucket=NAME, Key="folder/")


# --- Hosts of buckets


@pytest.fixture
def by_host(door: Door, monkeypatch: pytest.MonkeyPatch) -> Any:
    """boto3 as a browser or a machine with a DNS of its own: every `*.localhost` is this machine."""
    looked_up = socket.getaddrinfo

    def local(host: Any, *arguments: Any, **more: Any) -> Any:
        return looked_up("127.0.0.1" if str(host).endswith("localhost") else host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", local)
    return boto3.session.Session(*door.admin, region_name=REGION).client(
        "s3",
        endpoint_url=f"http://s3.{door.settings.host_port}",
        config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}),
    )


@pytest.mark.parametrize("bucket", [NAME, DOTTED])
@pytest.mark.parametrize("key", ["k", "a/ü b+c%2F#.txt", "_edge/s3", "a'(b)*!~&=$@:;,?"])
def test_a_bucket_in_the_host(door: Door, s3: Any, by_host: Any, bucket: str, key: str) -> None:
    by_host.put_object(Bucket=bucket, Key=key, Body=b"by host")
    # Seen the other way, by the path.
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"by host"
    link = by_host.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
    assert link.startswith(f"http://{bucket}.s3.")
    answer = httpx.get(link, timeout=60)
    assert answer.content == b"by host", answer.text
    assert key in [item["Key"] for item in by_host.list_objects_v2(Bucket=bucket)["Contents"]]
    by_host.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    deleted = by_host.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}, {"Key": "copy"}]})
    assert len(deleted["Deleted"]) == 2


def test_settings_by_host(door: Door, by_host: Any) -> None:
    me = f"arn:aws:iam::{door.settings.account_id}:user/alice"
    resource = f"arn:aws:s3:::{DOTTED}/*"
    statement = {"Effect": "Allow", "Principal": {"AWS": me}, "Action": "s3:GetObject", "Resource": resource}
    by_host.put_bucket_policy(Bucket=DOTTED, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert json.loads(by_host.get_bucket_policy(Bucket=DOTTED)["Policy"])["Statement"] == [statement]
    by_host.delete_bucket_policy(Bucket=DOTTED)
    by_host.create_bucket(Bucket="made.by.host")
    by_host.head_bucket(Bucket="made.by.host")
    by_host.delete_bucket(Bucket="made.by.host")
    with pytest.raises(ClientError, match="404"):
        by_host.head_bucket(Bucket="made.by.host")
    assert DOTTED in [item["Name"] for item in by_host.list_buckets()["Buckets"]]


def test_a_signature_is_good_for_one_host(door: Door, s3: Any, by_host: Any) -> None:
    s3.put_object(Bucket=DOTTED, Key="x", Body=b"")
    link = by_host.generate_presigned_url("get_object", Params={"Bucket": NAME, "Key": "x"})
    moved = link.replace(f"{NAME}.s3.", f"{DOTTED}.s3.")
    assert httpx.get(moved, timeout=60).status_code == 403
    host = {"Host": f"{DOTTED}.s3.{door.settings.host_port}"}
    target = link.partition(door.settings.host_port)[2]
    assert httpx.get(f"http://127.0.0.1:{door.settings.port}{target}", headers=host, timeout=60).status_code == 403


def test_unsigned_requests_to_hosts_of_buckets(door: Door, s3: Any) -> None:
    base = f"http://127.0.0.1:{door.settings.port}"
    for host, target, status in (
        (f"{NAME}.s3.localhost", "/", 403), ("s3.localhost", f"/{NAME}", 403), ("s3.localhost", "/", 403),
        ("nothing-here.s3.localhost", "/x", 404), ("s3.localhost", "/nothing-here/x", 404),
        (f"{NAME}.s3.localhost", "/_edge/s3", 403), ("x.s3.localhost.evil.example", "/", 404),
    ):  # fmt: skip
        answer = httpx.get(base + target, headers={"Host": host}, timeout=60)
        assert answer.status_code == status, (host, target)
        assert host.endswith("example") or b"<Error><Code>" in answer.content


# --- Other origins


def test_pages_of_other_origins_get_what_the_rules_say(door: Door, s3: Any) -> None:
    link = door.client(door.admin, signature_version="s3v4").generate_presigned_url
    s3.put_object(Bucket=NAME, Key="cors", Body=b"x")
    get = link("get_object", Params={"Bucket": NAME, "Key": "cors"})
    origin = {"Origin": "https://page.example"}
    preflight = origin | {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
    target = f"{door.url}/{NAME}/cors"
    assert "access-control-allow-origin" not in httpx.get(get, headers=origin, timeout=60).headers
    assert httpx.options(target, headers=preflight, timeout=60).status_code == 403
    rule = {"AllowedOrigins": ["https://page.example"], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["*"]}
    s3.put_bucket_cors(Bucket=NAME, CORSConfiguration={"CORSRules": [rule | {"ExposeHeaders": ["ETag"]}]})
    allowed = httpx.options(target, headers=preflight, timeout=60)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, origin["Origin"])
    assert "PUT" in allowed.headers["access-control-allow-methods"]
    answered = httpx.get(get, headers=origin, timeout=60)
    assert answered.headers["access-control-allow-origin"] == origin["Origin"]
    assert "etag" in answered.headers["access-control-expose-headers"].lower()
    assert "DELETE" not in allowed.headers["access-control-allow-methods"]
    assert httpx.options(target, headers=preflight | {"Origin": "https://other.example"}, timeout=60).status_code == 403
    assert (
        "access-control-allow-origin"
        not in httpx.get(get, headers={"Origin": "https://other.example"}, timeout=60).headers
    )
    assert httpx.options(target, timeout=60).status_code == 400
    s3.delete_bucket_cors(Bucket=NAME)


def test_a_preflight_is_answered_as_s3_does(door: Door, s3: Any) -> None:
    target, page = f"{door.url}/{NAME}/cors", "https://a.page.example"
    asked = {"Origin": page, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-a, X-B"}
    refused = httpx.options(target, headers=asked, timeout=60)
    assert (refused.status_code, "CORS is not enabled for this bucket." in refused.text) == (403, True)
    rules = [
        {"AllowedOrigins": ["https://*.page.example"], "AllowedMethods": ["PUT"]},
        {
            "AllowedOrigins": ["https://*.page.example"],
            "AllowedMethods": ["GET"],
            "AllowedHeaders": ["X-*"],
            "MaxAgeSeconds": 7,
        },
        {"AllowedOrigins": ["*"], "AllowedMethods": ["HEAD"]},
    ]
    s3.put_bucket_cors(Bucket=NAME, CORSConfiguration={"CORSRules": rules})
    answer = httpx.options(target, headers=asked, timeout=60)
    told = {name: value for name, value in answer.headers.items() if name.startswith("access-control")}
    assert (answer.status_code, told) == (200, {
        "access-control-allow-origin": page, "access-control-allow-methods": "GET", "access-control-max-age": "7",
        "access-control-allow-headers": "x-a, x-b", "access-control-allow-credentials": "true",
    })  # fmt: skip
    # A rule matches as a whole: the first has the origin, but not these headers.
    for other in (
        {"Access-Control-Request-Method": "PUT"},
        {"Access-Control-Request-Method": "DELETE"},
        {"Origin": "https://page.example"},
    ):
        refused = httpx.options(target, headers=asked | other, timeout=60)
        assert (refused.status_code, "<Code>AccessForbidden</Code>" in refused.text) == (403, True)
    everybody = httpx.options(target, headers={"Origin": "null", "Access-Control-Request-Method": "HEAD"}, timeout=60)
    assert everybody.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in everybody.headers
    s3.delete_bucket_cors(Bucket=NAME)


def test_a_page_reads_our_own_answers_too(door: Door, s3: Any) -> None:
    page = {"Origin": "https://page.example"}
    rule = {
        "AllowedOrigins": ["https://page.example"],
        "AllowedMethods": ["GET", "POST"],
        "ExposeHeaders": ["x-amz-request-id"],
    }
    s3.put_bucket_cors(Bucket=NAME, CORSConfiguration={"CORSRules": [rule]})
    link = door.client(door.admin, signature_version="s3v4").generate_presigned_url
    denied = door.client(door.alice, signature_version="s3v4").generate_presigned_url
    for url, status in (
        (link("list_objects_v2", Params={"Bucket": NAME}), 200),
        (link("get_bucket_acl", Params={"Bucket": NAME}), 200),
        (denied("get_object", Params={"Bucket": NAME, "Key": "bob/1"}), 403),
        (f"{door.url}/{NAME}/unsigned", 403),
    ):
        answer = httpx.get(url, headers=page, timeout=60)
        assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (status, page["Origin"]), url
        assert answer.headers["access-control-expose-headers"] == "x-amz-request-id"
        other = httpx.get(url, headers={"Origin": "https://other.example"}, timeout=60)
        assert (other.status_code, "access-control-allow-origin" in other.headers) == (status, False)
    url, fields = fields_of(door, "form/cors")
    answer = post(url, fields | {"key": "elsewhere"}, b"x", **page)
    assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (403, page["Origin"])
    s3.delete_bucket_cors(Bucket=NAME)


def test_objects_on_the_consoles_origin_are_never_run(door: Door, s3: Any) -> None:
    s3.put_object(Bucket=NAME, Key="evil.html", Body=b"<script>1</script>", ContentType="text/html")
    link = door.client(door.admin, signature_version="s3v4").generate_presigned_url
    answer = httpx.get(
        link("get_object", Params={"Bucket": NAME, "Key": "evil.html"}), headers={"Cookie": "a=b"}, timeout=60
    )
    assert answer.headers["content-security-policy"].startswith("sandbox;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.content == b"<script>1</script>"


# --- Forms


def fields_of(door: Door, key: str, **more: Any) -> tuple[str, dict[str, str]]:
    client = door.client(more.pop("keys", door.admin), signature_version="s3v4")
    made = client.generate_presigned_post(NAME, key, **more)
    return made["url"], made["fields"]


def post(url: str, fields: dict[str, str], body: bytes, name: str = "a.txt", **headers: str) -> httpx.Response:
    return httpx.post(url, data=fields, files={"file": (name, body, "text/plain")}, headers=headers, timeout=60)


def test_a_browser_uploads_by_a_form(door: Door, s3: Any) -> None:
    url, fields = fields_of(door, "form/${filename}")
    assert url == f"{door.url}/{NAME}"
    answer = post(url, fields, b"hello", "C:\\folder\\ü 1.txt")
    assert (answer.status_code, answer.content) == (204, b"")
    found = s3.get_object(Bucket=NAME, Key="form/ü 1.txt")
    assert (found["Body"].read(), answer.headers["etag"]) == (b"hello", found["ETag"])


def test_what_a_form_sets(door: Door, s3: Any) -> None:
    extra = {
        "Content-Type": "image/png", "x-amz-meta-color": "blau ü", "success_action_status": "201", "acl": "private",
        "tagging": "<Tagging><TagSet><Tag><Key>a</Key><Value>b c</Value></Tag></TagSet></Tagging>",
    }  # fmt: skip
    conditions = [{name: value} for name, value in extra.items()] + [["content-length-range", 1, 50 << 20]]
    url, fields = fields_of(door, "form/set", Fields=extra, Conditions=conditions)
    body = secrets.token_bytes(30 << 20)
    answer = post(url, fields, body)
    assert (answer.status_code, b"<Key>form/set</Key>" in answer.content) == (201, True)
    found = s3.get_object(Bucket=NAME, Key="form/set")
    assert hashlib.sha256(found["Body"].read()).digest() == hashlib.sha256(body).digest()
    assert found["ContentType"] == "image/png"
    assert found["TagCount"] == 1
    for wrong in (b"", b"x" * (51 << 20)):
        refused = post(url, fields | {"key": "form/set"}, wrong)
        assert refused.status_code == 400
        assert b"<Code>EntityToo" in refused.content
    assert s3.head_object(Bucket=NAME, Key="form/set")["ContentLength"] == len(body)


def test_where_a_form_leads(door: Door, s3: Any) -> None:
    page = "https://page.example/done?x=1"
    extra = {"success_action_redirect": page}
    url, fields = fields_of(door, "form/led", Fields=extra, Conditions=[extra])
    answer = post(url, fields, b"x")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{page}&bucket={NAME}&key=form%2Fled&etag=")


def test_forms_that_are_refused(door: Door, s3: Any) -> None:
    url, fields = fields_of(door, "form/no")
    late, old = fields_of(door, "form/no", ExpiresIn=-10)
    weak, alices = fields_of(door, "form/no", keys=door.alice)
    cases = [
        (url, fields | {"x-amz-signature": "0" * 64}, "SignatureDoesNotMatch"),
        (url, fields | {"policy": fields["policy"][:-4] + "AAA="}, "SignatureDoesNotMatch"),
        (url, fields | {"key": "form/other"}, "AccessDenied"),
        (url, fields | {"x-amz-meta-more": "1"}, "AccessDenied"),
        (url, fields | {"x-amz-credential": fields["x-amz-credential"].replace("s3/", "iam/")}, "InvalidArgument"),
        (url, {name: value for name, value in fields.items() if name != "policy"}, "InvalidArgument"),
        (url, {name: value for name, value in fields.items() if name != "key"}, "InvalidArgument"),
        (url, {"key": "form/no"}, "AccessDenied"),
        (url.replace(NAME, DOTTED), fields, "AccessDenied"),
        (url.replace(NAME, "not-there"), fields, "AccessDenied"),
        (url.replace(NAME, "not-there"), {"key": "form/no"}, "NoSuchBucket"),
        (url, fields | {"padding": "x" * 21_000}, "MaxPostPreDataLengthExceeded"),
        (late, old, "AccessDenied"),
        (weak, alices, "AccessDenied"),
    ]
    for target, sent, code in cases:
        answer = post(target, sent, b"x")
        assert f"<Code>{code}</Code>" in answer.text, (sent, answer.text)
    head = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (b"", b"--x\r\n", b"nothing", b"--x\r\nContent-Disposition: form-data; name=key\r\n\r\na\r\n--x--\r\n"):
        answer = httpx.post(url, content=body, headers=head, timeout=60)
        assert answer.status_code == 400, (body, answer.text)
    assert httpx.post(url, content=b"x", headers={"Content-Type": "multipart/form-data"}, timeout=60).status_code == 400
    assert keys_of(s3, "form/no") == []


def test_a_form_that_is_cut_off_leaves_nothing(door: Door, s3: Any) -> None:
    url, fields = fields_of(door, "form/cut")
    request = httpx.Request("POST", url, data=fields, files={"file": ("a", b"x" * 1_000_000)})
    body = request.read()
    head = f"POST /{NAME} HTTP/1.1\r\nHost: {door.settings.host_port}\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Type: {request.headers['content-type']}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", door.settings.port)) as connection:
        connection.sendall(head.encode() + body[: len(body) // 2])
    whole = post(url, fields_of(door, "form/whole")[1], b"x")
    assert whole.status_code == 204
    assert keys_of(s3, "form/cut") == []


def test_a_form_from_a_page_of_another_origin(door: Door, s3: Any) -> None:
    rule = {"AllowedOrigins": ["https://page.example"], "AllowedMethods": ["POST"]}
    s3.put_bucket_cors(Bucket=NAME, CORSConfiguration={"CORSRules": [rule]})
    url, fields = fields_of(door, "form/cors")
    answer = post(url, fields, b"x", Origin="https://page.example")
    assert answer.headers["access-control-allow-origin"] == "https://page.example"
    answer = post(url, fields, b"x", Origin="https://other.example")
    assert (answer.status_code, "access-control-allow-origin" in answer.headers) == (204, False)
    s3.delete_bucket_cors(Bucket=NAME)
