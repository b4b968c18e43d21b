"""The classification `livy-conf`, where it means something here."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from emr_studio_cluster.livy.asked import Refused, seconds_of

_PREFIX = "livy.server.session."


@dataclass(frozen=True)
class LivyConfig:
    """Livy's settings with its own defaults; a value that cannot be read is as if it were not there."""

    check_timeout: bool = True
    timeout_seconds: float = 3600.0
    retain_seconds: float = 600.0
    """So long a session or batch that has ended is still shown."""
    most_sessions: int = 100
    sql_rows: int = 1000
    retained_statements: int = 100

    @staticmethod
    def of(properties: Mapping[str, str]) -> LivyConfig:
        """Those of the cluster."""
        found = LivyConfig()
        return LivyConfig(
            check_timeout=properties.get(f"{_PREFIX}timeout-check", "true").lower() != "false",
            timeout_seconds=_seconds(properties, f"{_PREFIX}timeout", found.timeout_seconds),
            retain_seconds=_seconds(properties, f"{_PREFIX}state-retain.sec", found.retain_seconds),
            most_sessions=_number(properties, f"{_PREFIX}max-creation", found.most_sessions),
            sql_rows=_number(properties, "livy.rsc.sql.num-rows", found.sql_rows),
            retained_statements=_number(properties, "livy.rsc.retained-statements", found.retained_statements),
        )


def _seconds(properties: Mapping[str, str], name: str, otherwise: float) -> float:
    with suppress(Refused):
        if name in properties:
            return seconds_of(properties[name])
    return otherwise


def _number(properties: Mapping[str, str], name: str, otherwise: int) -> int:
    with suppress(ValueError):
        return max(1, int(properties.get(name, otherwise)))
    return otherwise
