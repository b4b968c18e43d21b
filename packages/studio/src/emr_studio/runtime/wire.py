"""Specs, gateways and observations as JSON: what the agent and its clients say, and what it keeps."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from emr_studio.runtime.contract import (
    Activity,
    Gateway,
    GitProgress,
    GitWork,
    Limits,
    Observation,
    ProcessSpec,
    Spec,
    WorkloadKind,
    WorkloadState,
    WorkspaceSpec,
)
from emr_studio.storage.versions import FileVersion


def dump_spec(spec: Spec) -> dict[str, Any]:
    """A spec as plain values; `kind` tells which."""
    return {**asdict(spec), "kind": spec.kind.value}


def load_spec(values: Mapping[str, Any]) -> Spec:
    """The spec that `dump_spec` wrote.

    Raises:
        TypeError, ValueError: it is none.
    """
    fields = dict(values)
    kind = WorkloadKind(fields["kind"])
    fields["kind"] = kind
    fields["limits"] = Limits(**fields.get("limits", {}))
    if kind is WorkloadKind.WORKSPACE:
        return WorkspaceSpec(**fields)
    fields["argv"] = tuple(fields["argv"])
    fields["readable"] = tuple(fields.get("readable", ()))
    return ProcessSpec(**fields)


def dump_gateway(gateway: Gateway | None) -> dict[str, str] | None:
    """A gateway as plain values."""
    return asdict(gateway) if gateway else None


def load_gateway(values: Mapping[str, str] | None) -> Gateway | None:
    """The gateway that `dump_gateway` wrote."""
    return Gateway(**values) if values else None


def dump_activity(activity: Activity | None) -> dict[str, Any] | None:
    """Activity as plain values."""
    return asdict(activity) if activity else None


def load_activity(values: Mapping[str, Any] | None) -> Activity | None:
    """The activity that `dump_activity` wrote."""
    return Activity(**values) if values else None


def dump_git(found: GitWork | GitProgress | None) -> dict[str, Any] | None:
    """Git work, or how it stands, as plain values."""
    return asdict(found) if found else None


def load_git_work(values: Mapping[str, Any]) -> GitWork:
    """The work that `dump_git` wrote."""
    return GitWork(**values)


def load_git_progress(values: Mapping[str, Any] | None) -> GitProgress | None:
    """The progress that `dump_git` wrote."""
    return GitProgress(**values) if values else None


def dump_version(version: FileVersion) -> dict[str, Any]:
    """A file's version as plain values."""
    return {**asdict(version), "saved": version.saved.isoformat()}


def load_version(values: Mapping[str, Any]) -> FileVersion:
    """The version that `dump_version` wrote."""
    return FileVersion(**{**values, "saved": dt.datetime.fromisoformat(values["saved"])})


def dump_observation(observation: Observation) -> dict[str, Any]:
    """An observation as plain values."""
    return {**asdict(observation), "state": observation.state.value, "log_tail": list(observation.log_tail)}


def load_observation(values: Mapping[str, Any]) -> Observation:
    """The observation that `dump_observation` wrote."""
    fields = dict(values)
    fields["state"] = WorkloadState(fields["state"])
    fields["log_tail"] = tuple(fields["log_tail"])
    return Observation(**fields)
