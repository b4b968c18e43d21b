"""Decisions by cedarpy and by moto's access control; runs in the peers' environment (.envs/bench).

Reads one JSON line with the sets, then one name a line (`cedar <set>`, `moto <set>`), and answers each with the
answers to the set's requests and the processor seconds that they took, many times over.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import cedarpy  # type: ignore[import-not-found]  # of the peers' environment
from moto.iam.access_control import IAMPolicy, PermissionResult  # type: ignore[import-not-found]

SECONDS = 1.0


class Cedar:
    """A policy set a layer, parsed once: each must allow."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._layers = [cedarpy.PolicySet.from_str(text) for text in given["cedar"]]
        self._entities = cedarpy.Entities.from_json_str("[]")

    def decide(self, request: dict[str, Any]) -> bool:
        context = {"action": request["action"], "resource": request["resource"], **request["context"]}
        asked = {
            "principal": 'User::"ann"',
            "action": 'Action::"ask"',
            "resource": 'Resource::"any"',
            "context": context,
        }
        return all(cedarpy.is_authorized(asked, layer, self._entities).allowed for layer in self._layers)


class Moto:
    """As moto's `IAMRequest.check_action_permitted` goes through the policies; each layer must allow."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._layers = given["iam"]

    def decide(self, request: dict[str, Any]) -> bool:
        return all(self._layer(layer, request) for layer in self._layers)

    def _layer(self, policies: list[str], request: dict[str, Any]) -> bool:
        permitted = False
        for text in policies:
            result = IAMPolicy(text).is_action_permitted(
                request["action"], request["resource"], incoming_condition_values=request["context"]
            )
            if result == PermissionResult.DENIED:
                return False
            permitted = permitted or result == PermissionResult.PERMITTED
        return permitted


def rate(decide: Callable[[dict[str, Any]], bool], requests: list[dict[str, Any]]) -> float:
    """Decisions a second of processor time, going through the requests for at least `SECONDS`."""
    begun, done = time.thread_time(), 0
    while (spent := time.thread_time() - begun) < SECONDS:
        for request in requests:
            decide(request)
        done += len(requests)
    return done / spent


def answers(decide: Callable[[dict[str, Any]], bool], requests: list[dict[str, Any]]) -> list[bool | None]:
    """None where it fails."""
    found: list[bool | None] = []
    for request in requests:
        try:
            found.append(decide(request))
        except Exception:  # a peer's failure is a wrong answer, not ours to raise
            found.append(None)
    return found


def main() -> None:
    sets = {one["name"]: one for one in json.loads(sys.stdin.readline())}
    for line in sys.stdin:
        peer, _, name = line.strip().partition(" ")
        given = sets[name]
        decide = Cedar(given).decide if peer == "cedar" else Moto(given).decide
        right = answers(decide, given["requests"])
        # What it fails on is left out of its measure.
        asked = [request for request, answer in zip(given["requests"], right, strict=True) if answer is not None]
        print(json.dumps({"rate": rate(decide, asked), "answers": right}), flush=True)


main()
