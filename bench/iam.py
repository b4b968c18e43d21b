"""Decisions per second beside cedarpy and moto's access control, and what authorisation costs a request.

* Decisions: the sets of `policy_sets.py`, one thread, processor seconds; ours with layers compiled once (as the
  control plane keeps them), cedarpy with parsed policy sets and equal policies (the run stops if an answer differs),
  moto as its server does it: policies read at each request. Rounds go in turn.
* A request: two processes of our own API on the same database, one of them composed with an authorizer that asks
  nobody, by wrk in turn; per second of the process's own processor time, which other work on the machine changes least.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.api import SECONDS as LOAD_SECONDS
from bench.api import load
from bench.policy_sets import ACCOUNT, PolicySets, policy_sets, to_cedar
from bench.processes import PEERS, ROOT, server
from bench.results import Figure, higher_is_better
from emr_studio.iam.policy import PolicyKind, PolicySet, PolicySource, Principal, Request, compile_layer, evaluate
from emr_studio.loopback import free_port
from tests.support.studio import Studio

ROUNDS, SECONDS = 5, 1.0
REQUEST_ROUNDS = 5
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Analyst"
CALLER = Principal("role-session", f"arn:aws:sts::{ACCOUNT}:assumed-role/Analyst/ann", ACCOUNT, ROLE)


def measure(studio: Studio) -> list[Figure]:
    """All figures of this benchmark."""
    return [*decisions(), *requests(studio)]


def decisions() -> list[Figure]:
    """Decisions per second of every set beside cedarpy; of all of them beside moto."""
    sets = policy_sets()
    figures = []
    wrong = asked = 0
    ours_all: list[float] = []
    moto_all: list[float] = []
    with _peers(sets) as ask:
        for one in sets:
            engine = _Ours(one)
            right = [engine.decide(request) for request in one.requests]
            ours, cedar, moto = [], [], []
            for _ in range(ROUNDS):
                ours.append(engine.rate())
                cedar.append(_checked(ask("cedar", one.name), right, one))
                answer = ask("moto", one.name)
                moto.append(answer["rate"])
            wrong += sum(a is not b for a, b in zip(answer["answers"], right, strict=True))
            asked += len(right)
            ours_all += ours
            moto_all += moto
            figures.append(higher_is_better(f"IAM decisions per second ({one.name})", "1/s", ours, cedar, "cedarpy"))
            print(f"  {one.name}: {sum(right)} of {len(right)} allowed, {figures[-1]}", flush=True)
    peer = f"moto access control, {wrong} of {asked} answers wrong"
    return [*figures, higher_is_better("IAM decisions per second (all sets)", "1/s", ours_all, moto_all, peer)]


class _Ours:
    """Our engine with a set's layers compiled."""

    def __init__(self, sets: PolicySets) -> None:
        kinds = (PolicyKind.IDENTITY, PolicyKind.BOUNDARY, PolicyKind.SESSION)
        layers = [
            compile_layer(tuple(PolicySource(str(i), json.dumps(one)) for i, one in enumerate(policies)), kind)
            for policies, kind in zip(sets.layers, kinds, strict=False)
        ]
        identity, boundary, session = [*layers, None, None][:3]
        assert identity is not None
        self._policies = PolicySet(identity, boundary, session)
        self._requests = sets.requests

    def decide(self, request: dict[str, Any]) -> bool:
        asked = Request(CALLER, request["action"], request["resource"], ACCOUNT, request["context"])
        return evaluate(asked, self._policies).allowed

    def rate(self) -> float:
        """Decisions a second of processor time."""
        begun, done = time.thread_time(), 0
        while (spent := time.thread_time() - begun) < SECONDS:
            for request in self._requests:
                self.decide(request)
            done += len(self._requests)
        return done / spent


def _checked(answer: dict[str, Any], right: list[bool], one: PolicySets) -> float:
    for request, ours, theirs in zip(one.requests, right, answer["answers"], strict=True):
        if ours is not theirs:
            raise RuntimeError(f"{one.name}: we say {ours}, cedarpy says {theirs} to {request}")
    return float(answer["rate"])


@contextmanager
def _peers(sets: tuple[PolicySets, ...]) -> Iterator[Any]:
    """A process with the peers; yields `ask(peer, set)`."""
    argv = [str(PEERS / "python"), str(ROOT / "bench/peers/decisions.py")]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    given = [
        {
            "name": one.name,
            "iam": [[json.dumps(policy) for policy in layer] for layer in one.layers],
            "cedar": [to_cedar(layer) for layer in one.layers],
            "requests": one.requests,
        }
        for one in sets
    ]
    stdin, stdout = process.stdin, process.stdout

    def ask(peer: str, name: str) -> Any:
        stdin.write(f"{peer} {name}\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"the peers ended while {peer} was asked for {name}")
        return json.loads(line)

    try:
        stdin.write(json.dumps(given) + "\n")
        yield ask
    finally:
        stdin.close()
        process.wait(30)


def requests(studio: Studio) -> list[Figure]:
    """Requests per second of an operation that is checked by policies, with and without the check."""
    keys = studio.json["sample"]
    with tempfile.TemporaryDirectory(prefix="authz-") as folder:
        place = Path(folder)
        with _api(studio, place / "on", "on") as checked, _api(studio, place / "off", "off") as unchecked:
            rounds = [
                tuple(_per_processor_second(*api, keys, place) for api in (checked, unchecked))
                for _ in range(REQUEST_ROUNDS)
            ]
    on, off = zip(*rounds, strict=True)
    name = "ListStudios per processor second, authorisation on"
    return [higher_is_better(name, "requests", on, off, "the same, off")]


def _per_processor_second(url: str, pid: int, keys: dict[str, str], folder: Path) -> float:
    before = _processor_seconds(pid)
    rate, _ = load(url, keys, "ListStudios", folder)
    return rate * LOAD_SECONDS / (_processor_seconds(pid) - before)


def _processor_seconds(pid: int) -> float:
    """User and system time of a process (fields 14 and 15 of /proc/pid/stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _api(studio: Studio, folder: Path, authorisation: str) -> Iterator[tuple[str, int]]:
    url = f"http://127.0.0.1:{(port := free_port())}"
    argv = [sys.executable, str(ROOT / "bench/plain_api.py"), str(studio.data_dir), str(port), authorisation]

    def ready() -> bool:
        try:
            return httpx.get(f"{url}/_health").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    with server(argv, ready, folder) as pid:
        yield url, pid
