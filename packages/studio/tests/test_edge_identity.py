"""Identity tokens and the key that signs them."""

from __future__ import annotations

import base64
import json
import stat
import threading
from pathlib import Path

import pytest

from emr_studio.aws.context import Caller
from emr_studio.clock import FakeClock
from emr_studio.edge.identity import IdentityError, IdentityIssuer, verify
from emr_studio.settings import Settings

CALLER = Caller("123456789012", "user", "arn:aws:iam::123456789012:user/ann", "", "AIDA1", "ann")


def issuer(folder: Path) -> IdentityIssuer:
    return IdentityIssuer(Settings(data_dir=folder))


def test_the_key_is_made_once_for_all_and_for_its_owner_alone(tmp_path: Path) -> None:
    keys: list[str] = []
    threads = [threading.Thread(target=lambda: keys.append(issuer(tmp_path).public_key_pem)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1
    path = tmp_path / "keys" / "edge.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["edge.key"]
    assert "PRIVATE" not in keys[0]


def test_a_role_session_is_known_by_its_session_name(tmp_path: Path) -> None:
    made, now = issuer(tmp_path), FakeClock().now()
    arn = "arn:aws:sts::123456789012:assumed-role/R/ann@example.com"
    caller = Caller("123456789012", "role-session", arn, "", "AROA1:ann@example.com", session_name="ann@example.com")
    claims = verify(made.issue("e-A", caller, now), made.public_key_pem, "e-A", now)
    assert (claims["name"], claims["sub"]) == ("ann@example.com", "AROA1:ann@example.com")


def test_tokens_of_another_installation_or_changed_ones_are_refused(tmp_path: Path) -> None:
    made, now = issuer(tmp_path / "a"), FakeClock().now()
    foreign = issuer(tmp_path / "b").issue("e-A", CALLER, now)
    header, payload, signature = made.issue("e-A", CALLER, now).split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    changed = base64.urlsafe_b64encode(json.dumps(claims | {"sub": "AIDA2"}).encode()).decode().rstrip("=")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    for token in (foreign, f"{header}.{changed}.{signature}", f"{none}.{payload}.", "", "a.b.c", "é"):
        with pytest.raises(IdentityError):
            verify(token, made.public_key_pem, "e-A", now)
