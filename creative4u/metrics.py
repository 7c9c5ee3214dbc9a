"""Arrays of outcomes in, one figure out: AA, CA, ECE, AUC, gAUC, log loss, recall@k, intervals.

Numpy only. A figure that has nothing to count (no rows, one class only) is nan, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
CTR_PRIOR = (2.0402, 54.0625)  # a and b of VAM-HBM's smoothing (WWW 2021)


def average_accuracy(right: Sequence[Sequence[bool]]) -> float:
    """AA: the share of presentation orders judged right (WiserUI-Bench).

    Args:
        right: a row for each pair, an entry for each of its orders. Every order counts for itself,
            so a pair judged in both weighs twice one judged in a single order.
    """
    return _mean([float(order) for pair in right for order in pair])


def consistent_accuracy(right: Sequence[Sequence[bool]]) -> float:
    """CA: the share of pairs judged right in both orders (WiserUI-Bench).

    Pairs that were judged in one order only say nothing about consistency and are left out.
    """
    return _mean([float(all(pair)) for pair in right if len(pair) > 1])


def expected_calibration_error(probability: ArrayLike, outcome: ArrayLike, bins: int = 10) -> float:
    """ECE: how far stated probabilities lie from what then happened.

    The mean over equal-width bins of |mean probability - mean outcome|, each weighted by the
    share of rows in it (Guo et al. 2017). Bins are open on the left, the first one closed.

    Args:
        probability: (n,) in [0, 1].
        outcome: (n,) in [0, 1], for instance 1 where the event happened.
        bins: how many.
    """
    p, y = _pair(probability, outcome)
    if not p.size:
        return float("nan")
    index = np.clip(np.ceil(p * bins).astype(int) - 1, 0, bins - 1)  # (n,)
    gaps = np.bincount(index, weights=p - y, minlength=bins)  # (bins,), count times gap
    return float(np.abs(gaps).sum() / p.size)


def auc(score: ArrayLike, label: ArrayLike) -> float:
    """The chance that a positive row scores above a negative one; a tie counts one half.

    Args:
        score: (n,) any numbers.
        label: (n,) 1 (clicked) or 0.

    Returns:
        AUC in [0, 1]; nan where there is only one class.
    """
    s, y = _pair(score, label)
    positives = float((y > 0).sum())
    negatives = y.size - positives
    if not positives or not negatives:
        return float("nan")
    _, place, count = np.unique(s, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(count) - (count - 1) / 2  # (distinct,), from 1, ties share their mean
    rank_sum = mean_rank[place][y > 0].sum()
    return float((rank_sum - positives * (positives + 1) / 2) / (positives * negatives))


def gauc(score: ArrayLike, label: ArrayLike, group: ArrayLike) -> float:
    """AUC inside each group (a user, a query), averaged by its number of impressions.

    Groups with clicks only or without any have no AUC and are left out (DIN, section 6.3).

    Args:
        score: (n,) any numbers.
        label: (n,) 1 or 0.
        group: (n,) group names.
    """
    s, y = _pair(score, label)
    _, place = np.unique(np.asarray(group), return_inverse=True)
    order = np.argsort(place, kind="stable")
    ends = np.cumsum(np.bincount(place))[:-1]
    rows = np.split(order, ends)
    each = np.array([auc(s[part], y[part]) for part in rows], dtype=float)  # (groups,)
    sizes = np.array([part.size for part in rows], dtype=float)
    known = ~np.isnan(each)
    return float(np.average(each[known], weights=sizes[known])) if known.any() else float("nan")


def log_loss(probability: ArrayLike, label: ArrayLike, floor: float = 1e-12) -> float:
    """Mean negative log-likelihood in nats; probabilities are kept `floor` away from 0 and 1."""
    p, y = _pair(probability, label)
    p = np.clip(p, floor, 1 - floor)
    return _mean(-(y * np.log(p) + (1 - y) * np.log1p(-p)))


def ranks(scores: ArrayLike, targets: ArrayLike) -> NDArray[np.int64]:
    """The place of each query's target among the gallery, from 1; ties count against it.

    Args:
        scores: (queries, gallery) similarities, higher is nearer.
        targets: (queries,) the gallery index that is right.

    Returns:
        (queries,) ranks.
    """
    table = np.asarray(scores, dtype=float)
    own = np.take_along_axis(table, np.asarray(targets, dtype=int)[:, None], axis=1)  # (queries, 1)
    return np.asarray((table >= own).sum(axis=1), dtype=np.int64)


def smoothed_ctr(clicks: ArrayLike, impressions: ArrayLike) -> Floats:
    """Smooth a CTR: (clicks + a) / (impressions + a + b) with (a, b) = CTR_PRIOR, same shape.

    Few impressions are drawn to the mean CTR (VAM-HBM's prior, WWW 2021).
    """
    a, b = CTR_PRIOR
    return np.asarray((np.asarray(clicks, float) + a) / (np.asarray(impressions, float) + a + b))


def recall_at_k(rank: ArrayLike, k: int) -> float:
    """R@k: the share of queries whose target is among the first `k`, from `ranks`."""
    return _mean(np.asarray(rank) <= k)


def bootstrap_interval(
    figure: Callable[..., float],
    *columns: ArrayLike,
    level: float = 0.95,
    rounds: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile bootstrap interval of `figure(*columns)`, its rows drawn with replacement.

    Args:
        figure: takes the columns, gives one number; draws for which it is nan are left out.
        columns: arrays of the same first length; a row is what is drawn.
        level: the share of draws inside the interval.
        rounds: how many draws.
        seed: of the draws; the same seed gives the same interval.
    """
    table = [np.asarray(column) for column in columns]
    size = len(table[0])
    if not size:
        return float("nan"), float("nan")
    random = np.random.default_rng(seed)
    draws = []
    for _ in range(rounds):
        rows = random.integers(0, size, size)
        draws.append(figure(*(column[rows] for column in table)))
    known = np.array(draws)[~np.isnan(draws)]
    if not known.size:
        return float("nan"), float("nan")
    tail = (1 - level) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def _mean(values: ArrayLike) -> float:
    array = np.asarray(values, dtype=float)
    return float(array.mean()) if array.size else float("nan")


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"got shapes {a.shape} and {b.shape}; two equal (n,) are needed")
    return a, b
