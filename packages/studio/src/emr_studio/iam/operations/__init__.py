"""The APIs of IAM and STS; importing this package registers every operation."""

from __future__ import annotations

from importlib import import_module

_ROOMS = (
    *("access_keys", "account", "attachments", "groups", "inline", "instance_profiles", "login_profiles", "mfa"),
    *("policies", "policy_versions", "roles", "simulator", "sts", "tags", "users"),
)

for _room in _ROOMS:
    import_module(f"{__name__}.{_room}")
