"""Release labels: which Spark and which environment each one means (`releases.toml`)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Release:
    """One release label."""

    label: str
    environment: str
    """Folder below `.envs`."""
    spark: str
    hadoop: str
    java: int
    """The oldest major version of Java that it runs on."""
    needs_jars: bool
    """Whether nothing works without the jars that Spark's package lacks (`emr_studio_cluster.jars`)."""
    applications: Mapping[str, str]
    """Applications with their versions, by their proper names."""

    def application(self, name: str) -> str | None:
        """The proper name of an application, whatever the case it is written in; None if unknown."""
        return next((known for known in self.applications if known.lower() == name.lower()), None)


@cache
def releases() -> tuple[Release, ...]:
    """All releases of this installation, newest first."""
    text = files(__package__).joinpath("releases.toml").read_text()
    return tuple(Release(**entry) for entry in tomllib.loads(text)["release"])


def newest_release() -> Release:
    """The one that a cluster has when nobody says otherwise."""
    return releases()[0]


def default_release() -> Release:
    """The one that the installation prepares."""
    return releases()[0]


def find_release(label: str) -> Release | None:
    """The release of that label, or None."""
    return next((release for release in releases() if release.label == label), None)
