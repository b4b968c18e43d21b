"""Fetching Spark's S3 jars: verified, once, and nothing left behind when it fails."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from emr_studio_cluster import jars, spark


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A resolver that brings one jar; the list says how often."""
    done: list[Path] = []

    def fetch(_lock: Any, scratch: Path) -> Path:
        done.append(scratch)
        (scratch / "jars").mkdir()
        (scratch / "jars" / "a.jar").write_bytes(b"jar")
        return scratch / "jars"

    monkeypatch.setattr(jars, "_fetch", fetch)
    lock = {"packages": ["g:a:1"], "excluded": [], "sha256": {"a.jar": hashlib.sha256(b"jar").hexdigest()}}
    monkeypatch.setattr(jars, "read_lock", lambda _release: lock)
    return done


def test_fetched_once(tmp_path: Path, fetches: list[Path]) -> None:
    folder = tmp_path / "jars" / "r"
    assert [jar.name for jar in jars.ensure_jars("r", folder)] == ["a.jar"]
    jars.ensure_jars("r", folder)
    assert len(fetches) == 1
    assert folder.stat().st_mode & 0o777 == 0o755


def test_a_damaged_jar_is_fetched_again(tmp_path: Path, fetches: list[Path]) -> None:
    folder = tmp_path / "jars" / "r"
    jars.ensure_jars("r", folder)
    (folder / "a.jar").write_bytes(b"damaged")
    jars.ensure_jars("r", folder)
    assert (folder / "a.jar").read_bytes() == b"jar"
    assert len(fetches) == 2


def test_another_jar_is_refused(tmp_path: Path, fetches: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    lock = {"packages": [], "excluded": [], "sha256": {"a.jar": "0" * 64}}
    monkeypatch.setattr(jars, "read_lock", lambda _release: lock)
    with pytest.raises(jars.JarsUnavailable, match=r"a\.jar: SHA-256"):
        jars.ensure_jars("r", tmp_path / "jars" / "r")
    assert list((tmp_path / "jars").iterdir()) == []


def test_no_network_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "spark"
    (home / "bin").mkdir(parents=True)
    submit = home / "bin" / "spark-submit"
    submit.write_text("#!/bin/sh\necho 'unresolved dependency: hadoop-aws' >&2\nexit 1\n")
    submit.chmod(0o755)
    monkeypatch.setattr(spark, "spark_home", lambda: home)
    assert jars.main(["emr-8.0.0", str(tmp_path / "jars")]) == 1
    assert "unresolved dependency: hadoop-aws" in capsys.readouterr().err
    assert not (tmp_path / "jars").exists()
    assert jars.main(["emr-0.0.0", str(tmp_path / "jars")]) == 1
    assert "no jars are known for emr-0.0.0" in capsys.readouterr().err


def test_the_lock_names_every_jar_by_its_sum() -> None:
    lock = jars.read_lock("emr-8.0.0")
    assert len(lock["sha256"]) == 34
    assert all(len(value) == 64 for value in lock["sha256"].values())
