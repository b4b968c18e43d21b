"""One measured figure beside its peer's, and the file that holds them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_BEGIN, _END = "<!-- bench: written by make bench -->", "<!-- end of bench -->"
LATEST = Path(__file__).parent / "results" / "latest.json"


@dataclass(frozen=True)
class Figure:
    """A figure, ours and the peer's. `ratio` says how many times better ours is (more than 1: better)."""

    name: str
    unit: str
    ours: float
    peer: float
    peer_name: str
    ratio: float
    runs: int


def lower_is_better(name: str, unit: str, ours: Sequence[float], peer: Sequence[float], peer_name: str) -> Figure:
    """Medians of both; the ratio is peer over ours."""
    mine, theirs = statistics.median(ours), statistics.median(peer)
    return Figure(name, unit, round(mine, 4), round(theirs, 4), peer_name, round(theirs / mine, 2), len(ours))


def higher_is_better(name: str, unit: str, ours: Sequence[float], peer: Sequence[float], peer_name: str) -> Figure:
    """Medians of both; the ratio is ours over peer."""
    mine, theirs = statistics.median(ours), statistics.median(peer)
    return Figure(name, unit, round(mine, 2), round(theirs, 2), peer_name, round(mine / theirs, 2), len(ours))


def write(figures: list[Figure]) -> None:
    """Write `bench/results/latest.json`, replacing figures of the same name and keeping the others."""
    known = {row["name"]: row for row in (json.loads(LATEST.read_text()) if LATEST.exists() else [])}
    known |= {figure.name: asdict(figure) for figure in figures}
    LATEST.parent.mkdir(exist_ok=True)
    LATEST.write_text(json.dumps([known[name] for name in sorted(known)], indent=2) + "\n")


def write_readme() -> None:
    """Put the figures of `latest.json` into the README's table."""
    readme = LATEST.parents[2] / "README.md"
    before, rest = readme.read_text().split(_BEGIN)
    after = rest.split(_END)[1]
    figures = [Figure(**row) for row in json.loads(LATEST.read_text())]
    readme.write_text(f"{before}{_BEGIN}\n{table(figures)}\n{_END}{after}")


def table(figures: list[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = ["| measure | ours | peer | times better |", "|---|---|---|---|"]
    lines += [
        f"| {f.name} | {f.ours:g} {f.unit} | {f.peer:g} {f.unit} ({f.peer_name}) | {f.ratio:g} |" for f in figures
    ]
    return "\n".join(lines)
