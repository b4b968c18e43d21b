"""STS; importing this package registers its operations."""

from __future__ import annotations

from importlib import import_module

for _room in ("assume_role", "identity", "saml", "tokens", "web_identity"):
    import_module(f"{__name__}.{_room}")
