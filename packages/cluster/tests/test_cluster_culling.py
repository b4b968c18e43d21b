"""What the classification `jeg-config` says of idle kernels."""

from __future__ import annotations

from typing import Any

import pytest

from emr_studio_cluster.culling import culling_of


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, {"cull_idle_timeout": 0}),
        (
            {
                "RemoteMappingKernelManager.cull_idle_timeout": "10800",
                "RemoteMappingKernelManager.cull_interval": "300",
            },
            {"cull_idle_timeout": 10800, "cull_interval": 300},
        ),
        (
            {"c.MappingKernelManager.cull_connected": "True", "c.MappingKernelManager.cull_idle_timeout": " 60 "},
            {"cull_idle_timeout": 60, "cull_connected": True},
        ),
        ({"MappingKernelManager.cull_idle_timeout": "soon"}, {"cull_idle_timeout": 0}),
        ({"MappingKernelManager.cull_idle_timeout": "-1"}, {"cull_idle_timeout": 0}),
        ({"MappingKernelManager.cull_idle_timeout": "9" * 30}, {"cull_idle_timeout": 10**8}),
        # None of the gateway's other settings: those are not the cluster's to change.
        ({"KernelGatewayApp.auth_token": "", "MappingKernelManager.cull_busy": "True"}, {"cull_idle_timeout": 0}),
    ],
)
def test_settings(properties: dict[str, str], expected: dict[str, Any]) -> None:
    assert culling_of(properties) == expected
