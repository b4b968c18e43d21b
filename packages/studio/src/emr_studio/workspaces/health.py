"""What keeps a Workspace from starting or running well: its limits, what it suffers from, what to do then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from emr_studio.runtime.contract import QUEUED, Cause, Limits, Observation, WorkloadState
from emr_studio.settings import Settings
from emr_studio.workspaces.model import Editor

_LOG_LINES = 5
_BRIEFLY = 0.25
_WELL = ("", "")
_PASSING = (Cause.DISK_FULL, Cause.HOST_DISK_FULL)
"""What is over when it is over; of the rest it stays known that it was."""
_NEXT_STEPS = {
    Cause.OUT_OF_MEMORY: "Its files are safe; start it again. An administrator can raise workspace_memory_mb.",
    Cause.DISK_FULL: "Delete some of its files in S3, or have workspace_disk_mb raised; then start it again.",
    Cause.DISK_FAILED: "Look at the host agent's log; what was saved is in S3.",
    Cause.RESTORE_FAILED: "Its files are safe in S3; see that the Studio's service role may read them, then start it.",
}
_NEXT_STEP = "Its files are safe; start it again, and if that fails look at the host agent's log."


def limits_of(settings: Settings) -> Limits:
    """What each Workspace may use."""
    megabyte = 1024**2
    return Limits(
        memory_bytes=settings.workspace_memory_mb * megabyte,
        cpus=settings.workspace_cpus,
        pids=settings.workspace_processes,
        disk_bytes=settings.workspace_disk_mb * megabyte,
    )


def told_cause(seen: Observation) -> str:
    """Cause and last log lines of an end, in one sentence or two."""
    cause = seen.reason or ("it is gone" if seen.exit_code is None else f"exit code {seen.exit_code}")
    lines = [line for line in seen.log_tail[-_LOG_LINES:] if line.strip()]
    tail = f" Last lines of its log: {' | '.join(lines)}." if lines else ""
    return f"{cause.rstrip('.')}.{tail}"


def next_step(cause: str) -> str:
    """What its user can do after a start that failed for that cause."""
    return next((step for known, step in _NEXT_STEPS.items() if known == cause), _NEXT_STEP)


def patience(editor: Editor, longest: float) -> float:
    """How long to look at one that starts: briefly while it is new or in a queue, for others wait to be looked at."""
    under_way = editor.state_code == "STARTING" and not (editor.state_message or "").startswith(QUEUED)
    return longest if under_way else min(_BRIEFLY, longest)


class Notices:
    """What running Workspaces were last seen to suffer from, so that each is shown once."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, str]] = {}

    def is_news(self, seen: Observation, code: str | None) -> bool:
        """Whether a running Workspace, whose row says `code`, is otherwise than when last noted."""
        if seen.state is not WorkloadState.RUNNING:
            return False
        notice = _notice(seen)
        return notice != self._known.get(seen.workload_id, _WELL) or (notice == _WELL and code in _PASSING)

    def news(self, observed: Iterable[Observation], codes: Mapping[str, str | None]) -> set[str]:
        """Those of them whose row is in `codes` and that are otherwise than when last noted."""
        return {o.workload_id for o in observed if o.workload_id in codes and self.is_news(o, codes[o.workload_id])}

    def columns(self, editor: Editor, seen: Observation) -> dict[str, Any]:
        """The row's columns that show it (or that it is over); empty if nothing has to change."""
        notice = _notice(seen)
        if not self.is_news(seen, editor.state_code) or (notice == _WELL and editor.state_code not in _PASSING):
            return {}
        return {"state_code": notice[0] or None, "state_message": notice[1] or None}

    def note(self, seen: Observation) -> None:
        """It is shown."""
        self._known[seen.workload_id] = _notice(seen)


def _notice(seen: Observation) -> tuple[str, str]:
    return (seen.cause, seen.reason) if seen.cause else _WELL
