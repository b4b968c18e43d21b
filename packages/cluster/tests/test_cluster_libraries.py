"""Libraries of one notebook: installed beside the cluster's, shipped whole, removed without a trace."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from emr_studio_cluster.libraries import ConnectContext, Libraries, NotInstalled, use_connect


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = list(sys.path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.path[:] = before


def wheel(folder: Path, name: str, version: str) -> str:
    """A wheel with one module."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return str(path)


def test_what_is_installed_is_shipped_and_removed(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shipped: list[tuple[str, list[str]]] = []

    def ship(archive: Path, name: str) -> None:
        with tarfile.open(archive) as file:
            shipped.append((name, [member for member in file.getnames() if member.endswith((".py", "python"))]))

    libraries = Libraries(ship).begin()
    libraries.install("--no-index", wheel(here, "fruit_of_mine", "1.0"))
    assert __import__("fruit_of_mine").VERSION == "1.0"
    assert shipped == [("libraries-1", ["./fruit_of_mine.py", "./python"])]
    libraries.show()
    assert "fruit" in capfd.readouterr().out
    libraries.uninstall("Fruit-of.mine")
    assert shipped[1] == ("libraries-2", ["./python"])
    with pytest.raises(NotInstalled, match="only such packages"):
        libraries.uninstall("pytest")
    assert list(here.glob("*.tar.gz")) == []
    libraries.install("--no-index", wheel(here, "fruit_of_yours", "1.0"))
    libraries.forget()
    assert not (here / ".libraries").exists()


def test_what_pip_refuses_is_shipped_nowhere(here: Path) -> None:
    libraries = Libraries(lambda _archive, _name: pytest.fail("shipped")).begin()
    with pytest.raises(NotInstalled, match="pip install failed"):
        libraries.install("--no-index", "no-such-package")


def test_a_restarted_kernel_begins_without(here: Path) -> None:
    Libraries().begin().install("--no-index", wheel(here, "fruit_of_mine", "1.0"))
    Libraries().begin()
    assert not (here / ".libraries").exists()


class Session:
    """What a Connect session is asked for."""

    version = "4.1"

    def __init__(self) -> None:
        self.artifacts: list[str] = []
        self.settings: dict[str, str] = {}
        self.conf = self

    def addArtifacts(self, path: str, *, archive: bool) -> None:
        assert archive
        self.artifacts.append(path.rpartition("/")[2])

    def set(self, name: str, value: str) -> None:
        self.settings[name] = value


def test_a_connect_session_gets_an_artifact_and_a_python_that_looks_into_it(here: Path) -> None:
    spark = Session()
    libraries = Libraries().begin()
    libraries.ship = use_connect(spark)
    libraries.install("--no-index", wheel(here, "fruit_of_mine", "1.0"))
    assert spark.artifacts == ["libraries-1.tar.gz#libraries-1"]
    assert spark.settings == {"spark.sql.execution.pyspark.python": "libraries-1/python"}


def test_what_a_connect_session_has_not_is_said() -> None:
    with pytest.raises(AttributeError, match=r"sc\.parallelize needs a driver"):
        ConnectContext(Session()).parallelize([1])
