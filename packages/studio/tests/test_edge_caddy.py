"""Caddy's configuration, its checks, and the files it serves by itself."""

from __future__ import annotations

import gzip
import json
import re
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from emr_studio.edge import caddy
from emr_studio.edge.config import caddy_config, edge_socket
from emr_studio.edge.decisions import EdgeAnswer
from emr_studio.settings import Settings
from tests.support.edge_rig import Rig, edge_rig

HOST = "e-abc.workspace.localhost"
FOREVER = "public, max-age=31536000, immutable"
READY = "ready();" * 500


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with JupyterLab's files where an installation has them."""
    root = tmp_path_factory.mktemp("root")
    share = root / ".envs" / "workspace" / "share" / "jupyter"
    for name, text in (
        ("lab/static/1014.073326ef5d98db5e.js", "chunk();" * 500),
        ("lab/static/0031b1860ea4ad75.woff", "font"),
        ("lab/static/package.json", "{}"),
        ("labextensions/@jupyterlab/git/static/remoteEntry.0123456789abcdef0123.js", "git"),
        ("labextensions/@jupyterlab/git/package.json", "{}"),
        ("lab/static/2048.073326ef5d98db5e.js", READY),
        ("secret.txt", "secret"),
    ):
        path = share / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (share / "lab/static/2048.073326ef5d98db5e.js.gz").write_bytes(gzip.compress(READY.encode(), mtime=0))
    return root


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Iterator[Rig]:
    def nobody(_request: object) -> EdgeAnswer:
        return EdgeAnswer(401, body=b"asked")

    with edge_rig(tmp_path_factory.mktemp("edge"), {"workspace": nobody}, repository_root=checkout) as rig:
        yield rig


@pytest.mark.parametrize(
    "path",
    [
        "/static/lab/1014.073326ef5d98db5e.js?v=1",
        "/static/lab/0031b1860ea4ad75.woff",
        "/lab/extensions/@jupyterlab/git/static/remoteEntry.0123456789abcdef0123.js",
    ],
)
def test_hashed_files_are_kept_for_ever_and_nobody_is_asked(rig: Rig, path: str) -> None:
    reply = rig.get(path, HOST)
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == FOREVER
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/static/lab/package.json", "/lab/extensions/@jupyterlab/git/package.json"])
def test_other_files_are_asked_for_again(rig: Rig, path: str) -> None:
    reply = rig.get(path, HOST)
    assert reply.headers["cache-control"] == "no-cache"
    again = rig.get(path, HOST, headers={"If-None-Match": reply.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "/static/lab/nothing.js",
        "/static/lab/",
        "/static/lab/../../secret.txt",
        "/static/lab/..%2F..%2Fsecret.txt",
        "/lab/extensions/../secret.txt",
        "/lab/extensions/mine/static/x.js",
        "/lab/tree/x.ipynb",
    ],
)
def test_all_else_is_asked_about(rig: Rig, path: str) -> None:
    with closing(socket.create_connection(("127.0.0.1", rig.settings.port))):
        request = f"GET {path} HTTP/1.1\r\nHost: {rig.host(HOST)}\r\nConnection: close\r\n\r\n"
        reply = rig.raw(request.encode())
    assert (reply.status, reply.body) == (401, b"asked")


def test_scripts_are_compressed(rig: Rig) -> None:
    with httpx.Client(timeout=60) as client:
        url = f"http://127.0.0.1:{rig.settings.port}/static/lab/1014.073326ef5d98db5e.js"
        for encoding in ("gzip", "zstd"):
            headers = {"Host": rig.host(HOST), "Accept-Encoding": encoding}
            with client.stream("GET", url, headers=headers) as reply:
                assert reply.headers["content-encoding"] == encoding
                body = b"".join(reply.iter_raw())
            assert len(body) < 1000
            if encoding == "gzip":
                assert gzip.decompress(body) == b"chunk();" * 500


def test_what_was_compressed_beforehand_is_sent_as_it_is(rig: Rig) -> None:
    with httpx.Client(timeout=60) as client:
        url = f"http://127.0.0.1:{rig.settings.port}/static/lab/2048.073326ef5d98db5e.js"
        headers = {"Host": rig.host(HOST), "Accept-Encoding": "gzip, deflate, br, zstd"}
        with client.stream("GET", url, headers=headers) as reply:
            body = b"".join(reply.iter_raw())
    assert body == gzip.compress(READY.encode(), mtime=0)
    told = [reply.headers[name] for name in ("content-encoding", "cache-control", "vary")]
    assert told == ["gzip", FOREVER, "Accept-Encoding"]
    assert reply.headers["content-type"].startswith("text/javascript")


def test_requests_wait_for_a_control_plane_that_restarts(rig: Rig) -> None:
    path = rig.settings.api_socket
    away = path.with_suffix(".away")
    path.rename(away)
    back = threading.Timer(0.5, away.rename, (path,))
    back.start()
    reply = rig.get("/", "localhost", method="POST", content=b"{}")
    back.join()
    assert (reply.status_code, reply.json()["length"]) == (200, 2)


def test_a_file_is_served_on_workspaces_only(rig: Rig) -> None:
    reply = rig.get("/static/lab/package.json", "localhost")
    assert reply.status_code == 404  # it could be a bucket's; this rig has none


def test_the_edge_does_not_say_what_it_is(rig: Rig) -> None:
    reply = rig.get("/", "localhost")
    assert "caddy" not in str(reply.headers).lower()


def test_the_control_plane_takes_16_mib_and_no_more(rig: Rig) -> None:
    assert rig.get("/", "localhost", method="POST", content=bytes(1 << 20)).json()["length"] == 1 << 20
    assert rig.get("/", "localhost", method="POST", content=bytes(17 << 20)).status_code == 413


def test_nothing_but_loopback_listens_and_no_admin_api(rig: Rig) -> None:
    config = json.loads(caddy.config_path(rig.settings).read_text())
    assert config["admin"]["disabled"] is True
    (server,) = config["apps"]["http"]["servers"].values()
    assert server["listen"] == [f"unix/{edge_socket(rig.settings)}|0600"]
    (alone,) = caddy_config(Settings(port=1234, lane=False))["apps"]["http"]["servers"].values()
    assert alone["listen"] == ["127.0.0.1:1234"]


def test_the_written_configuration_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = caddy.write_config(Settings(data_dir=tmp_path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["caddy.json"]


@pytest.mark.parametrize("more", [{}, {"scheme": "https", "domain": "studio.example.com"}])
def test_caddy_takes_the_configuration(tmp_path: Path, more: dict[str, str]) -> None:
    caddy.check_config(Settings.model_validate({"data_dir": tmp_path, "port": 18099} | more))


def test_a_port_in_use_is_named_with_a_way_out(tmp_path: Path) -> None:
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(caddy.EdgeError, match=f"Port {port} is in use .*--port 0"):
            caddy.check_port(Settings(data_dir=tmp_path, port=port))
        with pytest.raises(SystemExit, match=r"The edge cannot start\. Port"):
            caddy.run_edge(Settings(data_dir=tmp_path, port=port, lane=False))


def test_a_configuration_that_caddy_refuses_is_told(tmp_path: Path) -> None:
    with pytest.raises(caddy.EdgeError, match="refuses"):
        caddy.check_config(Settings(data_dir=tmp_path, port=99999999, lane=False))


@pytest.mark.parametrize("endpoint", ["http://10.0.0.1:9000", "https://s3.example.com"])
def test_the_configuration_for_an_s3_of_ones_own_is_taken_by_caddy(tmp_path: Path, endpoint: str) -> None:
    caddy.check_config(Settings(data_dir=tmp_path, s3_endpoint=endpoint))


def test_hosts_are_those_of_the_domain() -> None:
    text = json.dumps(caddy_config(Settings(domain="Studio.Example.com:8443", scheme="https", port=8443)))
    hosts = set(re.findall(r'"(\S*studio\.example\.com\S*)"', text))
    kinds = ("*.studio", "*.workspace", "*.appui", "s3", "*.s3")
    assert hosts == {"studio.example.com", *(f"{kind}.studio.example.com" for kind in kinds)}
