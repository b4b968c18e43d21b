"""What a release's Python imports is compiled once, in its folder and in Spark's zip files."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from emr_studio_cluster.compiling import compile_zip, ensure_compiled

MODULE = "def fail():\n    raise ValueError('as written')\n"
ASKED = """import traceback, zone.made
print(zone.made.__file__)
try:
    zone.made.fail()
except ValueError:
    print(traceback.format_exc())
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "zone.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name, text in {"__init__": "", "made": MODULE, "broken": "print 1", "tests/test_it": "1"}.items():
            file.writestr(f"zone/{name}.py", text)
    path.chmod(0o640)
    return path


def test_a_module_in_a_zip_file_is_read_compiled_and_its_errors_show_the_source(archive: Path) -> None:
    compile_zip(archive)
    done = subprocess.run(
        [sys.executable, "-c", ASKED], env={"PYTHONPATH": str(archive)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[0] == f"{archive}/zone/made.pyc"
    assert f'File "{archive}/zone/made.py", line 2, in fail\n    raise ValueError' in done.stdout


def test_sources_stay_and_what_is_no_module_of_today_is_left_as_it_is(archive: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        before = {name: file.read(name) for name in file.namelist()}
    for _ in range(2):
        compile_zip(archive)
        with zipfile.ZipFile(archive) as file:
            assert sorted(file.namelist()) == sorted([*before, "zone/__init__.pyc", "zone/made.pyc"])
            assert {name: file.read(name) for name in before} == before
    assert archive.stat().st_mode & 0o777 == 0o640
    assert list(archive.parent.iterdir()) == [archive]


def test_an_environment_is_compiled_once(tmp_path: Path, archive: Path, capfd: pytest.CaptureFixture[str]) -> None:
    package = tmp_path / "environment" / "lib" / "package"
    (package / "tests").mkdir(parents=True)
    for name, text in {"made": MODULE, "broken": "print 1", "tests/test_it": "1"}.items():
        (package / f"{name}.py").write_text(text)
    assert ensure_compiled(tmp_path / "environment", [archive])
    found = [
        Path(cache_from_source(str(package / f"{name}.py"))).exists() for name in ("made", "broken", "tests/test_it")
    ]
    assert found == [True, False, False]
    assert "zone/made.pyc" in zipfile.ZipFile(archive).namelist()
    assert capfd.readouterr() == ("", "")
    assert not ensure_compiled(tmp_path / "environment", [archive])
