"""The EMR API's operations on releases and instance types."""

from __future__ import annotations

from typing import Any

from emr_studio.aws.context import Context
from emr_studio.aws.errors import InvalidRequest
from emr_studio.aws.registry import Request, Response, action, operation
from emr_studio.clusters.catalog.instance_types import InstanceType, instance_types
from emr_studio.clusters.catalog.releases import Release, find_release, releases


@operation("emr", "ListReleaseLabels", checks=action("elasticmapreduce:ListReleaseLabels"))
def list_release_labels(_context: Context, request: Request) -> Response:
    """List release labels, newest first; by prefix, and by application (`spark` or `spark@4.1.4`)."""
    filters = request.get("Filters") or {}
    found = [
        release.label
        for release in releases()
        if release.label.startswith(filters.get("Prefix") or "") and _has(release, filters.get("Application"))
    ]
    return {"ReleaseLabels": found}


def _has(release: Release, wanted: str | None) -> bool:
    if not wanted:
        return True
    name, _, version = wanted.partition("@")
    proper = release.application(name)
    return proper is not None and version in ("", release.applications[proper])


@operation("emr", "DescribeReleaseLabel", checks=action("elasticmapreduce:DescribeReleaseLabel"))
def describe_release_label(_context: Context, request: Request) -> Response:
    """Describe a release label: its applications with their versions."""
    label = request.get("ReleaseLabel")
    if not label:
        raise InvalidRequest("ReleaseLabel is required.")
    release = find_release(label)
    if release is None:
        raise InvalidRequest(f"Release label '{label}' is not valid.")
    applications = [{"Name": name, "Version": version} for name, version in release.applications.items()]
    return {"ReleaseLabel": release.label, "Applications": applications, "AvailableOSReleases": []}


@operation("emr", "ListSupportedInstanceTypes", checks=action("elasticmapreduce:ListSupportedInstanceTypes"))
def list_supported_instance_types(_context: Context, request: Request) -> Response:
    """List the instance types of a release, by name, in one page: any of EC2's sizes is scaled to the machine."""
    label = request["ReleaseLabel"]
    if find_release(label) is None:
        raise InvalidRequest(f"Release label '{label}' is not valid.")
    if request.get("Marker"):
        raise InvalidRequest("Marker is not valid.")
    return {"SupportedInstanceTypes": [_shape(one) for one in instance_types()]}


def _shape(one: InstanceType) -> dict[str, Any]:
    return {
        "Type": one.name,
        "MemoryGB": one.memory_gb,
        "StorageGB": one.storage_gb,
        "VCPU": one.vcpu,
        "Is64BitsOnly": True,
        "InstanceFamilyId": one.name.partition(".")[0],
        "EbsOptimizedAvailable": True,
        "EbsOptimizedByDefault": True,
        "NumberOfDisks": one.disks,
        "EbsStorageOnly": one.disks == 0,
        "Architecture": "ARM64" if one.arm else "X86_64",
    }
