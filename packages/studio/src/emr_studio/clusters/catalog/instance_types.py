"""Instance types: what ListSupportedInstanceTypes shows, and how many vCPUs one has.

The families and their sizes are EC2's (figures from AWS's public instance type pages): memory goes with the
vCPUs by family, the sizes are multiples of a `large` of 2 vCPUs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_SIZES = {
    "large": 2,
    "xlarge": 4,
    "2xlarge": 8,
    "4xlarge": 16,
    "8xlarge": 32,
    "12xlarge": 48,
    "16xlarge": 64,
    "24xlarge": 96,
}
_NOTEBOOKS = {"medium": 2, "large": 4, "xlarge": 8, "2xlarge": 16, "3xlarge": 16}
_LARGEST, _MOST_NOTEBOOKS = 4, 24
_GENERATIONS = ("5", "5a", "5d", "6a", "6i", "6g", "7a", "7i", "7g")
_GB_OF_A_VCPU = {"c": 2.0, "m": 4.0, "r": 8.0}
_DISK_GB_OF_A_VCPU = 37.5
_TYPE = re.compile(r"([cmr])(\d[a-z]*)\.(.+)")


@dataclass(frozen=True)
class InstanceType:
    """One type. Sizes in GB (10^9 bytes for storage, 2^30 for memory, as EC2 has them)."""

    name: str
    vcpu: int
    memory_gb: float
    storage_gb: int
    disks: int
    arm: bool


@lru_cache(maxsize=1)
def instance_types() -> tuple[InstanceType, ...]:
    """All types, by name."""
    names = (
        f"{family}{generation}.{size}" for family in _GB_OF_A_VCPU for generation in _GENERATIONS for size in _SIZES
    )
    return tuple(sorted((_made(name) for name in names), key=lambda one: one.name))


def vcpus(name: str) -> int:
    """vCPUs of a type; of one that is not in the list, by the size in its name, else 4."""
    size = name.rpartition(".")[2]
    return _SIZES.get(size, 4)


def notebooks(name: str) -> int:
    """How many notebooks a primary node of this type is meant for at once (emr-studio.md 5.1).

    >>> [notebooks(name) for name in ("m5.xlarge", "r6i.12xlarge", "c5.metal", "t3.small")]
    [8, 24, 24, 2]
    """
    size = name.rpartition(".")[2]
    large = re.fullmatch(r"(\d+)xlarge", size)
    if size.startswith("metal") or (large is not None and int(large[1]) >= _LARGEST):
        return _MOST_NOTEBOOKS
    return _NOTEBOOKS.get(size, min(_NOTEBOOKS.values()))


def is_graviton(name: str) -> bool:
    """True for a type with AWS's ARM processors: a `g` behind the generation's number (`m6g`, `r7gd`, `t4g`, `a1`)."""
    family = name.partition(".")[0]
    return family == "a1" or re.fullmatch(r"[a-z]+\d+g[a-z]*", family) is not None


def _made(name: str) -> InstanceType:
    found = _TYPE.fullmatch(name)
    assert found is not None
    family, generation, size = found.groups()
    vcpu, has_disk = _SIZES[size], generation.endswith("d")
    storage = int(vcpu * _DISK_GB_OF_A_VCPU) if has_disk else 0
    return InstanceType(name, vcpu, vcpu * _GB_OF_A_VCPU[family], storage, 1 if has_disk else 0, is_graviton(name))
