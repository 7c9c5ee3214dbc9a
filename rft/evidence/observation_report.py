"""Measure how well a model sees each property on held-out single images.

Run: creative4u rft observe --model runs/sft-160m/0-singles --singles DIR/singles.jsonl
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from creative4u.errors import InputError
from creative4u.images import load_image
from creative4u.selector.evidence.properties import NAMES, TOP
from creative4u.selector.judge import Judge
from rft.evidence.fit_probe import Figures, figures, known_facts
from rft.training.rows import draw, read_singles

AT_ONCE = 16


def observation_report(judge: Judge, singles: Path, limit: int, seed: int = 7) -> Figures:
    """For each property: n, Spearman's correlation and AUC of the model's degrees, test split."""
    rows = [row for row in read_singles(singles) if row["split"] == "test"]
    if not rows:
        raise InputError(f"{singles} has no rows of split test")
    rows = draw(rows, min(limit, len(rows)), seed)
    rated: list[dict[str, float]] = []
    for start in tqdm(range(0, len(rows), AT_ONCE), desc="observing"):
        some = rows[start : start + AT_ONCE]
        rated += judge.backend.observe([load_image(singles.parent / r["image"]) for r in some])
    told = np.array([[seen[name] / TOP for name in NAMES] for seen in rated])
    return figures(told, known_facts([row["facts"] for row in rows]))
