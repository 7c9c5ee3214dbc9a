"""Fit the linear probe on images with known facts and measure it on held-out ones.

Run: creative4u rft probe --singles DIR/singles.jsonl --pairs DIR/pairs.jsonl --out WEIGHTS

Ridge regression from pooled DINOv2 tokens to each fact, where it is known; the penalty is chosen on
a fifth of the training images, the figures are of the singles' test split. Single images teach it
what photographs look like, the creatives of training pairs (whose folder has a facts.jsonl) what
creatives do: either alone sees less of the other's (docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge
from tqdm import tqdm

from creative4u.backbone.saliency import look
from creative4u.errors import InputError
from creative4u.files.json_rows import strict_rows
from creative4u.files.origin import file_hash
from creative4u.files.pairs_file import good_pairs
from creative4u.images import load_image
from creative4u.metrics import auc
from creative4u.selector.evidence.linear_probe import Probe, pooled
from creative4u.selector.evidence.properties import NAMES
from rft.training.rows import read_singles

PENALTIES = (10.0, 100.0, 1000.0, 10000.0)
PRESENT, ABSENT = 0.35, 0.1  # a fact at least this, or at most that, is plainly there or not
AT_ONCE = 16
SAVED = 20  # batches between two saves
Floats = npt.NDArray[np.float64]
Figures = dict[str, dict[str, float]]


def main(
    singles: Path,
    out: Path,
    train: int,
    test: int,
    pairs: Sequence[Path] = (),
    cache: Path | None = None,
) -> Figures:
    """Fit on the first `train` singles and on all creatives of training pairs, write the probe.

    The figures are of the first `test` held-out singles. Pooled tokens are kept in `cache`, an .npz
    file, where a killed run goes on. Raises InputError.
    """
    rows = read_singles(singles)
    splits = {name: [row for row in rows if row["split"] == name] for name in ("train", "test")}
    if not all(splits.values()):
        raise InputError(f"{singles} needs rows of both splits, train and test")
    fitted, held = splits["train"][:train], splits["test"][:test]
    known = [(singles.parent / row["image"], row["facts"]) for row in fitted]
    for path in pairs:
        known += creatives(path)
    pool = Pool(cache)
    probe = fit(pool.features([path for path, _ in known]), known_facts([f for _, f in known]))
    out.mkdir(parents=True, exist_ok=True)
    probe.save(out)
    told = probe.facts(pool.features([singles.parent / row["image"] for row in held]))
    return figures(told, known_facts([row["facts"] for row in held]))


def creatives(pairs: Path) -> list[tuple[Path, dict[str, float]]]:
    """Images of the training pairs in a pairs.jsonl, and their facts in the facts.jsonl beside."""
    facts = {row["image"]: {name: float(row[name]) for name in NAMES}
             for row in strict_rows(pairs.parent / "facts.jsonl")}
    used = {str(image): None for pair in good_pairs(pairs) if pair.split == "train"
            for image in (pair.image_a, pair.image_b)}
    return [(pairs.parent / name, facts[name]) for name in used if name in facts]


class Pool:
    """Pooled tokens by an image file's content, looked at once and kept in an .npz file."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.known: dict[str, Floats] = {}
        if path is not None and path.exists():
            try:
                with np.load(path) as kept:
                    self.known = dict(zip(kept["names"].tolist(), kept["pooled"], strict=True))
            except (OSError, ValueError, KeyError, BadZipFile):
                self.known = {}  # damaged: all is looked at again

    def features(self, paths: Sequence[Path]) -> Floats:
        """(N, 3 D) of the images; raises ImageError for one that cannot be read."""
        names = {path: file_hash(path) for path in paths}
        new = {name: path for path, name in names.items() if name not in self.known}
        for number, start in enumerate(tqdm(range(0, len(new), AT_ONCE), desc="looking"), 1):
            some = dict(list(new.items())[start : start + AT_ONCE])
            rows = pooled(look([load_image(path) for path in some.values()])[0])
            self.known |= dict(zip(some, rows, strict=True))
            if number % SAVED == 0 or start + AT_ONCE >= len(new):
                self._save()
        return np.array([self.known[names[path]] for path in paths], np.float64)

    def _save(self) -> None:
        if self.path is None:
            return
        part = self.path.with_suffix(".part.npz")
        part.parent.mkdir(parents=True, exist_ok=True)
        np.savez(part, names=list(self.known), pooled=np.array(list(self.known.values())))
        part.replace(self.path)


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


def known_facts(facts: Sequence[Mapping[str, float]]) -> Floats:
    """Facts of N images as (N, properties), nan where unknown."""
    return np.array([[known.get(name, np.nan) for name in NAMES] for known in facts])
