"""What a Workspace's server needs, the zygote has: what a fork imports or works out takes time, at each start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.workspace_python import in_workspace

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
    assert _said(_SERVER, tmp_path) == []


_GRAMMAR = """
import json, sys
from emr_studio_workspace import warmup
warmup.import_all()
print(json.dumps(sorted({"jsonschema", "lark"} & set(sys.modules))))
"""


def test_no_grammar_of_addresses_is_built(tmp_path: Path) -> None:
    assert _said(_GRAMMAR, tmp_path) == ["jsonschema"]


_REHEARSED = """
import json, os, re, socket, sys, threading
from pathlib import Path
from emr_studio_workspace import server
from emr_studio_workspace import zygote
zygote.warm()
threads, handles = threading.active_count(), sorted(os.listdir("/proc/self/fd"))
zygote.rehearse()
assert (threading.active_count(), sorted(os.listdir("/proc/self/fd"))) == (threads, handles)
from jupyter_events.schema import EventSchema
from emr_studio_workspace import rehearsal
from emr_studio_workspace.server import WorkspaceServerApp
made = []
compiled, init = re._compiler.compile, EventSchema.__init__
def compile(pattern, flags=0):
    made.append(str(pattern))
    return compiled(pattern, flags)
def load(self, schema, *more, **others):
    made.append(str(schema))
    init(self, schema, *more, **others)
re._compiler.compile, EventSchema.__init__ = compile, load
WorkspaceServerApp.start = lambda app: None
folder = Path(sys.argv[1])
server.serve(rehearsal._spec(folder), socket.socket(socket.AF_UNIX))
app = WorkspaceServerApp.instance()
assert app.root_dir == str(folder / "files") and app.log_level == 30, (app.root_dir, app.log_level)
print(json.dumps(made))
"""


def test_a_server_works_out_nothing_that_a_rehearsal_has(tmp_path: Path) -> None:
    assert _said(_REHEARSED, tmp_path) == []


def _said(program: str, folder: Path) -> Any:
    """What a program, run in the Workspaces' environment, prints in the end."""
    return json.loads(in_workspace(program, folder, folder=folder, warns=False).stdout.splitlines()[-1])
