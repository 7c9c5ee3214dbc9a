"""Single images with known facts in, a linear probe and its held-out figures out.

Run: creative4u rft probe --singles DIR/singles.jsonl --out creative4u/selector/weights

Ridge regression from pooled DINOv2 tokens to each fact, where it is known; the penalty is chosen on
a fifth of the training split, the figures are of the test split.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge
from tqdm import tqdm

from creative4u.backbone.saliency import look
from creative4u.errors import InputError
from creative4u.images import load_image
from creative4u.metrics import auc
from creative4u.selector.observations import NAMES
from creative4u.selector.probe import Probe, pooled
from rft.rows import draw, read_jsonl

PENALTIES = (10.0, 100.0, 1000.0, 10000.0)
PRESENT, ABSENT = 0.35, 0.1  # a fact at least this, or at most that, is plainly there or not
AT_ONCE = 16
Floats = npt.NDArray[np.float64]
Figures = dict[str, dict[str, float]]


def main(singles: Path, out: Path, train: int, test: int, seed: int = 7) -> Figures:
    """Fit on `train` images, write the probe into `out`, say how it does on `test` others."""
    rows = list(read_jsonl(singles))
    splits = {name: [row for row in rows if row["split"] == name] for name in ("train", "test")}
    if not all(splits.values()):
        raise InputError(f"{singles} needs rows of both splits, train and test")
    fitted, held = (
        draw(splits[name], min(count, len(splits[name])), seed)
        for name, count in (("train", train), ("test", test))
    )
    probe = fit(_features(fitted, singles.parent), known_facts(fitted))
    out.mkdir(parents=True, exist_ok=True)
    probe.save(out)
    return figures(probe.facts(_features(held, singles.parent)), known_facts(held))


def fit(features: Floats, facts: Floats) -> Probe:
    """(N, 3 D) features and (N, properties) facts, nan where unknown, to a probe."""
    mean, scale = features.mean(0), features.std(0) + 1e-6
    scaled = (features - mean) / scale
    aside = np.arange(len(features)) % 5 == 0
    lines, biases = [], []
    for fact in facts.T:
        known = np.isfinite(fact)
        learn, check = known & ~aside, known & aside

        def error(
            penalty: float, fact: Floats = fact, learn: Any = learn, check: Any = check
        ) -> float:
            model = Ridge(alpha=penalty).fit(scaled[learn], fact[learn])
            return float(((model.predict(scaled[check]) - fact[check]) ** 2).mean())

        model = Ridge(alpha=min(PENALTIES, key=error)).fit(scaled[known], fact[known])
        lines.append(model.coef_ / scale)
        biases.append(model.intercept_ - (model.coef_ / scale) @ mean)
    return Probe(np.array(lines, np.float32), np.array(biases, np.float32))


def figures(told: Floats, facts: Floats) -> Figures:
    """For each property: n, Spearman's correlation, and the AUC of plainly there against not."""
    report = {}
    for name, degree, fact in zip(NAMES, told.T, facts.T, strict=True):
        known = np.isfinite(fact)
        plain = known & ((fact >= PRESENT) | (fact <= ABSENT))
        report[name] = {
            "n": float(known.sum()),
            "spearman": float(spearmanr(fact[known], degree[known]).statistic),
            "auc": auc(degree[plain], fact[plain] >= PRESENT),
        }
    return report


def known_facts(rows: list[dict[str, Any]]) -> Floats:
    """Rows of singles to (N, properties) facts, nan where unknown."""
    return np.array([[row["facts"].get(name, np.nan) for name in NAMES] for row in rows])


def _features(rows: list[dict[str, Any]], folder: Path) -> Floats:
    made = []
    for start in tqdm(range(0, len(rows), AT_ONCE), desc="looking"):
        images = [load_image(folder / row["image"]) for row in rows[start : start + AT_ONCE]]
        made.append(pooled(look(images)[0]))
    return np.concatenate(made).astype(np.float64)
