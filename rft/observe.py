"""Held-out single images in, how well a model sees each property out.

Run: creative4u rft observe --model runs/sft-160m/0-singles --singles DIR/singles.jsonl
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from tqdm import tqdm

from creative4u.errors import InputError
from creative4u.images import load_image
from creative4u.metrics import auc
from creative4u.selector.judge import Judge
from creative4u.selector.observations import NAMES
from rft.rows import draw, read_jsonl

PRESENT, ABSENT = 0.35, 0.1  # a fact at least this, or at most that, is plainly there or not
AT_ONCE = 16


def observation_report(
    judge: Judge, singles: Path, limit: int, seed: int = 7
) -> dict[str, dict[str, float]]:
    """For each property: n, Spearman's rank correlation of degree and fact, and the AUC.

    The AUC tells images that plainly have the property from those that plainly do not; the
    held-out split only.
    """
    rows = [row for row in read_jsonl(singles) if row["split"] == "test"]
    if not rows:
        raise InputError(f"{singles} has no rows of split test")
    rows = draw(rows, min(limit, len(rows)), seed)
    rated: list[dict[str, float]] = []
    for start in tqdm(range(0, len(rows), AT_ONCE), desc="observing"):
        some = rows[start : start + AT_ONCE]
        rated += judge.backend.observe([load_image(singles.parent / r["image"]) for r in some])
    report = {}
    for name in NAMES:
        known = [(row["facts"][name], seen[name]) for row, seen in zip(rows, rated, strict=True)
                 if name in row["facts"]]
        facts, degrees = (np.array(column) for column in zip(*known, strict=True))
        plain = (facts >= PRESENT) | (facts <= ABSENT)
        report[name] = {
            "n": len(known), "spearman": float(spearmanr(facts, degrees).statistic),
            "auc": auc(facts[plain] >= PRESENT, degrees[plain]),
        }
    return report
