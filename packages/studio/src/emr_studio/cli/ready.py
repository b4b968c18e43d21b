"""What a person sees: progress while it starts, then where everything is and what to try."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.table import Table

from emr_studio.cli import installation
from emr_studio.settings import Settings


class Progress:
    """Prints each step with the seconds the one before took."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._begun = self._step_begun = time.monotonic()
        self._open = ""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind and self._open:
            self._out.print(f"  ✗ {self._open}", style="red", soft_wrap=True)

    def step(self, text: str) -> None:
        """Say what goes on now."""
        self._close()
        self._open, self._step_begun = text, time.monotonic()

    def _close(self) -> None:
        if self._open:
            self._out.print(f"  ✓ {self._open} ({time.monotonic() - self._step_begun:.1f} s)", soft_wrap=True)
            self._open = ""

    def done(self) -> None:
        """Say how long it took in all."""
        self._close()
        self._out.print(f"Ready after {time.monotonic() - self._begun:.1f} s.\n", style="bold green")


def show(out: Console, settings: Settings) -> None:
    """Print the URLs, who signs in, and three things to try."""
    studio = installation.read_studio_json(settings)
    if not studio:
        return
    admin, sample = studio["admin"], studio["sample"]
    rows = (
        ("Admin console", studio["console_url"], f"{admin['user_name']} / {admin['password']}"),
        ("Sample Studio", sample["url"], f"{sample['user_name']} / {sample['password']}"),
        ("AWS endpoint", studio["endpoint_url"], f"account {studio['account_id']}, {studio['region']}"),
    )
    widest = max(len(row[1]) for row in rows)
    for name, url, detail in rows:
        out.print(f"{name:<15}{url:<{widest + 2}}{detail}", soft_wrap=True)
    where = "" if settings.data_dir == installation.data_dir(None) else f" --data-dir {settings.data_dir}"
    out.print("\nThree things to try:", style="bold")
    out.print(f"  1. Open {sample['url']} and create a Workspace.", soft_wrap=True)
    out.print(f"  2. .venv/bin/emr-studio demo{where}", soft_wrap=True)
    out.print(
        f"  3. .venv/bin/emr-studio configure-aws{where} && AWS_PROFILE=emr-studio .venv/bin/aws emr list-studios",
        soft_wrap=True,
    )


def show_status(out: Console, found: dict[str, Any]) -> None:
    """Print what `status` found."""
    out.print(f"{found['state']}  {found['endpoint_url']}  ({found['data_dir']})", style="bold")
    table = Table("part", "state", "process", "restarts", box=None)
    for part in found["parts"]:
        table.add_row(part["name"], part["state"], str(part["pid"] or "-"), str(part["restarts"]))
    out.print(table)
    for zone in found.get("impaired_zones", ()):
        out.print(f"Zone {zone['zone']} is impaired since {zone['since']}: nothing new starts there.", style="yellow")
