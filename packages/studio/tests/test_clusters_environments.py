"""Environments of releases: built on demand, once, whole or not at all, and told about."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from emr_studio.clusters.catalog import environments
from emr_studio.clusters.catalog.releases import Release, find_release
from emr_studio.runtime.contract import ProcessSpec
from emr_studio.settings import Settings
from tests.support.cluster_play import ClusterPlay
from tests.support.emr_world import emr_world
from tests.support.studio import until

LABEL = "emr-7.12.0"
WORKLOAD = f"environments/{LABEL}"
# Stands for uv: makes what a real one makes, waits where it is told to, fails where it is told to.
UV = """#!{python}
import os, pathlib, sys, time
root = pathlib.Path({root!r})
if sys.argv[1] == "venv":
    folder = pathlib.Path(sys.argv[-1])
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to("/bin/true")
    with (root / "made").open("a") as file:
        file.write(f"{{os.getpid()}}\\n")
    raise SystemExit
print("Downloading pyspark (300MiB)", flush=True)
while (root / "hold").exists():
    time.sleep(0.02)
if (root / "offline").exists():
    raise SystemExit("error: Failed to fetch: dns error")
"""


@pytest.fixture
def release() -> Release:
    found = find_release(LABEL)
    assert found is not None
    return found


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation whose uv is ours."""
    root = tmp_path / "root"
    for folder in ("requirements", ".venv/bin", "packages/cluster"):
        (root / folder).mkdir(parents=True)
    (root / "requirements" / f"{LABEL}.txt").write_text("pyspark==3.5.7\n")
    (root / "packages/cluster/pyproject.toml").write_text("")
    uv = root / ".venv/bin/uv"
    uv.write_text(UV.format(python=sys.executable, root=str(root)))
    uv.chmod(0o755)
    monkeypatch.setenv("EMR_STUDIO_REPOSITORY_ROOT", str(root))
    return Settings(data_dir=tmp_path / "data")


def start(settings: Settings) -> subprocess.Popen[str]:
    """The builder, as the host runs it."""
    command = [sys.executable, "-m", "emr_studio.clusters.catalog.environments", LABEL]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def ended(builder: subprocess.Popen[str]) -> int:
    """Its exit code."""
    with builder:
        return builder.wait(120)


def until_told(builder: subprocess.Popen[str], what: str) -> None:
    assert builder.stdout is not None
    for line in builder.stdout:
        if what in line:
            return
    raise AssertionError(f"{what} was never said")


def places(settings: Settings) -> list[str]:
    return sorted(path.name for path in (settings.root / ".envs").iterdir() if path.is_dir())


def test_a_changed_lock_is_another_environment(settings: Settings, release: Release) -> None:
    assert not environments.is_built(settings, release)
    environments.build(settings, release, lambda _: None)
    assert environments.is_built(settings, release)
    assert places(settings) == [LABEL]
    (settings.root / "requirements" / f"{LABEL}.txt").write_text("pyspark==3.5.8\n")
    assert not environments.is_built(settings, release)


def test_two_at_once_build_once(settings: Settings) -> None:
    hold = settings.root / "hold"
    hold.touch()
    first = start(settings)
    until_told(first, "Downloading pyspark")
    second = start(settings)
    until_told(second, "another studio builds it")
    hold.unlink()
    assert (ended(first), ended(second)) == (0, 0)
    assert len((settings.root / "made").read_text().split()) == 1


def test_killed_anywhere_it_leaves_nothing_that_counts(settings: Settings, release: Release) -> None:
    hold = settings.root / "hold"
    hold.touch()
    builder = start(settings)
    until_told(builder, "Downloading pyspark")
    os.killpg(builder.pid, signal.SIGKILL)
    ended(builder)
    assert not environments.is_built(settings, release)
    hold.unlink()
    again = start(settings)
    assert ended(again) == 0
    assert environments.is_built(settings, release)
    assert places(settings) == [LABEL]


def test_without_a_network_it_says_so(settings: Settings, release: Release) -> None:
    (settings.root / "offline").touch()
    with pytest.raises(environments.BuildFailed, match=r"Is there a network, .*dns error"):
        environments.build(settings, release, lambda _: None)
    assert places(settings) == []


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterPlay]:
    with emr_world(tmp_path) as emr:
        built: set[str] = set()
        monkeypatch.setattr(environments, "is_built", lambda _settings, release: release.label in built)
        made = ClusterPlay(emr)
        made.built = built  # type: ignore[attr-defined]
        yield made


def message(play: ClusterPlay, cluster_id: str) -> str:
    return str(play.describe(cluster_id)["Status"]["StateChangeReason"]["Message"])


def test_clusters_wait_for_one_build(play: ClusterPlay) -> None:
    ids = [play.create(ReleaseLabel=LABEL, core=0) for _ in range(2)]
    for cluster_id in ids:
        play.turn(cluster_id)
        assert play.state(cluster_id) == "STARTING"
        assert message(play, cluster_id).startswith(f"Building the environment of {LABEL} (once): ")
    assert play.running() == [WORKLOAD]
    spec = play.runtime.workloads[WORKLOAD].spec
    assert isinstance(spec, ProcessSpec)
    assert spec.argv[-1] == LABEL
    assert play.controller.owner_exists(spec.owner) is None
    play.built.add(LABEL)  # type: ignore[attr-defined]
    play.runtime.crash(WORKLOAD, 0, "")
    for cluster_id in ids:
        assert play.settle(cluster_id)[-1] == "WAITING"
    until("it is forgotten", lambda: WORKLOAD not in play.runtime.workloads)


def test_a_build_that_fails_ends_its_clusters_and_the_next_tries_again(play: ClusterPlay) -> None:
    first = play.create(ReleaseLabel=LABEL, core=0)
    play.turn(first)
    play.runtime.crash(WORKLOAD, 1, "exit code 1")
    assert play.settle(first)[-1] == "TERMINATED_WITH_ERRORS"
    reason = play.describe(first)["Status"]["StateChangeReason"]
    assert reason == {
        "Code": "INTERNAL_ERROR",
        "Message": f"The environment of {LABEL} could not be built: exit code 1",
    }
    second = play.create(ReleaseLabel=LABEL, core=0)
    play.turn(second)
    assert play.state(second) == "STARTING"
    assert play.running() == [WORKLOAD]
