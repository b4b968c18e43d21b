"""Ports that a server may keep, and what a client of one needs."""

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path

import pytest

from emr_studio.clusters.probe import NodeProbe
from emr_studio.loopback import certificates, free_port, port_is_free
from emr_studio.settings import Settings
from emr_studio.storage import store


def test_a_free_port_is_free_and_not_one_of_outgoing_connections() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(50):
        port = free_port()
        assert 10_000 <= port < first
        assert port_is_free(port)


def test_a_port_in_use_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert not port_is_free(listener.getsockname()[1])


def test_whoever_asks_over_plain_http_reads_no_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_arguments: object, **_named: object) -> ssl.SSLContext:
        raise AssertionError("certificates were read again")

    settings = Settings(data_dir=tmp_path)
    settings.store_dir.mkdir()
    (settings.store_dir / "ports.json").write_text(json.dumps({"s3": free_port(), "filer": free_port()}))
    certificates()
    monkeypatch.setattr(ssl, "create_default_context", read)
    assert not NodeProbe().has_pages(f"127.0.0.1:{free_port()}")
    assert not store.ready(settings)
