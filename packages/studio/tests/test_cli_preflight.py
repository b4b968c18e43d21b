"""What keeps a studio from starting is found before anything runs, and says what to do."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from emr_studio.cli import installation, preflight
from emr_studio.edge import caddy
from emr_studio.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return installation.prepare(tmp_path, 0)


def test_a_good_machine_has_no_problems(settings: Settings) -> None:
    assert preflight.problems(settings) == []


def test_a_port_in_use(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.port))
        taken.listen()
        (problem,) = preflight.problems(settings)
    assert f"Port {settings.port} is in use" in problem
    assert "--port 0" in problem


def test_a_broken_caddy(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "caddy"
    broken.write_text("#!/bin/sh\necho 'segmentation fault' >&2\nexit 139\n")
    broken.chmod(0o755)
    monkeypatch.setattr(caddy, "caddy_path", lambda: broken)
    (problem,) = preflight.problems(settings)
    assert "Caddy" in problem
    assert "segmentation fault" in problem


def test_no_java(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert any("Java is missing" in problem for problem in preflight.problems(settings))


def test_an_old_java(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert any("Java 11 is too old" in problem for problem in preflight.problems(settings))


def test_no_space(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "_LEAST_DISK_BYTES", 10**18)
    (problem,) = preflight.problems(settings)
    assert "are free where" in problem
    assert "--data-dir" in problem


def test_no_environment(settings: Settings, tmp_path: Path) -> None:
    found = preflight.problems(settings.model_copy(update={"repository_root": tmp_path}))
    assert any(".envs/workspace is missing. Mend: make install" in problem for problem in found)
