"""Which clusters no Workspace can ever be attached to, and why (CL-07; emr-studio.md 5.1).

Most of what AWS lists cannot be made here at all: RunJobFlow refuses several primary nodes, Kerberos and releases
that the catalog does not have. The rules stand here nevertheless, for rows of an older installation and for releases
that are added to the catalog.
"""

from __future__ import annotations

import re

from sqlalchemy.orm import Session

from emr_studio.clusters.catalog.instance_types import is_graviton
from emr_studio.clusters.catalog.releases import find_release
from emr_studio.clusters.model import COMING, USABLE, Cluster, InstanceGroup, Role, groups_of, is_outside

REQUIRED_APPLICATIONS = ("Spark", "Livy", "JupyterEnterpriseGateway")
"""What a cluster must have for a Workspace to attach to it."""
Version = tuple[int, int, int]
_RELEASE = re.compile(r"emr-(\d+)\.(\d+)\.(\d+)")
_OLDEST: dict[int, Version] = {5: (5, 32, 0), 6: (6, 2, 0)}
_OLDEST_WITH_GRAVITON: dict[int, Version] = {5: (5, 36, 1), 6: (6, 9, 0)}


def compatible_for_attach(session: Session, cluster: Cluster) -> str | None:
    """Return why no Workspace can ever attach to the cluster, or None if one can.

    One that is still starting can, later. That the cluster is in the Studio's VPC is for the caller
    to check.
    """
    if cluster.state not in (*COMING, *USABLE):
        return f"The cluster is {cluster.state}."
    if is_outside(cluster):
        return None
    return _software(cluster) or _hardware(cluster.release_label, groups_of(session, cluster.id))


def _software(cluster: Cluster) -> str | None:
    version = _version(cluster.release_label)
    oldest = _OLDEST.get(version[0], _OLDEST[5])
    if version < oldest:
        return f"The release {cluster.release_label} is too old: it must be at least emr-{_text(oldest)}."
    missing = [name for name in REQUIRED_APPLICATIONS if name not in cluster.applications]
    if missing:
        return f"The cluster lacks the application(s) {', '.join(missing)}."
    if "KerberosAttributes" in cluster.details:
        return "Clusters with Kerberos authentication cannot be attached."
    return None


def _hardware(label: str, groups: list[InstanceGroup]) -> str | None:
    if sum(group.requested_count for group in groups if group.role == Role.MASTER) > 1:
        return "Clusters with multiple primary nodes cannot be attached."
    version = _version(label)
    oldest = _OLDEST_WITH_GRAVITON.get(version[0])
    graviton = next((group.instance_type for group in groups if is_graviton(group.instance_type)), None)
    if graviton is not None and oldest is not None and version < oldest:
        return f"With Graviton instances ({graviton}) the release must be at least emr-{_text(oldest)}, not {label}."
    if find_release(label) is None:
        return f"The release {label} is not available any more."
    return None


def _version(label: str) -> Version:
    found = _RELEASE.match(label)
    return (int(found[1]), int(found[2]), int(found[3])) if found else (0, 0, 0)


def _text(version: Version) -> str:
    return ".".join(str(part) for part in version)
