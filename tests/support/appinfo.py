"""The studio's bucket for event logs, in memory."""

from __future__ import annotations

from pathlib import Path

from emr_studio.clusters.logs.appinfo import AppInfo, StoreFailed


class MemoryAppInfo(AppInfo):
    """Objects by `prefix/name`; while it is `away` nothing works."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.away = False
        self.puts = 0

    def put(self, prefix: str, name: str, body: bytes) -> None:
        self._here()
        self.puts += 1
        self.objects[f"{prefix}/{name}"] = body

    def names(self, prefix: str) -> list[str]:
        self._here()
        return [key.removeprefix(f"{prefix}/") for key in self.objects if key.startswith(f"{prefix}/")]

    def fetch(self, prefix: str, target: Path) -> int:
        target.mkdir(parents=True, exist_ok=True)
        for name in self.names(prefix):
            (target / name).write_bytes(self.objects[f"{prefix}/{name}"])
        return len(self.names(prefix))

    def remove(self, prefix: str) -> None:
        for name in self.names(prefix):
            del self.objects[f"{prefix}/{name}"]

    def _here(self) -> None:
        if self.away:
            raise StoreFailed("the store is away")
