"""CloudTrail's API: looking events up, trails, their selectors and tags, the keys of digests."""

from __future__ import annotations

import importlib

_MODULES = ("lookup", "trails", "event_selectors", "tags", "public_keys")


def load() -> None:
    """Register all operations."""
    for name in _MODULES:
        importlib.import_module(f"{__name__}.{name}")
