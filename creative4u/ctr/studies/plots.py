"""Plot a study's ladder or a simulation's regret as PNG files.

matplotlib is imported inside: nothing else here needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SLICES = ("all", "head", "tail", "new")
COLOURS = ("#0f766e", "#475569", "#d97706", "#b42318")


def plot_ladder(rungs: Sequence[Mapping[str, Any]], out: Path) -> Path:
    """Unbiased AUC by slice beside gAUC of the log, rung by rung; `out` is a PNG file."""
    figure, (left, right) = _axes(2)
    places = range(len(rungs))
    names = [str(row["rung"]) for row in rungs]
    for name, colour in zip(SLICES, COLOURS, strict=True):
        values = [row["unbiased"][name]["auc"] for row in rungs]
        left.plot(places, [_or_nan(value) for value in values], "o-", color=colour, label=name)
    left.set_title("AUC, unbiased test")
    left.legend(frameon=False)
    for name, colour in zip(("all", "new"), (COLOURS[0], COLOURS[3]), strict=True):
        values = [row["log"][name]["gauc"] for row in rungs]
        right.plot(places, [_or_nan(value) for value in values], "o-", color=colour, label=name)
    right.set_title("gAUC by shopper, the log's last days")
    right.legend(frameon=False)
    for axis in (left, right):
        axis.set_xticks(list(places), names, rotation=30, ha="right")
    return _write(figure, out)


def plot_regret(table: Mapping[str, Any], impressions: int, out: Path) -> Path:
    """Clicks lost against the oracle so far, a thousand impressions, over time; a PNG file."""
    figure, (axis,) = _axes(1)
    for name, row in table["policies"].items():
        curve = row["regret"]
        steps = [impressions * (place + 1) / len(curve) for place in range(len(curve))]
        axis.plot(steps, [1000 * value for value in curve], label=name)
    axis.set_xlabel("impressions of each product")
    axis.set_title("Clicks lost against the oracle, of 1,000 impressions")
    axis.legend(frameon=False, fontsize=8)
    return _write(figure, out)


def _axes(count: int) -> tuple[Any, Sequence[Any]]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, count, figsize=(6 * count, 4.4), squeeze=False)
    for axis in axes[0]:
        axis.grid(alpha=0.25)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    return figure, axes[0]


def _write(figure: Any, out: Path) -> Path:
    from matplotlib import pyplot

    out.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(out, dpi=110)
    pyplot.close(figure)
    return out


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
