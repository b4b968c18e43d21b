"""What the programs of a node import."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

from emr_studio_cluster.config import NODE_FILE, NodeConfig

PYTHON = Path(__file__).resolve().parents[3] / ".envs" / "emr-8.0.0" / "bin" / "python"
GATEWAY = """
import importlib, sys
from emr_studio_cluster import node
def imported(name):
    module = importlib.import_module(name)
    module.run = lambda config, folder: print(sorted({"jsonschema", "kernel_gateway", "lark"} & set(sys.modules)))
    return module
node.import_module = imported
sys.exit(node.main(["gateway", sys.argv[1]]))
"""


def test_a_gateway_builds_no_grammar_of_addresses(tmp_path: Path) -> None:
    config = NodeConfig("j-1", "127.1.1.1", "127.1.1.1", local_mode=True, secret="s", connect_token="t")
    (tmp_path / NODE_FILE).write_text(json.dumps(asdict(config)))
    done = subprocess.run(
        [PYTHON, "-W", "ignore", "-c", GATEWAY, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "['jsonschema', 'kernel_gateway']\n", done.stderr
