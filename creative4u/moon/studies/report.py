"""Write a study as OUT/NAME.md (a table), NAME.png (a plot) and NAME.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Curve:
    """Points to draw; `low` and `high` are the ends of their intervals, if any."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    line: bool = False


@dataclass(frozen=True)
class Plot:
    """Curves, axis names and scales; `labels` name the points of the x axis."""

    curves: Sequence[Curve]
    x: str
    y: str
    log: str = ""  # "x", "xy" or ""
    labels: Sequence[str] = field(default_factory=tuple)


def table(rows: Sequence[Row]) -> str:
    """Format rows as a Markdown table; columns are their keys."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(_cell(row.get(name)) for name in names) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) >= 1e4 else f"{value:.3f}"
    if isinstance(value, list | tuple):
        return " to ".join(_cell(one) for one in value)
    return "" if value is None else str(value)


def write_study(
    out: Path, name: str, rows: Sequence[Row], plot: Plot, notes: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the three files; returns the JSON content."""
    out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"rows": [dict(row) for row in rows], **notes}
    (out / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    lines = "".join(f"\n{key}: {_cell(value)}\n" for key, value in notes.items())
    (out / f"{name}.md").write_text(table(rows) + lines, "utf-8")
    draw(plot, out / f"{name}.png")
    return found


def draw(plot: Plot, file: Path) -> None:
    """Draw the plot as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, curve in enumerate(plot.curves):
        shift = 0.12 * (place - (len(plot.curves) - 1) / 2) if plot.labels else 0.0
        x = [one + shift for one in curve.x]
        if curve.line:
            axes.plot(x, curve.y, label=curve.name, linewidth=1)
            continue
        bars = None
        if curve.low:
            below = [max(0.0, y - low) for y, low in zip(curve.y, curve.low, strict=True)]
            above = [max(0.0, high - y) for y, high in zip(curve.y, curve.high, strict=True)]
            bars = [below, above]
        axes.errorbar(x, curve.y, yerr=bars, fmt="o", capsize=3, label=curve.name)
    if plot.labels:
        axes.set_xticks(range(len(plot.labels)), plot.labels, rotation=20, ha="right", fontsize=8)
    if "x" in plot.log:
        axes.set_xscale("log")
    if "y" in plot.log:
        axes.set_yscale("log")
    axes.set_xlabel(plot.x)
    axes.set_ylabel(plot.y)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(file)
