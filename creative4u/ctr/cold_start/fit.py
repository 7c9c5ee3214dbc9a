"""Fit the scorer of new creatives on a shop's log; measure it on held-out products.

    creative4u ctr newcomer WORLD --out FILE

Products, not rows, are divided: 60 % to fit and 20 % to choose the ridge on; then both are fitted
on together, and the calibration is of each product's pCTR as a model says it that was fitted on the
other products. The last 20 % test: nothing was fitted on them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creative4u.backbone.appearance import Appearance, cached_appearance
from creative4u.backbone.sentences import sentence_vectors
from creative4u.ctr.cold_start.model import Newcomer, NewcomerConfig, fit_newcomer
from creative4u.ctr.cold_start.scorer import Calibrated, Scorer
from creative4u.ctr.log.fields import Fields
from creative4u.ctr.log.grouped_auc import auc_of_counts, gauc_of_counts
from creative4u.ctr.log.position_bias import position_factors
from creative4u.ctr.log.shop import Cells, Shop, count_cells
from creative4u.ctr.model.calibration import Calibrator, fit_beta, fit_strength, pcoc
from creative4u.metrics import grouped_bootstrap, weighted_ratio

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
TOP_QUERIES = 5  # as many as an advertiser would name
FOLDS = 5  # of the products, for calibration
RIDGES = {"image_ridge": (0.3, 1.0, 3.0), "level_ridge": (0.1, 0.3, 1.0, 3.0, 10.0)}


@dataclass(frozen=True)
class Lesson:
    """N creatives with images: what the newcomer model is fitted and measured on."""

    seen: Appearance
    words: NDArray[np.float32]  # (N, 384)
    clicks: Floats  # (N,)
    shown: Floats  # (N,) impressions
    looked: Floats  # (N,) impressions corrected for position
    products: Ints  # (N,)


def gather(
    shop: Shop,
    fields: Fields,
    days: tuple[int, int],
    cache: Path,
    half: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> Lesson:
    """Count the log, look at the images (cached in `cache`), read titles and top queries."""
    cells = count_cells(shop, fields, days)
    seen = cached_appearance(shop.images, cache, half=half, progress=progress)
    look = position_factors(cells)
    count = len(shop.images)
    products = np.unique(shop.products, return_inverse=True)[1]
    titles = list(dict.fromkeys(shop.titles))
    said = dict(zip(titles, sentence_vectors(titles), strict=True))
    words = np.stack([said[title] for title in shop.titles])
    if shop.queries:
        vectors = sentence_vectors(shop.queries)
        words = (words + vectors[top_queries(shop, cells)].mean(axis=1)[products]) / 2
    clicks, shown, looked = (
        np.bincount(cells.creative, weight, count).astype(np.float64)
        for weight in (cells.clicks, cells.shown, cells.shown * look[cells.position])
    )
    return Lesson(seen, words.astype(np.float32), clicks, shown, looked, products)


def top_queries(shop: Shop, cells: Cells) -> Ints:
    """(P, 5) the query rows under which each product, in the order of names, was shown most."""
    products = np.unique(shop.products, return_inverse=True)[1]
    asked = np.zeros((products.max() + 1, max(len(shop.queries), 1)))
    known = cells.query >= 0
    np.add.at(asked, (products[cells.creative[known]], cells.query[known]), cells.shown[known])
    return np.argsort(-asked, axis=1, kind="stable")[:, :TOP_QUERIES]


def teach(lesson: Lesson, seed: int = 7) -> tuple[Scorer, dict[str, Any]]:
    """Fit, calibrate and test on three sets of products; the scorer and its figures."""
    fit_rows, check, test = divide(lesson.products, lesson.shown, seed)
    config = choose(lesson, fit_rows, check)
    known = np.sort(np.concatenate([fit_rows, check]))
    scorer = Scorer(*_learn(lesson, known, config, seed), Calibrated(
        # the raw twin: impressions as logged, no split into the product's part and the image's own
        *_learn(replace(lesson, looked=lesson.shown), known, config, seed, within=False)
    ))  # fmt: skip
    fitted, raw = scorer.calibrator, scorer.raw
    assert raw is not None
    seen, words = lesson.seen.take(test), lesson.words[test]
    calibrated = scorer(seen, words)
    mean = np.full(len(test), lesson.clicks[known].sum() / lesson.shown[known].sum())
    low, high = fitted.interval(calibrated)
    rate = lesson.clicks[test] / lesson.shown[test]
    return scorer, {
        "products": {"fit": _products(lesson, known), "test": _products(lesson, test)},
        "test": figures(lesson, test, calibrated),
        "test_pcoc_interval": pcoc_interval(lesson, test, calibrated, seed),
        "raw_test": figures(lesson, test, raw(seen, words)),
        "mean_predictor": figures(lesson, test, mean),
        "interval_holds": float(((low <= rate) & (rate <= high)).mean()),
        "config": asdict(config),
        "strength_impressions": fitted.strength,
        "test_product_rows": np.unique(lesson.products[test]).tolist(),
    }  # fmt: skip


def choose(lesson: Lesson, fit_rows: Ints, check: Ints) -> NewcomerConfig:
    """The image ridge with the best gAUC on `check`, then the level ridge with the best AUC."""

    def value(config: NewcomerConfig, figure: str) -> float:
        found = _fit(lesson, fit_rows, config)
        return figures(lesson, check, _probability(found, lesson, check))[figure]

    config = NewcomerConfig()
    for name, figure in (("image_ridge", "gauc"), ("level_ridge", "auc")):
        tried = [replace(config, **{name: ridge}) for ridge in RIDGES[name]]
        config = max(tried, key=lambda one: value(one, figure))
    return config


def divide(products: Ints, shown: Floats, seed: int) -> tuple[Ints, Ints, Ints]:
    """Rows of the products to fit, calibrate and test on; creatives never shown are left out."""
    order = np.random.default_rng([seed, 53]).permutation(products.max() + 1)
    cuts = np.split(order, [int(0.6 * len(order)), int(0.8 * len(order))])
    return tuple(  # type: ignore[return-value]
        np.flatnonzero(np.isin(products, part) & (shown > 0)) for part in cuts
    )


def figures(lesson: Lesson, rows: Ints, probability: Floats) -> dict[str, float]:
    """AUC over impressions, gAUC inside products, log loss and PCOC of some creatives."""
    clicks, shown = lesson.clicks[rows], lesson.shown[rows]
    p = np.clip(probability, 1e-6, 1 - 1e-6)
    loss = -(clicks * np.log(p) + (shown - clicks) * np.log1p(-p)).sum() / shown.sum()
    return {
        "auc": auc_of_counts(p, clicks, shown - clicks),
        "gauc": gauc_of_counts(p, clicks, shown - clicks, lesson.products[rows]),
        "log_loss": float(loss),
        "pcoc": pcoc(p * shown, clicks),
    }


def pcoc_interval(
    lesson: Lesson, rows: Ints, probability: Floats, seed: int, draws: int = 1000
) -> list[float]:
    """The 95 % interval of PCOC over draws of the products, whose levels differ widely."""
    ratio = weighted_ratio(probability * lesson.shown[rows], lesson.clicks[rows])
    ends = grouped_bootstrap(ratio, lesson.products[rows], rounds=draws, seed=[seed, 61])
    return [float(end) for end in ends]


def _fit(lesson: Lesson, rows: Ints, config: NewcomerConfig, within: bool = True) -> Newcomer:
    return fit_newcomer(
        lesson.seen.take(rows), lesson.words[rows], lesson.clicks[rows], lesson.looked[rows],
        lesson.products[rows], config, within,
    )  # fmt: skip


def _learn(
    lesson: Lesson, rows: Ints, config: NewcomerConfig, seed: int, within: bool = True
) -> tuple[Newcomer, Calibrator]:
    """A model of all `rows`, calibrated on what models of the other products say of each."""
    fold = np.random.default_rng([seed, 59]).permutation(lesson.products.max() + 1) % FOLDS
    part = fold[lesson.products[rows]]
    p = np.empty(len(rows))
    for one in np.unique(part):
        model = _fit(lesson, rows[part != one], config, within)
        p[part == one] = _probability(model, lesson, rows[part == one])
    clicks, shown = lesson.clicks[rows], lesson.shown[rows]
    fitted = fit_beta(p, clicks / shown, shown)
    strength = fit_strength(fitted(p), clicks, shown)
    return _fit(lesson, rows, config, within), replace(fitted, strength=strength)


def _probability(model: Newcomer, lesson: Lesson, rows: Ints) -> Floats:
    logit = model.logit(lesson.seen.take(rows), lesson.words[rows])
    return np.asarray(1 / (1 + np.exp(-logit)))


def _products(lesson: Lesson, rows: Ints) -> int:
    return len(np.unique(lesson.products[rows]))
