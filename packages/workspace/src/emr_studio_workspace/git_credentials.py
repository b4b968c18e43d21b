"""Git's credential helper in a Workspace: `<this> <repository> get` asks the control plane, and keeps nothing.

A linked repository's own configuration names it (`git_links.py`). What it is told goes from the control
plane through the relay to git's standard input; no file, address or log ever has it. The Workspace's token
stands in the environment of its server and terminals: with it one learns what git would be told.

Standard library only: git starts it anew each time.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

TOKEN, ADDRESS, HELPER = "EMR_STUDIO_GIT_TOKEN", "EMR_STUDIO_GIT_CREDENTIALS", "EMR_STUDIO_GIT_HELPER"
PATH = "/_workspace/git-credentials"
PREFIX = "emr-studio: "
"""Before what the helper says to the person at git."""
_MODULE = "emr_studio_workspace.git_credentials"
_SECONDS = 60


def configured(name: str) -> str:
    """`credential.helper` of a linked repository: elsewhere, where the variable is not set, it does nothing."""
    return f"!${{{HELPER}:-true}} {name}"


def environment(endpoint: str, token: str) -> dict[str, str]:
    """Variables of a Workspace's programs; `endpoint`: where the way to the edge begins."""
    return {TOKEN: token, ADDRESS: endpoint + PATH, HELPER: f"{sys.executable} -I -m {_MODULE}"}


def answer(name: str, asked: Mapping[str, str]) -> str:
    """What git is told of the address that it asks about; empty where there is nothing to tell.

    Raises:
        OSError, HTTPException, ValueError: the control plane does not answer.
        PermissionError: it does not give them, and says why.
    """
    if asked.get("protocol") != "https" or not os.environ.get(TOKEN):
        return ""
    url = f"https://{asked.get('host', '')}/{asked.get('path', '')}"
    status, body = _post(json.dumps({"repository": name, "url": url}).encode())
    if status == 404:
        return ""
    told = json.loads(body)
    if status != 200:
        raise PermissionError(told["message"])
    return f"username={told['username']}\npassword={told['password']}\n"


def _post(body: bytes) -> tuple[int, bytes]:
    address = urlsplit(os.environ[ADDRESS])
    connection = HTTPConnection(address.hostname or "", address.port, timeout=_SECONDS)
    try:
        headers = {"Authorization": os.environ[TOKEN], "Content-Type": "application/json", "Host": "127.0.0.1"}
        connection.request("POST", address.path, body, headers)
        found = connection.getresponse()
        return found.status, found.read()
    finally:
        connection.close()


def main() -> int:
    """Git's protocol for credential helpers."""
    name, wanted = [*sys.argv[1:], "", ""][:2]
    if wanted != "get":
        return 0
    asked = dict(line.rstrip("\n").split("=", 1) for line in sys.stdin if "=" in line)
    try:
        sys.stdout.write(answer(name, asked))
    except PermissionError as refusal:
        sys.stderr.write(f"{PREFIX}{refusal}\n")
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        sys.stderr.write(f"{PREFIX}the studio does not tell the credentials: {type(error).__name__}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
