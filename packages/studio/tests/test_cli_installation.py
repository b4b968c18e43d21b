"""The folders, the settings file and `studio.json` of one installation."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest

from emr_studio.cli import installation
from emr_studio.settings import Settings


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EMR_STUDIO_DATA_DIR", "EMR_STUDIO_PORT"):
        monkeypatch.delenv(name, raising=False)


def test_prepare_makes_folders_that_only_the_owner_lists(tmp_path: Path) -> None:
    settings = installation.prepare(tmp_path / "data", None)
    assert settings.port == 8080
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o711
    assert stat.S_IMODE(settings.keys_dir.stat().st_mode) == 0o700
    assert settings.run_dir.is_dir()


def test_a_free_port_is_chosen_once_and_kept(tmp_path: Path) -> None:
    first = installation.prepare(tmp_path, 0)
    assert first.port not in {0, 8080}
    assert installation.prepare(tmp_path, None).port == first.port
    assert installation.prepare(tmp_path, 0).port == first.port
    assert installation.prepare(tmp_path, 9123).port == 9123
    assert installation.load(tmp_path).port == 9123


def test_loopback_addresses_stay_the_same(tmp_path: Path) -> None:
    octet = installation.prepare(tmp_path, None).loopback_octet
    assert 1 <= octet <= 254
    assert installation.prepare(tmp_path, None).loopback_octet == octet


def test_what_a_person_wrote_into_the_file_stays(tmp_path: Path) -> None:
    (tmp_path / "emr-studio.toml").write_text('account_id = "210987654321"\n')
    assert installation.prepare(tmp_path, None).account_id == "210987654321"
    assert tomllib.loads((tmp_path / "emr-studio.toml").read_text())["account_id"] == "210987654321"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "emr-studio.toml").write_text('region = "eu-west-1"\n')
    assert Settings(data_dir=tmp_path).region == "eu-west-1"
    monkeypatch.setenv("EMR_STUDIO_REGION", "eu-central-1")
    assert Settings(data_dir=tmp_path).region == "eu-central-1"


def test_nothing_installed_is_said(tmp_path: Path) -> None:
    with pytest.raises(installation.NotInstalled, match="There is no studio in"):
        installation.load(tmp_path)


def test_studio_json_is_private(tmp_path: Path) -> None:
    settings = installation.prepare(tmp_path, None)
    assert installation.read_studio_json(settings) == {}
    installation.write_studio_json(settings, {"admin": {"password": "p"}})
    assert installation.read_studio_json(settings) == {"admin": {"password": "p"}}
    assert stat.S_IMODE((tmp_path / "studio.json").stat().st_mode) == 0o600


def test_a_long_data_folder_gets_a_short_run_folder(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / ("x" * 80))
    longest = settings.workspace_run_dir("e-" + "A" * 25) / "s.sock"
    assert len(str(longest)) < 108
    assert settings.run_dir == Settings(data_dir=tmp_path / ("x" * 80)).run_dir


def test_urls() -> None:
    settings = Settings(port=8123)
    assert settings.endpoint_url == "http://localhost:8123"
    assert settings.studio_url("es-ABC") == "http://es-abc.studio.localhost:8123"
    assert settings.workspace_url("e-ABC") == "http://e-abc.workspace.localhost:8123"
    assert Settings(domain="studio.example.com", scheme="https").endpoint_url == "https://studio.example.com"


@pytest.mark.parametrize(
    ("region", "partition"), [("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_partition(region: str, partition: str) -> None:
    assert Settings(region=region).partition == partition


def test_a_furnished_installation_is_known_until_something_changes(tmp_path: Path) -> None:
    settings = installation.prepare(tmp_path, 9001)
    assert not installation.is_furnished(settings)
    installation.write_studio_json(settings, {"admin": {}})
    (tmp_path / "db" / "studio.sqlite").touch()
    installation.note_furnished(settings)
    assert installation.is_furnished(settings)
    assert not installation.is_furnished(installation.prepare(tmp_path, 9002)), "the addresses have changed"
    (tmp_path / "db" / "studio.sqlite").unlink()
    assert not installation.is_furnished(installation.prepare(tmp_path, 9001)), "the database is gone"
