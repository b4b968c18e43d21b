"""`emr-studio doctor`: what this machine can isolate, what is missing, how to mend it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from rich.console import Console

from emr_studio.cli import preflight, supervise
from emr_studio.cli.zones import impaired_zones
from emr_studio.clusters.catalog.releases import default_release
from emr_studio.runtime.isolation import isolation_report
from emr_studio.settings import Settings
from emr_studio.storage import external


def run(out: Console, data_dir: Path) -> bool:
    """Print what was found; False if something keeps the studio from starting."""
    settings = Settings(data_dir=data_dir)
    out.print("Programs", style="bold")
    java = preflight.java_version()
    _line(out, java is not None, f"Java {java}" if java else "Java is missing")
    for name in ("caddy",) if settings.s3_endpoint else ("caddy", "weed"):
        found = preflight.binary(name)
        _line(out, found is not None, f"{name}: {found or 'missing (make install)'}")
    for name in ("workspace", default_release().environment):
        _line(out, settings.env_python(name).exists(), f"environment {name}")
    _line(out, shutil.which("git") is not None, "git (for the Git panel)")
    if settings.s3_endpoint:
        found_wrong = external.problem(settings)
        _line(out, found_wrong is None, found_wrong or f"S3: {settings.s3_endpoint} answers to our keys")
    out.print("Isolation of Workspaces", style="bold")
    if os.geteuid() != 0:
        out.print(
            "  - not started as root: Workspaces and clusters run as your own user, and can read what you can; "
            "the object store listens on loopback"
        )
    for fact in isolation_report():
        _line(out, fact.available, f"{fact.name}: {fact.detail}")
    for zone in impaired_zones(settings):
        _line(out, False, f"zone {zone['zone']} is impaired (emr-studio zone restore {zone['zone']})")
    running = supervise.is_running(settings) if data_dir.exists() else False
    blockers = [] if running or not data_dir.exists() else preflight.problems(settings)
    for problem in blockers:
        out.print(f"  ✗ {problem}", style="red")
    out.print("The studio is running." if running else "The studio can start." if not blockers else "Mend the above.")
    return not blockers


def _line(out: Console, good: bool, text: str) -> None:
    out.print(f"  {'✓' if good else '✗'} {text}", style="" if good else "yellow")
