"""The notebook of a new Workspace, the orphans' reaper, and what the agent says about a place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat

from emr_studio_workspace.backup import backup_state
from emr_studio_workspace.notebooks import blank_notebook, ensure_notebook, examples
from emr_studio_workspace.reaper import Reaper
from emr_studio_workspace.sandbox import Place, environment_folders
from emr_studio_workspace.spec import ServerSpec


def test_blank_notebook_is_valid() -> None:
    notebook = nbformat.from_dict(blank_notebook())
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.display_name == "PySpark"


def test_examples_are_valid_and_say_what_they_are() -> None:
    found = examples("s3://bucket/data/")
    assert [one.name for one in found] == ["dataframes.ipynb", "flights.ipynb", "spark-sql.ipynb"]
    for one in found:
        nbformat.validate(nbformat.reads(one.text, as_version=4))
        assert one.title
        assert one.description.endswith(".")
        assert "{{" not in one.text
    assert [one.name for one in examples("")] == ["dataframes.ipynb"]


def test_the_backup_is_as_the_agent_says_it(tmp_path: Path) -> None:
    path = tmp_path / "backup.json"
    assert backup_state(path) is None
    told = {"savedAt": "2026-01-01T00:00:00+00:00", "pending": 0, "error": "", "skipped": 0}
    path.write_text(json.dumps(told))
    assert backup_state(path) == told
    path.write_text("{")
    assert backup_state(path) is None


def test_an_existing_notebook_stays(tmp_path: Path) -> None:
    path = tmp_path / "My first.ipynb"
    assert ensure_notebook(path)
    path.write_text("mine")
    assert not ensure_notebook(path)
    assert path.read_text() == "mine"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "My first.ipynb", tmp_path / "elsewhere"
    path.symlink_to(elsewhere)
    assert not ensure_notebook(path)
    assert not elsewhere.exists()


def test_a_spec_survives_the_wire() -> None:
    values = {
        "editor_id": "e-X",
        "name": "x",
        "origin": "http://x",
        "public_key": "pem",
        "default_notebook": "x.ipynb",
        "files": "/a/files",
        "home": "/a/home",
        "run": "/r",
        "later": "unknown keys are left aside",
    }
    spec = ServerSpec.from_json(values)
    assert spec.gateway_socket == Path("/r/g.sock")
    assert ServerSpec.from_json(vars(spec)) == spec


def test_a_place_is_read_as_the_agent_says_it() -> None:
    place = Place.from_json({"files": "/f", "home": "/h", "run": "/r", "uid": 7, "host_name": "e-x"})
    assert (place.uid, place.files, place.readable) == (7, Path("/f"), ())


def test_the_environment_is_what_must_be_readable() -> None:
    assert Path(sys.prefix) in environment_folders()


def test_the_reaper_waits_for_orphans_only_at_its_second_look() -> None:
    child = subprocess.Popen(["true"])
    deadline = time.monotonic() + 60
    while Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
    reaper = Reaper()
    reaper.reap()
    assert os.path.exists(f"/proc/{child.pid}")
    reaper.reap()
    assert not os.path.exists(f"/proc/{child.pid}")
    child.wait()
