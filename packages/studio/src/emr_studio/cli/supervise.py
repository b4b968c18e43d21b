"""`up` and `down`: start everything under one supervisor, stop everything, leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from emr_studio.cli import installation, parts, preflight
from emr_studio.runtime.client import LocalRuntime
from emr_studio.runtime.contract import RuntimeUnavailable, WorkloadState
from emr_studio.runtime.leftovers import end_unused_helpers
from emr_studio.runtime.processes import is_alive, signal_if_alive
from emr_studio.runtime.supervisor import PartFailed, Supervisor, read_record
from emr_studio.settings import Settings

_START_SECONDS = 180.0
_DOWN_SECONDS = 240.0
"""Longer than the agent's last saves may take, which are two minutes, and the parts' own ends."""
Report = Callable[[str], None]


class UpFailed(Exception):
    """The studio did not start; `str()` says what is wrong and what to do. Nothing was left running."""


def is_running(settings: Settings) -> bool:
    """True if a supervisor of this installation runs."""
    record = read_record(settings.run_dir)
    return record is not None and record.alive


def check(settings: Settings) -> None:
    """Look for what would go wrong, and end parts that a killed supervisor left.

    Raises:
        UpFailed: with every problem found.
    """
    _end_leftovers(settings)
    found = preflight.problems(settings)
    if found:
        raise UpFailed("\n".join(f"* {problem}" for problem in found))


def supervise(settings: Settings, report: Report, ready: Callable[[], None]) -> None:
    """Run the studio in this process until SIGTERM (or SIGUSR1: keep workloads).

    However it ends, no part stays behind, unless this process is killed.

    Raises:
        UpFailed: a part did not start; all parts were stopped again.
    """
    supervisor = Supervisor(parts.parts(settings), settings.run_dir, settings.logs_dir, parts.environment(settings))
    supervisor.prepare()
    try:
        _start(settings, supervisor, report)
    except (PartFailed, OSError) as error:
        _give_up(settings, supervisor)
        raise UpFailed(str(error)) from error
    except BaseException:  # a fault of ours, whose trace goes to the log
        _give_up(settings, supervisor)
        raise
    try:
        ready()
        supervisor.run()
    finally:
        _stop(settings, supervisor)


def _start(settings: Settings, supervisor: Supervisor, report: Report) -> None:
    furnished = installation.is_furnished(settings)
    if not furnished:
        report("preparing the database")
        _in_own_process(settings, "identities", report)
    store = "" if settings.s3_endpoint else "object store, "
    report(f"starting {store}control plane, controllers, host agent and edge")
    supervisor.start(set(parts.names(settings)), _START_SECONDS)
    if not furnished:
        _in_own_process(settings, "sample-world", report)


def _in_own_process(settings: Settings, stage: str, report: Report) -> None:
    """Run a stage of the bootstrap; what it imports (data frames, AWS's clients) goes with it."""
    child = subprocess.Popen(
        [sys.executable, "-m", "emr_studio.cli", "bootstrap", stage],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=parts.environment(settings),
    )
    assert child.stdout is not None
    for line in child.stdout:
        report(line.strip())
    _, problem = child.communicate()
    if child.returncode:
        raise PartFailed(problem.strip() or f"the bootstrap ({stage}) ended with {child.returncode}")


def _stop(settings: Settings, supervisor: Supervisor) -> None:
    # The controllers go first, or they would start again what the agent stops.
    supervisor.stop({"controller"})
    try:
        LocalRuntime(settings).shutdown(keep=supervisor.keep_workloads)
    except RuntimeUnavailable:
        _end_agent(settings, supervisor)
    finally:
        supervisor.stop()


def _give_up(settings: Settings, supervisor: Supervisor) -> None:
    """Stop what was started. Workloads that an earlier supervisor left go on, and the agent's helpers for them."""
    supervisor.stop({"controller"})
    runtime = LocalRuntime(settings)
    try:
        runtime.shutdown(keep=any(seen.state is not WorkloadState.EXITED for seen in runtime.list()))
    except RuntimeUnavailable:
        _end_agent(settings, supervisor)
    finally:
        supervisor.stop()


def _end_agent(settings: Settings, supervisor: Supervisor) -> None:
    """End one that does not answer; if it has only just begun, it may have started its helpers all the same."""
    supervisor.stop({"agent"})
    end_unused_helpers(settings)


def _end_leftovers(settings: Settings) -> None:
    """End what a supervisor that was killed left running: its parts, never its workloads and what these need."""
    record = read_record(settings.run_dir)
    if record is None or record.alive:
        return
    for part in record.parts.values():
        signal_if_alive(part["pid"], part["started"], signal.SIGTERM)
    deadline = time.monotonic() + 10
    for part in record.parts.values():
        while is_alive(part["pid"], part["started"]):
            if time.monotonic() > deadline:
                signal_if_alive(part["pid"], part["started"], signal.SIGKILL)
            time.sleep(0.05)
    end_unused_helpers(settings)
    with suppress(FileNotFoundError):
        (settings.run_dir / "supervisor.json").unlink()


def detach(settings: Settings, report: Report) -> None:
    """Start the supervisor as a daemon and return when the studio is ready.

    Raises:
        UpFailed: as the daemon told.
    """
    reading, writing = os.pipe()
    log = (settings.logs_dir / "supervisor.log").open("ab")
    with log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "emr_studio.cli", "supervise", "--report-fd", str(writing)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[writing],
            start_new_session=True,
            env=parts.environment(settings),
            cwd="/",
        )
    os.close(writing)
    with os.fdopen(reading) as lines:
        for line in lines:
            kind, _, text = line.rstrip("\n").partition(" ")
            if kind == "ready":
                # The daemon lives on; this handle must not complain that it does.
                daemon.returncode = 0
                return
            if kind == "failed":
                daemon.wait()
                raise UpFailed(text.replace("\x1f", "\n"))
            report(text)
    daemon.wait()
    _end_leftovers(settings)
    raise UpFailed(f"The supervisor ended unexpectedly; see {settings.logs_dir / 'supervisor.log'}")


def down(settings: Settings, keep_workloads: bool) -> bool:
    """Stop a running studio; False if none ran.

    Raises:
        UpFailed: it did not end within four minutes.
    """
    record = read_record(settings.run_dir)
    if record is None or not record.alive:
        _end_leftovers(settings)
        return False
    signal_if_alive(record.pid, record.started, signal.SIGUSR1 if keep_workloads else signal.SIGTERM)
    deadline = time.monotonic() + _DOWN_SECONDS
    while is_alive(record.pid, record.started):
        if time.monotonic() > deadline:
            raise UpFailed(f"The supervisor (process {record.pid}) did not stop; see {settings.logs_dir}")
        time.sleep(0.05)
    return True


def status(settings: Settings) -> dict[str, object]:
    """Every part with its state, for `status`."""
    from emr_studio.cli.zones import impaired_zones

    record = read_record(settings.run_dir)
    running = record is not None and record.alive
    rows = []
    for part in parts.parts(settings):
        known = record.parts.get(part.name) if record else None
        alive = known is not None and is_alive(known["pid"], known["started"])
        state = "stopped" if not alive else ("running" if part.ready() else "starting")
        rows.append({"name": part.name, "state": state, "pid": known["pid"] if known and alive else None,
                     "restarts": known["restarts"] if known else 0})  # fmt: skip
    overall = "stopped" if not running else ("running" if all(r["state"] == "running" for r in rows) else "degraded")
    return {"state": overall, "data_dir": str(settings.data_dir), "endpoint_url": settings.endpoint_url,
            "pid": record.pid if running and record else None, "parts": rows,
            "impaired_zones": impaired_zones(settings)}  # fmt: skip


def write_line(descriptor: int, kind: str, text: str = "") -> None:
    """Tell the `up` that waits at the other end of the pipe; it may be gone."""
    with suppress(OSError):
        os.write(descriptor, (kind + " " + text.replace("\n", "\x1f") + "\n").encode())
