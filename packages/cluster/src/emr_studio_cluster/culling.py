"""The classification `jeg-config`: when the gateway ends idle kernels. Without it they live as long as the cluster.

A kernel that runs something, a Spark job above all, is never idle. One that somebody is connected to (an open notebook)
is culled only with `cull_connected`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

_OWNERS = ("MappingKernelManager", "RemoteMappingKernelManager", "AsyncMappingKernelManager")
"""Names of the class in Jupyter's server and in Enterprise Gateway, whose settings these are."""
_NUMBERS = ("cull_idle_timeout", "cull_interval")
_LONGEST_SECONDS = 10**8


def culling_of(properties: Mapping[str, str]) -> dict[str, Any]:
    """Settings of the kernel manager; what cannot be read is as if it were not there."""
    found: dict[str, Any] = {"cull_idle_timeout": 0}
    for name, value in properties.items():
        owner, _, setting = name.removeprefix("c.").partition(".")
        if owner not in _OWNERS:
            continue
        if setting == "cull_connected":
            found[setting] = value.strip().lower() == "true"
        elif setting in _NUMBERS:
            with suppress(ValueError):
                found[setting] = min(max(0, int(value)), _LONGEST_SECONDS)
    return found
