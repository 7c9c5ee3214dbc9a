"""Labelled pairs in, how much each observed degree counts for the choice out.

Run: creative4u rft weigh runs/data/seen/pairs.jsonl --out runs/weights.json

Logistic regression of the label on the gaps between what the judge is shown of both images, without
a constant, so that exchanging A and B exchanges the odds; every file counts the same. The penalty
is chosen, and the figures are given, on pairs of the validation split. Source: our choice; it is
the coherence reward's idea (weights learnt from training labels) on degrees instead of answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from creative4u.errors import InputError
from creative4u.images import load_image
from creative4u.schema import CreativePair
from creative4u.selector.differences import BEARING
from creative4u.selector.judge import Judge, PairRequest
from rft.rows import read_jsonl
from rft.sft import read_pairs

NAMES = tuple(name for key, names in BEARING.items() if key != "click" for name in names)
PENALTIES = (0.001, 0.01, 0.1, 1.0)  # scikit-learn's C
LEAST = 20  # pairs; fewer teach nothing
KEPT = 200  # pairs between two lines of progress
Floats = npt.NDArray[np.float64]
Degrees = dict[str, float]
Seen = tuple[Degrees, Degrees]


def weigh(
    files: Sequence[Path],
    judge: Judge,
    out: Path,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, float]:
    """Fit on the training split, write {name: log odds a degree} to `out`, give the figures.

    What is seen is kept in `out` with suffix .seen.jsonl, where a killed run goes on. Raises
    InputError where there are too few labelled pairs.
    """
    known = [(number, pair, path.parent) for number, path in enumerate(files)
             for pair in read_pairs(path) if pair.label and pair.split in ("train", "validation")]
    seen = _observed([(pair, folder) for _, pair, folder in known], judge, out, progress)
    gap = np.array([_row(seen[pair.pair_id]) for _, pair, _ in known]).reshape(-1, len(NAMES))
    side = np.array([pair.label == "A" for _, pair, _ in known])
    source = np.array([number for number, _, _ in known])
    train = np.array([pair.split == "train" for _, pair, _ in known])
    if train.sum() < LEAST or (~train).sum() < LEAST:
        raise InputError(f"got {train.sum()} training and {(~train).sum()} validation pairs with a "
                         f"label; at least {LEAST} of each are needed")
    counts = np.bincount(source[train], minlength=len(files))
    share = len(known) / np.maximum(1, counts)[source]
    fits = [_fitted(gap[train], side[train], share[train], penalty) for penalty in PENALTIES]
    best = max(fits, key=lambda weights: _right(gap[~train] @ weights, side[~train]))
    weights = {name: round(float(weight), 4)
               for name, weight in zip(NAMES, best, strict=True) if weight}
    out.write_text(json.dumps(weights, indent=2) + "\n", "utf-8")
    return weights | {"validation_accuracy": _right(gap[~train] @ best, side[~train]),
                      "validation_pairs": float((~train).sum()),
                      "training_pairs": float(train.sum())}


def _fitted(gap: Floats, side: npt.NDArray[np.bool_], share: Floats, penalty: float) -> Floats:
    model = LogisticRegression(fit_intercept=False, C=penalty, max_iter=1000)
    # both ways of every pair: no side is likelier, and both classes are always there
    model.fit(np.concatenate([gap, -gap]), np.concatenate([side, ~side]), np.tile(share, 2))
    weights: Floats = model.coef_[0]
    return weights


def _right(odds: Floats, side: npt.NDArray[np.bool_]) -> float:
    """The share of pairs whose odds point to the label; a tie counts one half."""
    return float(np.mean(np.where(odds == 0, 0.5, (odds > 0) == side)))


def _row(seen: Seen) -> list[float]:
    of_a, of_b = seen
    return [of_a[name] - of_b[name] if name in of_a and name in of_b else 0.0 for name in NAMES]


def _observed(pairs: Sequence[tuple[CreativePair, Path]], judge: Judge, out: Path,
              progress: Callable[[str], None]) -> dict[str, Seen]:
    """pair_id -> the degrees that the judge is shown of A and of B."""
    cache = out.with_suffix(".seen.jsonl")
    out.parent.mkdir(parents=True, exist_ok=True)
    seen: dict[str, Seen] = {}
    if cache.exists():
        seen = {row["pair_id"]: (row["a"], row["b"]) for row in read_jsonl(cache)}
    missing = [(pair, folder) for pair, folder in pairs if pair.pair_id not in seen]
    with cache.open("a", encoding="utf-8") as file:
        for done, (pair_id, a, b) in enumerate(_looked(missing, judge), 1):
            seen[pair_id] = (a, b)
            file.write(json.dumps({"pair_id": pair_id, "a": a, "b": b}) + "\n")
            if done % KEPT == 0 or done == len(missing):
                file.flush()
                progress(f"observing: {done} of {len(missing)} pairs")
    return seen


def _looked(pairs: Sequence[tuple[CreativePair, Path]],
            judge: Judge) -> Iterator[tuple[str, Degrees, Degrees]]:
    for pair, folder in pairs:
        images = [load_image(folder / image) for image in (pair.image_a, pair.image_b)]
        seen = judge.shown(PairRequest(*images, pair.product_title, pair.queries))
        if seen is None:
            raise InputError("this judge is shown nothing beside the images; there is no degree")
        yield pair.pair_id, _rounded(seen["A"].degrees), _rounded(seen["B"].degrees)


def _rounded(degrees: Mapping[str, float]) -> Degrees:
    return {name: round(degrees[name], 3) for name in NAMES if name in degrees}
