"""The command line: `emr-studio …`. Each command is a few lines; the work is in the modules beside."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Open EMR Studio: your own EMR Studio.")
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Where this studio keeps everything.", show_default="~/.emr-studio")
]


def _fail(message: str, code: int = 1) -> typer.Exit:
    err.print(message, style="red", markup=False, soft_wrap=True)
    return typer.Exit(code)


@app.command()
def up(
    data_dir: DataDir = None,
    port: Annotated[
        int | None, typer.Option(help="Port of the one door; 0 picks a free one.", show_default="8080, or as before")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when ready instead of staying.")] = False,
) -> None:
    """Start everything; say when it is ready."""
    from emr_studio.cli import installation, ready, supervise

    settings = installation.prepare(data_dir, port)
    if supervise.is_running(settings):
        out.print(f"The studio in {settings.data_dir} is running already.")
        ready.show(out, settings)
        return
    try:
        with ready.Progress(out) as progress:
            supervise.check(settings)
            if detach:
                supervise.detach(settings, progress.step)
                progress.done()
                ready.show(out, settings)
                return

            def say_ready() -> None:
                progress.done()
                ready.show(out, settings)

            supervise.supervise(settings, progress.step, say_ready)
    except supervise.UpFailed as error:
        raise _fail(f"The studio did not start, and nothing was left running.\n{error}") from None


@app.command(hidden=True, name="supervise")
def supervise_command(report_fd: Annotated[int, typer.Option()]) -> None:
    """What `up --detach` runs in the background."""
    import os

    from emr_studio.cli import supervise
    from emr_studio.settings import Settings

    def ready() -> None:
        supervise.write_line(report_fd, "ready")
        os.close(report_fd)

    try:
        supervise.supervise(Settings(), lambda text: supervise.write_line(report_fd, "step", text), ready)
    except supervise.UpFailed as error:
        supervise.write_line(report_fd, "failed", str(error))
        raise typer.Exit(1) from None


@app.command(hidden=True, name="bootstrap")
def bootstrap_command(stage: str) -> None:
    """What the supervisor runs once before and once after the parts start."""
    from emr_studio.cli import bootstrap
    from emr_studio.settings import Settings

    if stage == "identities":
        bootstrap.identities(Settings())
        return
    try:
        bootstrap.sample_world(Settings(), lambda text: print(text, flush=True))
    except bootstrap.BootstrapFailed as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None


@app.command()
def down(
    data_dir: DataDir = None,
    keep_workloads: Annotated[
        bool, typer.Option("--keep-workloads", help="Leave Workspaces and clusters running.")
    ] = False,
) -> None:
    """Stop everything cleanly; nothing is lost."""
    from emr_studio.cli import installation, supervise

    try:
        stopped = supervise.down(installation.load(data_dir), keep_workloads)
    except (installation.NotInstalled, supervise.UpFailed) as error:
        raise _fail(str(error)) from None
    out.print("Stopped." if stopped else "It was not running.")


@app.command()
def status(data_dir: DataDir = None, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Every part with its state; exit status 0 only if all of them run."""
    from emr_studio.cli import installation, ready, supervise

    try:
        found = supervise.status(installation.load(data_dir))
    except installation.NotInstalled as error:
        raise _fail(str(error)) from None
    if as_json:
        print(json.dumps(found))
    else:
        ready.show_status(out, found)
    raise typer.Exit(0 if found["state"] == "running" else 1)


@app.command(name="doctor")
def doctor_command(data_dir: DataDir = None) -> None:
    """What this machine can isolate, what is missing, how to mend it."""
    from emr_studio.cli import doctor as checks
    from emr_studio.cli import installation

    if not checks.run(out, installation.data_dir(data_dir)):
        raise typer.Exit(1)


@app.command(name="demo")
def demo_command(data_dir: DataDir = None) -> None:
    """The main job by the public API alone, each step with its time."""
    from emr_studio.cli import demo as main_job
    from emr_studio.cli import installation

    try:
        main_job.run(out, installation.load(data_dir))
    except (installation.NotInstalled, main_job.DemoFailed) as error:
        raise _fail(str(error)) from None


@app.command(name="configure-aws")
def configure_aws_command(
    data_dir: DataDir = None,
    profile: Annotated[str, typer.Option(help="Name of the profile to write.")] = "emr-studio",
) -> None:
    """Write an AWS profile: then stock `aws` and boto3 work, Workspace operations included."""
    from emr_studio.cli import configure_aws as writer
    from emr_studio.cli import installation

    try:
        writer.configure_aws(installation.load(data_dir), profile)
    except installation.NotInstalled as error:
        raise _fail(str(error)) from None
    out.print(f"Wrote profile {profile}. Try: AWS_PROFILE={profile} aws emr list-studios")


def _part(name: str, summary: str) -> None:
    def command() -> None:
        from emr_studio import app as composition

        composition.run_part(name)

    command.__doc__ = summary
    app.command(name=name)(command)


_part("api", "Run the control plane alone (settings from EMR_STUDIO_*).")
_part("controller", "Run the controllers alone.")
_part("agent", "Run the host agent alone.")
_part("edge", "Run the edge alone.")
_part("lane", "Run the lane alone: the studio's port, and the straight way to the object store.")
_part("store", "Run the embedded object store alone.")


def _sub_apps() -> None:
    from emr_studio.cli import iam, reference, releases, subnets, trail, zones

    app.add_typer(iam.app, name="iam")
    app.add_typer(reference.app, name="reference")
    app.add_typer(releases.app, name="release")
    app.add_typer(trail.app, name="trail")
    app.add_typer(zones.app, name="zone")
    app.add_typer(subnets.app, name="subnet")


def main() -> None:
    """Entry point of the command `emr-studio`."""
    # The parts of a studio start often and must start fast: they need no sub-commands.
    if len(sys.argv) > 1 and sys.argv[1] in {"iam", "reference", "release", "trail", "zone", "--help"}:
        _sub_apps()
    app()
