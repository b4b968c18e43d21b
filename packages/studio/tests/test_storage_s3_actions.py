"""Which IAM actions a request to S3 needs; how keys of a Workspace are named."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emr_studio.aws.errors import ClientError
from emr_studio.storage.names import checkpoint_path, conflict_name, is_safe_key, key_of
from emr_studio.storage.s3 import parse_s3_uri
from emr_studio.storage.s3_actions import needed
from emr_studio.storage.s3_request import read_copy_source, understand, write_copy_source

B, K = "arn:aws:s3:::b", "arn:aws:s3:::b/k"
CASES: list[tuple[str, str, dict[str, str], list[tuple[str, str]]]] = [
    ("GET /", "", {}, [("ListAllMyBuckets", "*")]),
    ("GET /b", "", {}, [("ListBucket", B)]),
    ("GET /b/", "list-type=2&prefix=x%2F", {}, [("ListBucket", B)]),
    ("HEAD /b", "", {}, [("ListBucket", B)]),
    ("PUT /b", "", {}, [("CreateBucket", B)]),
    ("DELETE /b", "", {}, [("DeleteBucket", B)]),
    ("GET /b", "location", {}, [("GetBucketLocation", B)]),
    ("GET /b", "uploads", {}, [("ListBucketMultipartUploads", B)]),
    ("GET /b", "versions&prefix=a", {}, [("ListBucketVersions", B)]),
    ("PUT /b", "lifecycle", {}, [("PutLifecycleConfiguration", B)]),
    ("DELETE /b", "cors", {}, [("PutBucketCORS", B)]),
    ("POST /b", "delete", {}, [("DeleteObject", B)]),
    ("GET /b/k", "", {}, [("GetObject", K)]),
    ("HEAD /b/k", "", {}, [("GetObject", K)]),
    ("GET /b/k", "versionId=1", {}, [("GetObjectVersion", K)]),
    ("GET /b/k", "attributes", {}, [("GetObject", K), ("GetObjectAttributes", K)]),
    ("GET /b/k", "uploadId=1", {}, [("ListMultipartUploadParts", K)]),
    ("GET /b/k", "tagging&versionId=1", {}, [("GetObjectVersionTagging", K)]),
    ("PUT /b/k", "", {}, [("PutObject", K)]),
    ("PUT /b/k", "partNumber=1&uploadId=1", {}, [("PutObject", K)]),
    ("PUT /b/k", "", {"x-amz-tagging": "a=b"}, [("PutObject", K), ("PutObjectTagging", K)]),
    ("PUT /b/k", "", {"x-amz-acl": "private"}, [("PutObject", K), ("PutObjectAcl", K)]),
    ("PUT /b/k", "", {"x-amz-copy-source": "c/d%20e"}, [("PutObject", K), ("GetObject", "arn:aws:s3:::c/d e")]),
    (
        "PUT /b/k",
        "partNumber=1&uploadId=1",
        {"x-amz-copy-source": "/c/d?versionId=3"},
        [("PutObject", K), ("GetObjectVersion", "arn:aws:s3:::c/d")],
    ),
    ("POST /b/k", "uploads", {}, [("PutObject", K)]),
    ("POST /b/k", "uploadId=1", {}, [("PutObject", K)]),
    ("DELETE /b/k", "", {}, [("DeleteObject", K)]),
    ("DELETE /b/k", "versionId=1", {}, [("DeleteObjectVersion", K)]),
    ("DELETE /b/k", "uploadId=1", {}, [("AbortMultipartUpload", K)]),
    ("DELETE /b/k", "tagging", {}, [("DeleteObjectTagging", K)]),
    ("GET //b///k", "", {}, [("GetObject", K)]),
    ("GET /b%2Fk", "", {}, [("GetObject", K)]),
    ("GET /b/k%252F", "", {}, [("GetObject", K + "%2F")]),
]


@pytest.mark.parametrize(("target", "query", "headers", "expected"), CASES)
def test_actions(target: str, query: str, headers: dict[str, str], expected: list[tuple[str, str]]) -> None:
    method, path = target.split()
    checks = needed(understand(method, path, query), headers, "aws")
    assert [(check.action.removeprefix("s3:"), check.resource) for check in checks] == expected


def test_condition_keys() -> None:
    request = understand("GET", "/b", "list-type=2&prefix=a%2Fb&delimiter=%2F&max-keys=5")
    context = needed(request, {}, "aws")[0].context
    assert (context["s3:prefix"], context["s3:delimiter"], context["s3:max-keys"]) == ("a/b", "/", "5")
    doubled = needed(understand("GET", "/b", "prefix=//a//b"), {}, "aws")[0].context
    assert doubled["s3:prefix"] == "a/b"
    tagged = needed(understand("PUT", "/b/k", ""), {"x-amz-tagging": "a=1&b=2"}, "aws")[0].context
    assert tagged["s3:RequestObjectTag/a"] == "1"
    assert tagged["s3:RequestObjectTagKeys"] == ["a", "b"]


@pytest.mark.parametrize(
    ("method", "path", "query", "code"),
    [
        ("PUT", "/b", "website", "NotImplemented"), ("PUT", "/b", "replication", "NotImplemented"),
        ("GET", "/b", "new-thing", "NotImplemented"), ("PATCH", "/b/k", "", "MethodNotAllowed"),
        ("POST", "/b", "", "MethodNotAllowed"), ("PATCH", "/b/k", "uploadId=1", "MethodNotAllowed"),
        ("GET", "/b/k", "acl&tagging", "InvalidArgument"), ("GET", "/b", "prefix=a&prefix=b", "InvalidArgument"),
        ("GET", "/b", "prefix=a&%70refix=b", "InvalidArgument"), ("GET", "/b/../c", "", "InvalidArgument"),
        ("GET", "/b/%2e/k", "", "InvalidArgument"), ("GET", "/b/%ff", "", "InvalidURI"),
        ("GET", "/b/%f", "", "InvalidURI"),
        ("GET", "http://x/b/k", "", "InvalidURI"), ("GET", "*", "", "InvalidURI"), ("GET", "/b", "a;b", "InvalidURI"),
        ("GET", "/b/a%5Cb", "", "InvalidArgument"), ("GET", "/b/a%00", "", "InvalidArgument"),
    ],
)  # fmt: skip
def test_what_could_be_misread_is_refused(method: str, path: str, query: str, code: str) -> None:
    with pytest.raises(ClientError) as error:
        needed(understand(method, path, query), {}, "aws")
    assert error.value.code == code


_KEYS = st.text(st.characters(exclude_characters="\\\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda key: not any(part in {"", ".", ".."} for part in key.split("/"))
)


@given(_KEYS)
def test_a_copy_source_is_handed_on_as_it_was_read(key: str) -> None:
    assert read_copy_source(write_copy_source("bucket", key, "")) == ("bucket", key, "")


@given(st.text(), st.text())
def test_no_request_is_an_error_of_ours(path: str, query: str) -> None:
    for method in ("GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS"):
        with contextlib.suppress(ClientError):
            assert needed(understand(method, "/" + path, query), {}, "aws")


@given(_KEYS)
def test_checkpoints_go_there_and_back(key: str) -> None:
    parts = key.split("/")
    if any(part.startswith((".", "~")) for part in parts) or parts[-1].endswith("."):
        return
    local = checkpoint_path("checkpoints/" + key)
    assert local is None or key_of(local) == "checkpoints/" + key


def test_names() -> None:
    assert key_of("a/x.ipynb") == "a/x.ipynb"
    assert key_of(".ipynb_checkpoints/x-checkpoint.ipynb") == "checkpoints/x.ipynb"
    assert key_of(".ipynb_checkpoints/stray.txt") is None
    assert conflict_name("a.ipynb", "now") == "a (conflict now).ipynb"
    assert conflict_name(".profile", "now") == ".profile (conflict now)"
    assert len(conflict_name("é" * 127 + ".x", "now").encode()) <= 255
    assert [is_safe_key(key) for key in ("a/b", "a/", "a//b", "../a", "a/./b", "/a", ".~a")] == [
        True,
        True,
        *[False] * 5,
    ]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [("s3://b/k", ("b", "k")), ("s3://b", ("b", "")), ("s3a://b/a#b?c", ("b", "a#b?c")), ("s3://b/a/", ("b", "a/"))],
)
def test_uris(uri: str, expected: tuple[str, str]) -> None:
    assert parse_s3_uri(uri) == expected
    with pytest.raises(ValueError, match="not an S3 URI"):
        parse_s3_uri(uri.replace("s3", "http", 1))
