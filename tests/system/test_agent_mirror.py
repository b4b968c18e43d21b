"""A Workspace's files through the agent: saved to a real store, adopted with the Workspace, restored."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import nbformat.v4
import pytest

from emr_studio.runtime.contract import WorkloadState
from tests.support.agent_rig import AgentRig, Workspace, until
from tests.support.s3_rig import Rig

BUCKET = "notebooks"


@pytest.fixture(scope="module")
def endpoint(s3: Rig) -> str:
    """The door: the mirror signs its requests as everybody does."""
    s3.client().create_bucket(Bucket=BUCKET)
    return s3.url


@pytest.fixture(scope="module")
def credentials(s3: Rig) -> Iterator[str]:
    """A container-credentials endpoint."""
    made = s3.session(s3.admin)
    keys = {"AccessKeyId": made.access_key_id, "SecretAccessKey": made.secret_access_key, "Token": made.token}

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            expiry = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=15)
            body = json.dumps({**keys, "Expiration": expiry.isoformat()}).encode()
            self.send_response(200 if self.headers["Authorization"] == "role-token" else 403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/_credentials"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[AgentRig]:
    rig = AgentRig(tmp_path)
    rig.start()
    yield rig
    rig.close()


def keys(s3: Rig, prefix: str) -> set[str]:
    return set(all_keys(s3, prefix))


def all_keys(s3: Rig, prefix: str) -> list[str]:
    pages = s3.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return [item["Key"].removeprefix(prefix) for page in pages for item in page.get("Contents", [])]


def mirrored(rig: AgentRig, endpoint: str, credentials: str, name: str) -> Workspace:
    return rig.launch(name, 456789, **_place(name, endpoint, credentials))


def _place(name: str, endpoint: str, credentials: str) -> dict[str, str]:
    return {
        "s3_location": f"s3://{BUCKET}/saved/{name}/",
        "s3_endpoint_url": endpoint,
        "credentials_url": credentials,
        "credentials_token": "role-token",
    }


def save(workspace: Workspace, name: str, text: str) -> None:
    with workspace.client() as client:
        body = {"type": "file", "format": "text", "content": text}
        client.put(f"/api/contents/{name}", json=body).raise_for_status()


def test_saved_adopted_stopped_and_restored(rig: AgentRig, s3: Rig, endpoint: str, credentials: str) -> None:
    prefix = "saved/e-KEEP/"
    workspace = mirrored(rig, endpoint, credentials, "e-KEEP")
    save(workspace, "one.txt", "1")
    rig.runtime.flush("e-KEEP")
    assert keys(s3, prefix) >= {"one.txt", "My first.ipynb"}
    # Who saved it is kept with it.
    metadata = s3.client().head_object(Bucket=BUCKET, Key=prefix + "one.txt")["Metadata"]
    assert {name.lower(): value for name, value in metadata.items()}["author"] == "ana", metadata
    # While no agent looks, a file is saved and another goes: the next agent makes up for it.
    rig.kill()
    save(workspace, "two.txt", "2")
    with workspace.client() as client:
        client.delete("/api/contents/one.txt").raise_for_status()
    rig.start()
    until(lambda: "two.txt" in keys(s3, prefix) and "one.txt" not in keys(s3, prefix))
    # Saved a moment before the stop: the last look is after the server has ended.
    save(workspace, "three.txt", "3")
    rig.runtime.stop("e-KEEP")
    assert rig.ended("e-KEEP").reason == ""
    assert "three.txt" in keys(s3, prefix)
    # As on another host: only what S3 has comes back, and it belongs to the Workspace's user.
    shutil.rmtree(rig.settings.workspaces_dir / "e-KEEP")
    again = mirrored(rig, endpoint, credentials, "e-KEEP")
    with again.client() as client:
        assert client.get("/api/contents/three.txt").json()["content"] == "3"
    save(again, "three.txt", "changed")


@pytest.mark.capability("SG-05", "SG-07")
def test_a_notebook_is_restored_by_an_upload_and_by_what_s3_has(
    rig: AgentRig, s3: Rig, endpoint: str, credentials: str
) -> None:
    """What an upload sends takes a notebook's place; so does an object that is put into S3, at the next start."""
    prefix, name = "saved/e-BACK/", "My first.ipynb"
    workspace = mirrored(rig, endpoint, credentials, "e-BACK")

    def notebook(source: str) -> Any:
        return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])

    def shown(found: Workspace) -> str:
        with found.client() as client:
            return str(client.get(f"/api/contents/{name}").json()["content"]["cells"][0]["source"])

    for source in ("a_mistake = 1", "as_it_was = 1"):
        with workspace.client() as client:
            body = {"type": "notebook", "format": "json", "content": notebook(source)}
            client.put(f"/api/contents/{name}", json=body).raise_for_status()
        assert shown(workspace) == source
    rig.runtime.stop("e-BACK")
    rig.ended("e-BACK")
    kept = s3.client().get_object(Bucket=BUCKET, Key=prefix + name)["Body"].read()
    assert b"as_it_was" in kept
    s3.client().put_object(Bucket=BUCKET, Key=prefix + name, Body=kept.replace(b"as_it_was", b"replaced"))
    s3.client().put_object(Bucket=BUCKET, Key=prefix + "more/new.txt", Body=b"from elsewhere")
    # On the same host: the old files are still there.
    again = mirrored(rig, endpoint, credentials, "e-BACK")
    assert shown(again) == "replaced = 1"
    with again.client() as client:
        assert client.get("/api/contents/more/new.txt").json()["content"] == "from elsewhere"
    rig.runtime.stop("e-BACK")
    rig.ended("e-BACK")


def test_a_restore_that_fails_says_so(rig: AgentRig, credentials: str) -> None:
    spec = rig.spec(
        "e-LOST",
        s3_location=f"s3://{BUCKET}/saved/e-LOST/",
        s3_endpoint_url="http://127.0.0.1:9",
        credentials_url=credentials,
        credentials_token="role-token",
    )
    rig.runtime.launch(spec)
    seen = rig.ended("e-LOST")
    assert seen.exit_code == 1
    assert seen.reason.startswith("the files could not be restored from S3")


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_great_many_files_and_a_great_one(rig: AgentRig, s3: Rig, endpoint: str, credentials: str) -> None:
    """Made and deleted in a terminal, restored on an empty host; `SCALE_FILES`, `SCALE_MB` make it smaller."""
    many, megabytes = int(os.environ.get("SCALE_FILES", "10000")), int(os.environ.get("SCALE_MB", "2048"))
    prefix, patience = "saved/e-SCALE/", 1200.0
    workspace = mirrored(rig, endpoint, credentials, "e-SCALE")
    made = f"for i in $(seq {many}); do mkdir -p many/$((i % 100)); echo $i > many/$((i % 100))/$i.txt; done"
    workspace.shell(f"{made}; head -c {megabytes}M /dev/urandom > great.bin", patience)
    digest = workspace.shell("sha256sum < great.bin", patience).split()[0]

    def all_there() -> bool:
        return len([key for key in all_keys(s3, prefix) if key.startswith("many/")]) == many

    until(all_there, patience)
    until(lambda: "great.bin" in all_keys(s3, prefix), patience)
    rig.runtime.stop("e-SCALE")
    assert rig.ended("e-SCALE").reason == ""
    shutil.rmtree(rig.settings.workspaces_dir / "e-SCALE")
    rig.runtime.launch(rig.spec("e-SCALE", 456789, **_place("e-SCALE", endpoint, credentials)))
    told: set[str] = set()

    def is_up() -> bool:
        seen = rig.runtime.observe("e-SCALE")
        told.add(seen.progress.split(" ")[0])
        return seen.state is WorkloadState.RUNNING

    until(is_up, patience)
    assert "restoring" in told
    again = Workspace(rig, rig.started("e-SCALE"))
    assert again.shell("sha256sum < great.bin", patience).split()[0] == digest
    assert again.shell("cat many/*/*.txt | sort -n | uniq | wc -l", patience) == str(many)
    again.shell("rm -r many great.bin", patience)
    until(lambda: not [key for key in all_keys(s3, prefix) if key.startswith(("many", "great"))], patience)
    rig.runtime.stop("e-SCALE")
