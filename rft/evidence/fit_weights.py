"""Learn how much each degree of the evidence counts for the choice, from labelled pairs.

Run: creative4u rft weigh runs/data/seen/pairs.jsonl --out runs/weights.json

A generalised additive model: what a degree is worth is a broken line over `differences.KNOTS`, and
the label's log odds are the sum of the gaps in worth, without a constant, so that exchanging A and
B exchanges the odds. Where a degree's meaning says which way it counts, its line may not turn
(FOR, AGAINST): rendered pictures hardly reach the ends of some scales, and photographs do. The
penalty on steep lines is chosen, and the figures are given, on pairs of the validation split.
Every file of pairs counts the same in sum, as in SFT's stages: a few made pairs teach what hardly
ever occurs in many mined ones, and cost those nothing (docs/experiments.md).
Source: our choice; it is the coherence reward's idea (weights learnt from training labels) on
degrees instead of answers.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from creative4u.errors import InputError
from creative4u.files.json_rows import json_rows
from creative4u.files.origin import value_hash
from creative4u.files.pairs_file import PairRow, good_pairs
from creative4u.images import load_image
from creative4u.selector.evidence.weighing import BEARING, KNOTS
from creative4u.selector.judge import Judge, PairRequest
from creative4u.selector.loading import evidence_hash

NAMES = tuple(name for key, names in BEARING.items() if key != "click" for name in names)
# More of it never counts against, and never counts for.
FOR = {"query_words", "query", "title", "complete", "contrast_with_background"}
AGAINST = {"occluded", "dark", "blur", "clutter"}
PENALTIES = (1.0, 10.0, 100.0)  # on squared slopes
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
    """Fit on the training split, write {name: log odds at KNOTS} to `out`, give the figures.

    A figure under a degree's name is its worth at 9 less its worth at 0.

    What is seen is kept in `out` with suffix .evidence.jsonl, where a killed run goes on. Raises
    InputError where there are too few labelled pairs.
    """
    known, source = [], []
    for path in files:
        read = [pair for pair in good_pairs(path)
                if pair.label and pair.split in ("train", "validation")]
        known += [(pair, path.parent) for pair in read]
        source += [path] * len(read)
    seen = _observed(known, judge, out, progress)
    gap = np.array([_row(seen[pair.content(folder)]) for pair, folder in known])
    gap = gap.reshape(len(known), -1)
    side = np.array([pair.label == "A" for pair, _ in known])
    train = np.array([pair.split == "train" for pair, _ in known])
    if train.sum() < LEAST or (~train).sum() < LEAST:
        raise InputError(f"got {train.sum()} training and {(~train).sum()} validation pairs with a "
                         f"label; at least {LEAST} of each are needed")
    counts = _evened(source, train)
    fits = [_fitted(gap[train], side[train], counts, penalty) for penalty in PENALTIES]
    best = max(fits, key=lambda worth: _right(gap[~train] @ worth, side[~train]))
    curves = {name: [0.0, *np.cumsum(steps).round(3).tolist()]
              for name, steps in zip(NAMES, best.reshape(len(NAMES), -1), strict=True)
              if steps.any()}
    out.write_text(json.dumps(curves, indent=1) + "\n", "utf-8")
    return {name: curve[-1] for name, curve in curves.items()} | {
        "validation_accuracy": _right(gap[~train] @ best, side[~train]),
        "validation_pairs": float((~train).sum()), "training_pairs": float(train.sum())}


def _evened(files: Sequence[Path], train: npt.NDArray[np.bool_]) -> Floats:
    """How much each training pair counts: 1 in the largest file, and every file the same in sum."""
    of_file = [file for file, learnt in zip(files, train, strict=True) if learnt]
    sizes = Counter(of_file)
    return np.array([max(sizes.values()) / sizes[file] for file in of_file])


def _fitted(gap: Floats, side: npt.NDArray[np.bool_], counts: Floats, penalty: float) -> Floats:
    """(N, names x steps) gaps, and how much each counts, to the worth of each step."""
    sign = np.where(side, 1.0, -1.0)
    slope = penalty / np.tile(np.diff(KNOTS), len(NAMES))

    def loss(worth: Floats) -> tuple[float, Floats]:
        odds = sign * (gap @ worth)
        found = counts @ np.logaddexp(0, -odds) + (slope * worth**2).sum() / 2
        return float(found), slope * worth - gap.T @ (counts * sign * expit(-odds))

    bounds = [(0.0 if name in FOR else None, 0.0 if name in AGAINST else None)
              for name in NAMES for _ in KNOTS[1:]]
    best: Floats = minimize(
        loss, np.zeros(gap.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds).x
    return best


def _right(odds: Floats, side: npt.NDArray[np.bool_]) -> float:
    """The share of pairs whose odds point to the label; a tie counts one half."""
    return float(np.mean(np.where(odds == 0, 0.5, (odds > 0) == side)))


def _row(seen: Seen) -> Floats:
    """The gaps of one pair, (names, steps): how much of each step A has taken and B has not."""
    of_a, of_b = seen
    row = np.zeros((len(NAMES), len(KNOTS) - 1))
    for place, name in enumerate(NAMES):
        if name in of_a and name in of_b:
            row[place] = _taken(of_a[name]) - _taken(of_b[name])
    return row


def _taken(degree: float) -> Floats:
    """The share of each step between two knots that lies below the degree."""
    below: Floats = np.clip((degree - np.array(KNOTS[:-1])) / np.diff(KNOTS), 0, 1)
    return below


def _observed(pairs: Sequence[tuple[PairRow, Path]], judge: Judge, out: Path,
              progress: Callable[[str], None]) -> dict[str, Seen]:
    """A pair's content -> the degrees that the judge is shown of A and of B.

    What is kept is of one judge; of another, all is looked at again.
    """
    cache = out.with_suffix(".evidence.jsonl")
    own = value_hash([judge.config.model_dump(mode="json"), evidence_hash()])
    out.parent.mkdir(parents=True, exist_ok=True)
    seen: dict[str, Seen] = {}
    if cache.exists():
        for row in json_rows(cache, "lines"):  # a line that a kill cut in half is looked at again
            if not isinstance(row, str) and row.get("judge") == own:
                seen[row["content"]] = (row["a"], row["b"])
    missing = {pair.content(folder): (pair, folder) for pair, folder in pairs}
    missing = {content: pair for content, pair in missing.items() if content not in seen}
    with cache.open("a", encoding="utf-8") as file:
        for done, (content, a, b) in enumerate(_looked(missing, judge), 1):
            seen[content] = (a, b)
            file.write(json.dumps({"content": content, "judge": own, "a": a, "b": b}) + "\n")
            if done % KEPT == 0 or done == len(missing):
                file.flush()
                progress(f"observing: {done} of {len(missing)} pairs")
    return seen


def _looked(pairs: Mapping[str, tuple[PairRow, Path]],
            judge: Judge) -> Iterator[tuple[str, Degrees, Degrees]]:
    for content, (pair, folder) in pairs.items():
        images = [load_image(folder / image) for image in (pair.image_a, pair.image_b)]
        seen = judge.evidence(PairRequest(*images, pair.product_title, pair.queries))
        if seen is None:
            raise InputError("this judge is shown nothing beside the images; there is no degree")
        yield content, _rounded(seen.A.degrees), _rounded(seen.B.degrees)


def _rounded(degrees: Mapping[str, float]) -> Degrees:
    return {name: round(degrees[name], 3) for name in NAMES if name in degrees}
