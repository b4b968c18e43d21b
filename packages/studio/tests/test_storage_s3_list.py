"""Lists through the door, from the real store: S3's order, pages, delimiters, versions, encodings, bad parameters."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError

from emr_studio.settings import Settings
from emr_studio.storage.store import store_client
from tests.support.s3_door import Door

PARTS = ["a", "a-", "a-b", "a.", "a.b", "a0", "a b", "ab", "a!", "ü", "ü-", "😀", "b", "-", ".x", "a+%2F&<", "~", "a*("]


def names(draw: random.Random, count: int) -> list[str]:
    made: set[str] = set()
    while len(made) < count:
        made.add("/".join(draw.choice(PARTS) for _ in range(draw.randint(1, 4))) + "/" * (draw.random() < 0.1))
    # The store does not take `x` and `x/`, an object and a folder's own.
    return sorted(key for key in made if key.removesuffix("/") == key or key[:-1] not in made)


def fill(settings: Settings, bucket: str, keys: list[str]) -> None:
    """Put empty objects into the store itself."""

    def some(first: int) -> None:
        with store_client(settings) as store:
            for key in keys[first::16]:
                store.put(f"/{bucket}/{quote(key, safe='/~')}").raise_for_status()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(some, range(16)))


@pytest.fixture(scope="module")
def s3(door: Door) -> Any:
    return door.client(door.admin)


@pytest.fixture(scope="module", params=["plain-names", "versioned-names"])
def tree(request: pytest.FixtureRequest, door: Door, s3: Any) -> tuple[str, list[str]]:
    """A bucket and its keys, in order; one without and one with versions."""
    keys = names(random.Random(4), 130)
    s3.create_bucket(Bucket=request.param)
    if request.param.startswith("v"):
        # Some are from before: what has no version and what has stand at other places in the store.
        fill(door.settings, request.param, keys[::3])
        s3.put_bucket_versioning(Bucket=request.param, VersioningConfiguration={"Status": "Enabled"})
        keys += [f"k{end}" for end in ("", ".a", ".z", "-", "/in", ".versio")]
    fill(door.settings, request.param, keys)
    return request.param, sorted(keys)


def second(s3: Any, bucket: str, size: int, **more: Any) -> Iterator[str]:
    for page in s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": size}, **more
    ):
        keys = [item["Key"] for item in page.get("Contents", [])]
        folders = [item["Prefix"] for item in page.get("CommonPrefixes", [])]
        assert page["KeyCount"] == len(keys) + len(folders) <= size
        assert (keys, folders) == (sorted(keys), sorted(folders))
        yield from sorted(keys + folders)


def rolled(keys: list[str], prefix: str, delimiter: str) -> list[str]:
    """What S3 tells of these keys: those with the prefix, rolled up at the delimiter."""
    parts = [(key[len(prefix) :].partition(delimiter)) for key in keys if key.startswith(prefix)]
    return list(dict.fromkeys(prefix + head + found for head, found, _ in parts))


@pytest.mark.parametrize("size", [1000, 7])
def test_all_keys_come_once_in_the_order_of_their_bytes(s3: Any, tree: tuple[str, list[str]], size: int) -> None:
    bucket, keys = tree
    assert list(second(s3, bucket, size)) == keys
    for prefix in ("a/", "a", "a-b/", "ü", "k", "nothing/"):
        assert list(second(s3, bucket, size, Prefix=prefix)) == [key for key in keys if key.startswith(prefix)], prefix


@pytest.mark.parametrize("delimiter", ["/", "-", "b/", "."])
def test_common_prefixes_stand_among_the_keys(s3: Any, tree: tuple[str, list[str]], delimiter: str) -> None:
    bucket, keys = tree
    for prefix in ("", "a/"):
        wanted = rolled(keys, prefix, delimiter)
        for size in (1000, 6):
            found = list(second(s3, bucket, size, Prefix=prefix, Delimiter=delimiter))
            assert found == wanted, (prefix, size)


def test_the_first_version_of_the_api(s3: Any, tree: tuple[str, list[str]]) -> None:
    bucket, keys = tree
    pages = list(s3.get_paginator("list_objects").paginate(Bucket=bucket, PaginationConfig={"PageSize": 50}))
    assert [item["Key"] for page in pages for item in page["Contents"]] == keys
    owner = pages[0]["Contents"][0]["Owner"]["ID"]
    assert owner == s3.list_buckets()["Owner"]["ID"]
    by_folder = s3.get_paginator("list_objects").paginate(
        Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 4}
    )
    found = [entry for page in by_folder for entry in sorted(_told(page))]
    assert found == rolled(keys, "", "/")
    middle = keys[len(keys) // 2]
    answer = s3.list_objects(Bucket=bucket, Marker=middle, MaxKeys=2)
    assert ([item["Key"] for item in answer["Contents"]], answer["Marker"]) == (
        keys[len(keys) // 2 + 1 :][:2],
        middle,
    )
    assert "NextMarker" not in answer


def _told(page: dict[str, Any]) -> list[str]:
    return [item["Key"] for item in page.get("Contents", [])] + [
        item["Prefix"] for item in page.get("CommonPrefixes", [])
    ]


def test_start_after_any_key(s3: Any, tree: tuple[str, list[str]]) -> None:
    bucket, keys = tree
    for number in range(0, len(keys), 25):
        for start in (keys[number], keys[number] + "-", keys[number][:-1] + "!"):
            answer = s3.list_objects_v2(Bucket=bucket, StartAfter=start, MaxKeys=5)
            wanted = [key for key in keys if key > start][:5]
            assert ([item["Key"] for item in answer.get("Contents", [])], answer.get("StartAfter", "")) == (
                wanted,
                start,
            )


@pytest.mark.parametrize("size", [1000, 3])
def test_versions_come_newest_first_in_the_order_of_keys(door: Door, s3: Any, size: int) -> None:
    bucket = f"history-{size}"
    keys = ["k", "k.bak", "k-1", "k/in", "k/in-x", "k0", "a/b", "a-b", "a.txt", "dir/"]
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    made = {
        key: [s3.put_object(Bucket=bucket, Key=key, Body=b"").get("VersionId", "null") for _ in range(4)]
        for key in keys
    }
    made["dir/"] = ["null"]
    for key in ("k", "a/b"):
        made[key].append(s3.delete_object(Bucket=bucket, Key=key)["VersionId"])
    wanted = [(key, version) for key in sorted(keys) for version in reversed(made[key])]
    found = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": size}):
        items = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        assert len(items) <= size
        found += [
            (item["Key"], item["VersionId"])
            for item in sorted(items, key=lambda item: wanted.index((item["Key"], item["VersionId"])))
        ]
    assert found == wanted
    latest = [item["Key"] for item in s3.list_object_versions(Bucket=bucket)["Versions"] if item["IsLatest"]]
    assert latest == sorted(set(keys) - {"k", "a/b"})
    told = [
        entry
        for page in s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": size}
        )
        for entry in (item["Prefix"] for item in page.get("CommonPrefixes", []))
    ]
    assert told == ["a/", "dir/", "k/"]


def test_a_key_with_more_versions_than_a_page(s3: Any) -> None:
    s3.create_bucket(Bucket="long-history")
    s3.put_bucket_versioning(Bucket="long-history", VersioningConfiguration={"Status": "Enabled"})
    made = [s3.put_object(Bucket="long-history", Key=key, Body=b"")["VersionId"] for key in ["k"] * 25 + ["k.z"]]
    pages = s3.get_paginator("list_object_versions").paginate(Bucket="long-history", PaginationConfig={"PageSize": 4})
    found = [item["VersionId"] for page in pages for item in page["Versions"]]
    assert found == [*reversed(made[:-1]), made[-1]]


def test_a_key_with_more_versions_than_the_store_tells_at_once(s3: Any, door: Door) -> None:
    s3.create_bucket(Bucket="longer-history")
    s3.put_bucket_versioning(Bucket="longer-history", VersioningConfiguration={"Status": "Enabled"})
    fill(door.settings, "longer-history", ["a", "k.a", "k-"] + ["k"] * 1004)
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket="longer-history", PaginationConfig={"PageSize": 400}
    )
    found = [(item["Key"], item["VersionId"]) for page in pages for item in page["Versions"]]
    assert [key for key, _ in found] == ["a"] + ["k"] * 1004 + ["k-", "k.a"]
    assert len(set(found)) == len(found)


def test_a_folder_that_became_empty_is_no_key(s3: Any, door: Door) -> None:
    s3.create_bucket(Bucket="emptied")
    s3.put_object(Bucket="emptied", Key="gone/k", Body=b"")
    s3.put_object(Bucket="emptied", Key="kept/", Body=b"")
    s3.delete_object(Bucket="emptied", Key="gone/k")
    assert [item["Key"] for item in s3.list_objects_v2(Bucket="emptied")["Contents"]] == ["kept/"]
    assert "Contents" not in s3.list_objects_v2(Bucket="emptied", Prefix="gone/")
    by_folder = s3.list_objects_v2(Bucket="emptied", Delimiter="/")
    assert [item["Prefix"] for item in by_folder["CommonPrefixes"]] == ["kept/"]
    assert [
        item["Key"] for item in s3.list_objects_v2(Bucket="emptied", Prefix="kept/", Delimiter="/")["Contents"]
    ] == ["kept/"]


def test_odd_keys_in_both_encodings(s3: Any, door: Door) -> None:
    s3.create_bucket(Bucket="odd-keys")
    keys = sorted(["a b+c", "a&b<c>", "ctl\x01x", "%41", "ü/ö", "q?x=1", "tab\tx", 'quote"'])
    for key in keys:
        s3.put_object(Bucket="odd-keys", Key=key, Body=b"")
    assert [item["Key"] for item in s3.list_objects_v2(Bucket="odd-keys")["Contents"]] == keys
    _, body = door.raw("GET", "/odd-keys?prefix=a", door.admin)
    assert [text in body for text in (b"<Key>a b+c</Key>", b"<Key>a&amp;b&lt;c&gt;</Key>")] == [True, True]
    _, body = door.raw("GET", "/odd-keys?encoding-type=url&prefix=a", door.admin)
    assert [text in body for text in (b"<Key>a%20b%2Bc</Key>", b"<EncodingType>url</EncodingType>")] == [True, True]
    _, body = door.raw("GET", "/odd-keys?prefix=ctl", door.admin)
    assert b"<Key>ctl&#x1;x</Key>" in body


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("max-keys=-1", b"max-keys"),
        ("max-keys=x", b"max-keys"),
        ("max-keys=3000000000", b"max-keys"),
        ("encoding-type=utf", b"Invalid Encoding Method"),
        ("list-type=2&continuation-token=", b"continuation token provided is incorrect"),
        ("list-type=2&continuation-token=made-up", b"continuation token provided is incorrect"),
        ("list-type=2&continuation-token=1%C3%BC", b"continuation token provided is incorrect"),
        ("version-id-marker=v&versions=", b"cannot be specified without a key marker"),
    ],
)
def test_bad_parameters(door: Door, query: str, message: bytes) -> None:
    status, body = door.raw("GET", f"/lake?{query}", door.admin)
    assert (status, message in body, b"<Code>InvalidArgument</Code>" in body) == (400, True, True), body


def test_numbers_of_keys(s3: Any, door: Door) -> None:
    none = s3.list_objects_v2(Bucket="lake", MaxKeys=0)
    assert (none["KeyCount"], none["IsTruncated"], none["MaxKeys"]) == (0, False, 0)
    assert s3.list_objects_v2(Bucket="lake", MaxKeys=5000)["MaxKeys"] == 1000
    assert "Owner" not in str(s3.list_objects_v2(Bucket="lake").get("Contents"))


def test_a_marker_outside_of_the_prefix_shows_nothing_else(door: Door) -> None:
    """Alice may list `alice/` alone: no marker or token brings other keys into sight."""
    admin, alice = door.client(door.admin), door.client(door.alice)
    for key in ("alice/1", "alice/2", "alic", "bob/1", "zoe"):
        admin.put_object(Bucket="lake", Key=f"{key}", Body=b"")
    for start in ("", "a", "alice", "alice/", "bob/0", "z", "alice0"):
        found = alice.list_objects_v2(Bucket="lake", Prefix="alice/", StartAfter=start)
        # Other tests have keys there too.
        assert all(item["Key"].startswith("alice/") for item in found.get("Contents", [])), start
    token = "1" + base64.urlsafe_b64encode(b"bob/0").decode()
    with pytest.raises(ClientError, match="AccessDenied"):
        alice.list_objects_v2(Bucket="lake", Prefix="bob/", ContinuationToken=token)
    assert "Contents" not in alice.list_objects_v2(Bucket="lake", Prefix="alice/", ContinuationToken=token)
