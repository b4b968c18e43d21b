"""Starting a Workspace, and its memory, beside JupyterHub's SimpleLocalProcessSpawner.

Both from the API call to the first 200 of the server's own `/api/status`, through the product's own
proxy, with JupyterLab as the server; a fresh user or Workspace each time. One after the other in turn, then many
asked for at the same moment.
"""

from __future__ import annotations

import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.processes import PEERS, descendants, pss_megabytes, server
from bench.results import Figure, lower_is_better
from emr_studio.cli.demo.browser import Workspace
from emr_studio.loopback import free_port
from emr_studio.runtime.client import LocalRuntime
from tests.support.studio import Studio, processes_of, until

PEER = "JupyterHub SimpleLocalProcessSpawner"
RUNS = 10
AT_ONCE = 20
_PATIENCE = 240.0
_OFTEN, _SELDOM = 0.005, 0.2
"""Seconds between two questions whether the peer's server is there: many at once who ask often hold the hub up."""
TOKEN = "bench-token-of-this-run"
HUB_CONFIG = """
c = get_config()
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.Spawner.args = ["--allow-root"]
c.Spawner.start_timeout = {patience}
c.Spawner.http_timeout = {patience}
c.SimpleLocalProcessSpawner.home_dir_template = "{folder}/home/{{username}}"
c.JupyterHub.services = [{{"name": "bench", "api_token": "{token}"}}]
c.JupyterHub.load_roles = [
    {{"name": "bench", "services": ["bench"], "scopes": ["admin:users", "admin:servers", "access:servers"]}}
]
c.JupyterHub.concurrent_spawn_limit = 0
"""


def measure(studio: Studio) -> list[Figure]:
    """Start time from the zygote and cold, one and many at once, and PSS of ten idle ones."""
    with tempfile.TemporaryDirectory(prefix="hub-") as folder, hub(Path(folder)) as peer:
        ours, theirs = [], []
        # In turn, so that both see the same machine.
        for number in range(RUNS):
            ours.append(_start_workspace(studio, f"bench-{number}"))
            theirs.append(peer.start(f"user{number}"))
            print(f"  start {number}: {ours[-1]:.3f} s, hub {theirs[-1]:.3f} s", flush=True)
        memory = _workspace_memory(studio), peer.memory(RUNS)
        cold = [_cold_start(studio, f"cold-{number}") for number in range(3)]
        _delete_all(studio)
        many = _start_many(studio), peer.start_many(AT_ONCE)
        _delete_all(studio)
    at_once = f"{AT_ONCE} workspaces started at once"
    return [
        lower_is_better("workspace start", "s", ours, theirs, PEER),
        lower_is_better(f"workspace start, slowest of {RUNS}", "s", [max(ours)], [max(theirs)], PEER),
        lower_is_better(f"{at_once}, median", "s", *many, PEER),
        lower_is_better(f"{at_once}, the last", "s", [max(many[0])], [max(many[1])], PEER),
        lower_is_better("workspace start without a warm zygote", "s", cold, theirs, PEER),
        lower_is_better(f"memory of an idle workspace (PSS, {RUNS} of them)", "MB", [memory[0]], [memory[1]], PEER),
    ]


def _start_workspace(studio: Studio, name: str, before: Callable[[], None] = lambda: None) -> float:
    """Create and stop one, call `before`, then time StartEditor to the first answer of `/api/status`."""
    stopped = _Stopped(studio, name)
    before()
    return stopped.start()


def _start_many(studio: Studio) -> list[float]:
    """Seconds that each of `AT_ONCE` takes whose starts are asked for at the same moment."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        stopped = list(pool.map(lambda number: _Stopped(studio, f"many-{number}"), range(AT_ONCE)))
        return list(pool.map(lambda one: one.start(), stopped))


class _Stopped:
    """A Workspace that was started once and stopped, and a user who is signed in at it."""

    def __init__(self, studio: Studio, name: str) -> None:
        self._emr = studio.client("emr", "sample")
        self._id = self._emr.create_editor(StudioId=studio.json["sample"]["studio_id"], Name=name)["EditorId"]
        await_status(self._emr, self._id, "Ready")
        self._workspace = Workspace(self._emr.open_editor_in_console(EditorId=self._id)["Url"])
        self._emr.stop_editor(EditorId=self._id)
        await_status(self._emr, self._id, "Idle")

    def start(self) -> float:
        """Start it; seconds until its server answers."""
        begun = time.monotonic()
        self._emr.start_editor(EditorId=self._id)
        while self._workspace.origin.request("GET", "/api/status").status_code != httpx.codes.OK:
            assert time.monotonic() - begun < _PATIENCE, "the Workspace did not start"
            time.sleep(0.005)
        took = time.monotonic() - begun
        self._workspace.close()
        await_status(self._emr, self._id, "Ready")
        return took


def _cold_start(studio: Studio, name: str) -> float:
    """As above, with the zygote ended just before: the agent must make a new one first."""

    def end_zygote() -> None:
        (pid,) = [
            int(line.split()[0])
            for line in processes_of(studio.data_dir)
            if "emr_studio_workspace.zygote" in line and "emr_studio.cli agent" in _command_line(_parent(line))
        ]
        os.kill(pid, signal.SIGKILL)

    return _start_workspace(studio, name, end_zygote)


def _parent(line: str) -> int:
    """The parent of the process that a line of `processes_of` shows."""
    return int(Path(f"/proc/{line.split(maxsplit=1)[0]}/stat").read_text().rpartition(")")[2].split()[1])


def await_status(emr: Any, editor_id: str, status: str) -> None:
    until(
        f"{editor_id} is {status}",
        lambda: emr.describe_editor(EditorId=editor_id)["Editor"]["Status"] == status,
        _PATIENCE,
    )


def _workspace_memory(studio: Studio) -> float:
    pids = [o.pid for o in LocalRuntime(studio.settings).list() if o.workload_id.startswith("e-") and o.pid]
    sizes = [pss_megabytes([pid, *descendants(pid)]) for pid in pids]
    return statistics.fmean(sizes)


def _delete_all(studio: Studio) -> None:
    emr = studio.client("emr", "sample")
    for editor in emr.list_editors(StudioId=studio.json["sample"]["studio_id"])["Editors"]:
        emr.delete_editor(EditorId=editor["EditorId"])


class Hub:
    """A running JupyterHub, driven by its REST API."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"token {TOKEN}"}, timeout=240)
        self._pid = pid

    def start(self, user: str) -> float:
        """Make a user, start the server once (home folder, caches), stop it, then time a start."""
        self._prepare(user)
        return self._spawn(user)

    def start_many(self, count: int) -> list[float]:
        """Seconds that each of so many takes that are asked for at the same moment."""
        users = [f"many{number}" for number in range(count)]
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(lambda user: self._prepare(user, _SELDOM), users))
            return list(pool.map(lambda user: self._spawn(user, _SELDOM), users))

    def _prepare(self, user: str, pause: float = _OFTEN) -> None:
        self._http.post(f"/hub/api/users/{user}").raise_for_status()
        self._spawn(user, pause)
        self._http.delete(f"/hub/api/users/{user}/server").raise_for_status()
        until(f"{user} stopped", lambda: not self._http.get(f"/hub/api/users/{user}").json()["servers"], _PATIENCE)

    def _spawn(self, user: str, pause: float = _OFTEN) -> float:
        begun = time.monotonic()
        self._http.post(f"/hub/api/users/{user}/server").raise_for_status()
        while self._http.get(f"/user/{user}/api/status").status_code != httpx.codes.OK:
            assert time.monotonic() - begun < _PATIENCE, "JupyterHub did not start the server"
            time.sleep(pause)
        return time.monotonic() - begun

    def write(self, user: str, name: str, notebook: dict[str, Any]) -> None:
        """Put a notebook into a running user's home."""
        body = {"type": "notebook", "format": "json", "content": notebook}
        self._http.put(f"/user/{user}/api/contents/{name}", json=body).raise_for_status()

    def memory(self, count: int) -> float:
        """Mean PSS in MB of the single-user servers."""
        servers = [pid for pid in descendants(self._pid) if "jupyterhub-singleuser" in _command_line(pid)]
        assert len(servers) == count, f"{len(servers)} single-user servers run, not {count}"
        return statistics.fmean(pss_megabytes([pid]) for pid in servers)


def _command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


@contextmanager
def hub(folder: Path) -> Iterator[Hub]:
    port, hub_port, proxy_port = free_port(), free_port(), free_port()
    config = folder / "jupyterhub_config.py"
    config.write_text(
        HUB_CONFIG.format(
            port=port, hub_port=hub_port, proxy_port=proxy_port, folder=folder, token=TOKEN, patience=int(_PATIENCE)
        )
    )
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        try:
            return httpx.get(f"{url}/hub/api/").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    with server([str(PEERS / "jupyterhub"), "-f", str(config)], ready, folder) as pid:
        yield Hub(url, pid)
