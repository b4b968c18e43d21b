"""Glue's API; importing this package registers every operation."""

from __future__ import annotations

from importlib import import_module

_ROOMS = ("databases", "partitions", "tables")

for _room in _ROOMS:
    import_module(f"{__name__}.{_room}")
