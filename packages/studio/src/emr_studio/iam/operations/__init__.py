"""The APIs of IAM and STS; importing this package registers every operation."""

from __future__ import annotations

from importlib import import_module

_ROOMS = (
    *("access_keys", "account", "attachments", "authorization_details", "credential_report"),
    *("groups", "inline", "instance_profiles", "last_accessed", "login_profiles", "mfa", "oidc_providers"),
    *("password_policies", "policies", "policy_versions", "roles", "saml_providers"),
    *("server_certificates", "service_linked_roles", "simulator", "sts", "tags", "user_credentials", "users"),
)

for _room in _ROOMS:
    import_module(f"{__name__}.{_room}")
