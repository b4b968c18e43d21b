"""A Python from an archive: what properties ask for, by Spark's names and YARN's, and what is made of it here."""

from __future__ import annotations

import os
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from emr_studio_cluster import submitting, virtualenv
from emr_studio_cluster.virtualenv import Archive, NoPython, Packages, Unpacked

SITE = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
YARNS = {
    "spark.yarn.dist.archives": "s3://b/venv.tar.gz#environment",
    "spark.yarn.appMasterEnv.PYSPARK_PYTHON": "./environment/bin/python",
    "spark.executorEnv.PYSPARK_PYTHON": "./environment/bin/python",
    "spark.executorEnv.FRUIT": "pear",
}


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = list(sys.path)
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    yield
    sys.path[:] = before


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What venv-pack makes: an environment with a module of its own."""
    folder = tmp_path_factory.mktemp("packed")
    venv.create(folder / "venv", symlinks=True)
    (folder / "venv" / SITE / "pear_of_mine.py").write_text("VERSION = 3\n")
    with tarfile.open(folder / "venv.tar.gz", "w:gz") as archive:
        archive.add(folder / "venv", arcname=".")
    return folder / "venv.tar.gz"


def test_yarns_names_are_sparks() -> None:
    wanted = virtualenv.wanted_of(YARNS)
    assert wanted.archives == (Archive("s3://b/venv.tar.gz", "environment"),)
    assert (wanted.home, wanted.python) == (wanted.archives[0], "./environment/bin/python")
    assert wanted.others == {"spark.executorEnv.FRUIT": "pear"}
    both = {
        "spark.archives": "s3://b/one.zip",
        "spark.yarn.dist.archives": "s3://b/two.tgz#two",
        "spark.yarn.dist.jars": "j",
    }
    assert virtualenv.translated(both) == {"spark.archives": "s3://b/one.zip,s3://b/two.tgz#two", "spark.jars": "j"}
    assert [one.name for one in virtualenv.wanted_of(both).archives] == ["one.zip", "two"]


def test_sparks_own_name_wins() -> None:
    wanted = virtualenv.wanted_of(
        YARNS | {"spark.pyspark.python": "/opt/python", "spark.pyspark.driver.python": "jupyter"}
    )
    assert (wanted.python, wanted.home) == ("/opt/python", None)
    assert virtualenv.wanted_of({}).home is None


def test_a_python_of_no_archive() -> None:
    wanted = virtualenv.wanted_of(
        {"spark.archives": "s3://b/venv.tar.gz#other", "spark.pyspark.python": "env/bin/python"}
    )
    with pytest.raises(NoPython, match=r"in none of the archives.*#env"):
        _ = wanted.home


def test_a_notebooks_driver_finds_the_packages(packed: Path, tmp_path: Path) -> None:
    asked = {"spark.archives": f"{packed}#environment", "spark.pyspark.python": "./environment/bin/python", "a": "b"}
    given = virtualenv.use_driver(asked, tmp_path, local=False)
    assert given == {"a": "b", "spark.archives": f"{packed}#environment"}
    assert os.environ["PYSPARK_PYTHON"] == "./environment/bin/python"
    assert __import__("pear_of_mine").VERSION == 3
    virtualenv.use_driver(asked, tmp_path, local=True)
    assert os.environ["PYSPARK_PYTHON"] == f"{tmp_path}/environment/bin/python"
    virtualenv.use_driver({}, tmp_path, local=True)
    assert os.environ["PYSPARK_PYTHON"] == sys.executable
    assert not [path for path in sys.path if path.startswith(str(tmp_path))]
    assert packed.exists()


def test_another_version_of_python_is_told() -> None:
    with pytest.raises(NoPython, match=r"has Python 3\.4, this cluster 3\."):
        Packages().use(Unpacked(Path("python"), (3, 4), ("/there",)))
    assert "/there" not in sys.path


def test_what_is_no_archive_or_has_no_python(tmp_path: Path) -> None:
    asked = {"spark.archives": f"{tmp_path}/venv.tar.gz#e", "spark.pyspark.python": "e/bin/python"}
    with pytest.raises(NoPython, match=r"venv\.tar\.gz cannot be unpacked: .*No such file"):
        virtualenv.here(virtualenv.wanted_of(asked), tmp_path)
    (tmp_path / "venv.tar.gz").write_text("fruit")
    with pytest.raises(NoPython, match=r"venv\.tar\.gz cannot be unpacked"):
        virtualenv.here(virtualenv.wanted_of(asked), tmp_path / "folder")
    with tarfile.open(tmp_path / "venv.tar.gz", "w:gz") as archive:
        archive.add(__file__, arcname="x.py")
    with pytest.raises(NoPython, match="does not start"):
        virtualenv.here(virtualenv.wanted_of(asked), tmp_path / "folder")
    (tmp_path / "python").write_text("#!/bin/sh\necho broken >&2; exit 3\n")
    (tmp_path / "python").chmod(0o700)
    with pytest.raises(NoPython, match="does not start: broken"):
        virtualenv.examined(tmp_path / "python")


def test_a_zip_keeps_its_rights(tmp_path: Path) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    with zipfile.ZipFile(tmp_path / "venv.zip", "w") as archive:
        archive.write(script, "bin/python")
    virtualenv.unpack(tmp_path / "venv.zip", tmp_path / "e")
    assert os.access(tmp_path / "e/bin/python", os.X_OK)


def test_spark_submit_leaves_yarn_out() -> None:
    asked = ["--master", "yarn", "--deploy-mode=cluster", "-c", "a=b", "--verbose", "x.py", "--master", "mine"]
    assert submitting.without_yarn(asked) == ["-c", "a=b", "--verbose", "x.py", "--master", "mine"]
    assert submitting.without_yarn(["--master", "local[2]", "x.py"]) == ["--master", "local[2]", "x.py"]
    assert submitting.without_yarn(["-S", "--master=yarn", "-e", "SELECT 1"]) == ["-S", "-e", "SELECT 1"]


def test_spark_submit_runs_the_program_in_the_archives_python(packed: Path, tmp_path: Path) -> None:
    asked = ["--archives", f"{packed}#environment", "--conf", "spark.app.x=1"]
    asked += ["--conf=spark.yarn.appMasterEnv.PYSPARK_PYTHON=./environment/bin/python", "x.py", "--archives", "own"]
    told = submitting.with_python(asked, {}, tmp_path, local=False)
    options, program = submitting.options_of(told)
    conf = dict(value.split("=", 1) for name, value in options if name == "--conf" and value)
    driver = conf.pop("spark.pyspark.driver.python")
    assert driver.startswith(str(tmp_path))
    assert virtualenv.examined(Path(driver)).version == sys.version_info[:2]
    assert program == ["x.py", "--archives", "own"]
    assert conf == {
        "spark.app.x": "1",
        "spark.archives": f"{packed}#environment",
        "spark.pyspark.python": "./environment/bin/python",
    }


@pytest.mark.parametrize("own", ["./environment/bin/python3", "/opt/python"])
def test_a_driver_may_have_another_python(packed: Path, tmp_path: Path, own: str) -> None:
    asked = ["--archives", f"{packed}#environment", "--conf", "spark.pyspark.python=environment/bin/python"]
    asked += ["--conf", f"spark.yarn.appMasterEnv.PYSPARK_DRIVER_PYTHON={own}", "x.py"]
    options, _ = submitting.options_of(submitting.with_python(asked, {}, tmp_path, local=False))
    driver = dict(str(value).split("=", 1) for _, value in options)["spark.pyspark.driver.python"]
    assert driver == own or (driver.endswith("environment/bin/python3") and Path(driver).exists())


def test_spark_submit_knows_the_clusters_own(packed: Path, tmp_path: Path) -> None:
    defaults = {
        "spark.yarn.dist.archives": f"{packed}#e",
        "spark.pyspark.python": "e/bin/python",
        "spark.fruit": "pear",
    }
    told = submitting.with_python(["x.py"], defaults, tmp_path, local=True)
    conf = dict(str(value).split("=", 1) for _, value in submitting.options_of(told)[0])
    assert conf["spark.pyspark.python"] == conf["spark.pyspark.driver.python"]
    assert set(conf) == {"spark.pyspark.python", "spark.pyspark.driver.python", "spark.archives"}
    assert submitting.with_python(["--conf", "a=b", "x.py"], {"spark.fruit": "pear"}, tmp_path, local=True) == [
        "--conf",
        "a=b",
        "x.py",
    ]
