"""Measure what the truth and simple rankers reach on the test split of mined pairs.

Run: creative4u data ceiling --pairs DIR --out FILE [--world DIR]

These are the numbers that a selector has to beat, and the one that it cannot.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from creative4u.backbone.appearance import cached_appearance
from creative4u.backbone.sentences import sentence_vectors
from creative4u.errors import InputError
from creative4u.files.pairs_file import good_pairs
from creative4u.image_statistics import STATISTICS, image_statistics
from creative4u.schema import CreativePair
from data.creative_pair.ceiling.rankers import Fit, Sides, fit_pairwise, fit_pointwise
from data.creative_pair.ceiling.truth_agreement import truth_agreement
from data.creative_pair.facts import DEGREES, Facts, read_facts
from data.creative_pair.mining.mine import QUERIES_DECIDE
from data.creative_pair.reasoning.rubric import lean

Floats = NDArray[np.float32]
LINEAR, MLP = Fit(decay=0.3, rate=1e-3), Fit(hidden=64, decay=0.3, rate=5e-4)


def ceiling(pairs: Path, out: Path, world: Path | None = None,
            progress: Callable[[str], None] = lambda line: None) -> dict[str, float]:
    """Accuracy on the test split (AA = CA but for always-A), by ranker; also written to `out`.

    Args:
        pairs: a folder with pairs.jsonl; splits train, validation and test are all needed.
        out: a JSON file; image features are cached beside it.
        world: the world's folder, where there is a truth to agree with.

    Raises InputError where a split is missing.
    """
    rows = [pair for pair in good_pairs(pairs) if pair.label is not None]
    home = pairs if pairs.is_dir() else pairs.parent
    parts = {name: [pair for pair in rows if pair.split == name]
             for name in ("train", "validation", "test")}
    if missing := [name for name, mine in parts.items() if not mine]:
        raise InputError(f"{pairs} has no pairs in the splits {', '.join(missing)}")
    test = parts["test"]
    found: dict[str, float] = {}
    if world is not None:
        found |= {f"truth, {kind}": share for kind, share in truth_agreement(test, world).items()}
    found["always A"] = float(np.mean([pair.label == "A" for pair in test]))
    if (home / "facts.jsonl").exists():
        found |= _by_facts(parts, read_facts(home))
    found |= _by_statistics(parts, home, progress)
    found |= _by_features(parts, home, out, progress)
    found["standard error at 0.75"] = math.sqrt(0.75 * 0.25 / len(test))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"pairs": len(test), "accuracy": found}, indent=1) + "\n", "utf-8")
    return found


def _sides(rows: Sequence[CreativePair], of: Callable[[CreativePair, Path], Floats]) -> Sides:
    return Sides(np.stack([of(pair, pair.image_a) for pair in rows]),
                 np.stack([of(pair, pair.image_b) for pair in rows]),
                 np.array([pair.label == "A" for pair in rows]))


def _pairwise(parts: dict[str, list[CreativePair]], of: Callable[[CreativePair, Path], Floats],
              fit: Fit) -> dict[str, float]:
    """Test accuracy of a pairwise ranker; also on the pairs that the queries decide, if any."""
    sides = {name: _sides(rows, of) for name, rows in parts.items()}
    score = fit_pairwise(sides["train"], sides["validation"], fit)
    found = {"": sides["test"].accuracy(score)}
    if turned := [pair for pair in parts["test"] if QUERIES_DECIDE in pair.tags]:
        found[f", {QUERIES_DECIDE}"] = _sides(turned, of).accuracy(score)
    return found


def _by_facts(parts: dict[str, list[CreativePair]], facts: dict[str, Facts]) -> dict[str, float]:
    """What perfect sight would give: the hand-written rubric, and a ranker on the exact facts."""
    def rubric(pair: CreativePair) -> bool:
        a, b = facts[str(pair.image_a)], facts[str(pair.image_b)]
        return (lean(a, b, pair.queries) > 0) == (pair.label == "A")

    def of(pair: CreativePair, image: Path) -> Floats:
        fact = facts[str(image)]
        return np.array([*(getattr(fact, name) for name in DEGREES), fact.wrong,
                         bool(fact.points)], np.float32)

    found = {"rubric on the facts": float(np.mean([rubric(pair) for pair in parts["test"]]))}
    return found | {f"MLP on the facts{kind}": share for kind, share in
                    _pairwise(parts, of, replace(MLP, decay=1e-3, rate=3e-3)).items()}


def _by_statistics(parts: dict[str, list[CreativePair]], home: Path,
                   progress: Callable[[str], None]) -> dict[str, float]:
    """Each statistic with the sign that is right on train, and all of them in a linear score."""
    images = sorted({image for rows in parts.values() for pair in rows
                     for image in (pair.image_a, pair.image_b)})
    known: dict[Path, Floats] = {}
    for number, image in enumerate(images, 1):
        numbers = image_statistics(home / image)
        known[image] = np.log1p([numbers[name] for name in STATISTICS]).astype(np.float32)
        if number % 500 == 0:
            progress(f"statistics: {number} of {len(images)} images")

    def of(pair: CreativePair, image: Path) -> Floats:
        return known[image]

    train, test = _sides(parts["train"], of), _sides(parts["test"], of)
    found = {}
    for column, name in enumerate(STATISTICS):
        unit = np.eye(len(STATISTICS), dtype=np.float32)[column]
        sign = np.float32(1 if train.accuracy(lambda rows, u=unit: rows @ u) >= 0.5 else -1)
        found[f"statistic {name}"] = test.accuracy(lambda rows, u=sign * unit: rows @ u)
    return found | {f"statistics, linear{kind}": share
                    for kind, share in _pairwise(parts, of, LINEAR).items()}


def _by_features(parts: dict[str, list[CreativePair]], home: Path, out: Path,
                 progress: Callable[[str], None]) -> dict[str, float]:
    """Rankers on frozen DINOv2 (poolings and saliency): linear, MLP with the title, pointwise."""
    everything = [pair for rows in parts.values() for pair in rows]
    paths = sorted({home / image for pair in everything for image in (pair.image_a, pair.image_b)})
    listed = "".join(f"{path.relative_to(home)}:{path.stat().st_size}\n" for path in paths)
    key = hashlib.sha256(listed.encode()).hexdigest()[:16]  # other images, another cache
    found = cached_appearance(paths, out.with_name(f"{out.stem}.features-{key}.npz"), half=True,
                              progress=progress)
    rows = np.concatenate([found.pooled.reshape(len(paths), -1), found.measured], axis=1)
    seen = dict(zip(paths, rows, strict=True))
    asked = sorted({text for pair in everything for text in
                    (pair.product_title, "; ".join(pair.queries))})
    told = dict(zip(asked, sentence_vectors(asked), strict=True))

    def bare(pair: CreativePair, image: Path) -> Floats:
        return seen[home / image]

    def titled(pair: CreativePair, image: Path) -> Floats:
        return np.concatenate([seen[home / image], told[pair.product_title]])

    def asking(pair: CreativePair, image: Path) -> Floats:
        return np.concatenate([titled(pair, image), told["; ".join(pair.queries)]])

    reached: dict[str, float] = {}
    for name, of, fit in (("linear probe on DINOv2", bare, LINEAR),
                          ("MLP on DINOv2 and title", titled, MLP),
                          ("MLP on DINOv2, title and queries", asking, MLP)):
        reached |= {f"{name}{kind}": share for kind, share in _pairwise(parts, of, fit).items()}
    creatives = {}
    for pair in parts["train"]:
        if QUERIES_DECIDE in pair.tags:
            continue
        for image, ctr, shown in ((pair.image_a, pair.ctr_a, pair.impressions_a),
                                  (pair.image_b, pair.ctr_b, pair.impressions_b)):
            if ctr is not None and shown is not None:
                creatives[image] = (titled(pair, image), ctr, shown)
    if creatives:
        inputs, rates, weights = (np.array(column, np.float32)
                                for column in zip(*creatives.values(), strict=True))
        score = fit_pointwise(inputs, rates, weights, _sides(parts["validation"], titled), MLP)
        reached["pointwise CTR regressor (VAM)"] = _sides(parts["test"], titled).accuracy(score)
    return reached
