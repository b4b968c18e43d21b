"""The zygote has imported what a Workspace's server needs: a fork that imports takes time, at each start again."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

_SERVER = """
import json, socket, sys
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from emr_studio_workspace import warmup
warmup.import_all()
from jupyter_server.serverapp import ServerApp
from emr_studio_workspace import server
from emr_studio_workspace.spec import ServerSpec
folder = Path(sys.argv[1])
for name in ("files", "home", "run"):
    (folder / name).mkdir()
listener = socket.socket(socket.AF_UNIX)
listener.bind(str(folder / "s"))
listener.listen()
listener.setblocking(False)
key = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
spec = ServerSpec(
    "e-1", "warm", "http://localhost", key.decode(), "a.ipynb", folder / "files", folder / "home", folder / "run"
)
run = ServerApp.start_ioloop
def once(app):
    app.io_loop.add_callback(app.stop)
    run(app)
ServerApp.start_ioloop = once
before = set(sys.modules)
server.serve(spec, listener)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_a_server_imports_nothing_that_the_zygote_lacks(tmp_path: Path) -> None:
    python = Path(__file__).resolve().parents[3] / ".envs/workspace/bin/python"
    done = subprocess.run(
        [str(python), "-W", "ignore", "-c", _SERVER, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
