"""A Workspace's files through the agent: saved to a real store, adopted with the Workspace, restored."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

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
    listing = s3.client().list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return {item["Key"].removeprefix(prefix) for item in listing.get("Contents", [])}


def mirrored(rig: AgentRig, endpoint: str, credentials: str, name: str) -> Workspace:
    return rig.launch(
        name,
        456789,
        s3_location=f"s3://{BUCKET}/saved/{name}/",
        s3_endpoint_url=endpoint,
        credentials_url=credentials,
        credentials_token="role-token",
    )


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
