"""Plot the figures of `rft.report.figures`: one picture with four panels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from rft.report.judged import Judged

matplotlib.use("Agg")
from matplotlib import pyplot as plt

BINS = 5  # of confidence, one half to one


def draw(found: dict[str, Any], judged: Judged, path: Path) -> None:
    """Calibration, risk and coverage, accuracy by question and by CTR gap."""
    figure, panels = plt.subplots(2, 2, figsize=(10, 7.5))
    _calibration(panels[0, 0], judged)
    _coverage(panels[0, 1], found)
    _bars(panels[1, 0], found["questions"], "Right answers by question", "commonest")
    _bars(panels[1, 1], found["by_gap"], "AA by CTR gap", None)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)


def reliability(
    sure: np.ndarray[Any, Any], right: np.ndarray[Any, Any], bins: int = BINS
) -> list[tuple[float, float, int]]:
    """(mean confidence, share right, rows) of each filled bin between one half and one."""
    place = np.clip(np.ceil((sure - 0.5) * 2 * bins).astype(int) - 1, 0, bins - 1)
    return [
        (float(sure[place == b].mean()), float(right[place == b].mean()), int((place == b).sum()))
        for b in range(bins)
        if (place == b).any()
    ]


def _calibration(panel: Any, judged: Judged) -> None:
    curves = {"both, as told": judged.odds, "language model alone": judged.alone["lm"],
              "evidence alone": judged.alone["evidence"]}  # fmt: skip
    for label, odds in curves.items():
        rows = reliability(*judged.sureness(odds))
        panel.plot([r[0] for r in rows], [r[1] for r in rows], "o-", label=label)
    panel.plot([0.5, 1], [0.5, 1], "k:", linewidth=1)
    panel.set(title="Calibration", xlabel="confidence", ylabel="share right")
    panel.legend()


def _coverage(panel: Any, found: dict[str, Any]) -> None:
    curve = found["risk_coverage"]
    panel.plot(curve["coverage"], curve["accuracy"], "o-")
    panel.set(title="Surest pairs first", xlabel="coverage", ylabel="share right")


def _bars(panel: Any, told: dict[str, Any], title: str, beside: str | None) -> None:
    names = list(told)
    values = np.array([told[name]["value"] for name in names])
    ends = np.array([told[name]["interval"] for name in names]).reshape(-1, 2)
    errors = np.clip(np.stack([values - ends[:, 0], ends[:, 1] - values]), 0, None)
    panel.barh(names, values, xerr=errors, color="#7aa6c2")
    if beside:
        panel.plot([told[name][beside] for name in names], names, "k|", label="commonest answer")
        panel.legend(loc="lower left")
    panel.axvline(0.5, color="k", linewidth=0.5)
    panel.invert_yaxis()
    panel.set(title=title, xlim=(0, 1))
