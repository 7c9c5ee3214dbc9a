"""Compute figures from arrays of outcomes: AA, CA, ECE, AUC, gAUC, log loss, recall@k, intervals.

Numpy only. A figure that has nothing to count (no rows, one class only) is nan, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
CELLS = 4_000_000  # weights that a bootstrap holds at a time: 32 MB
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


def smoothed_ctr(clicks: ArrayLike, impressions: ArrayLike) -> Floats:
    """Smooth a CTR: (clicks + a) / (impressions + a + b) with (a, b) = CTR_PRIOR, same shape.

    Few impressions are drawn to the mean CTR (VAM-HBM's prior, WWW 2021).
    """
    a, b = CTR_PRIOR
    return np.asarray((np.asarray(clicks, float) + a) / (np.asarray(impressions, float) + a + b))


def recall_at_k(rank: ArrayLike, k: int) -> float:
    """R@k: the share of queries whose rank (from 1) is at most `k`."""
    return _mean(np.asarray(rank) <= k)


def grouped_bootstrap(
    statistic: Callable[[Floats], ArrayLike],
    groups: ArrayLike,
    counts: ArrayLike | None = None,
    level: float = 0.95,
    rounds: int = 1000,
    seed: int | Sequence[int] = 0,
) -> Floats:
    """The percentile bootstrap interval of one or several figures, drawing whole groups.

    All figures of one call share their draws, so the difference of two of them is paired. Figures
    that are a ratio of sums are vectorised by `weighted_ratio`.

    Args:
        statistic: takes weights (d, n), how often each row is drawn in each of d draws; returns
            figures (d,) or (d, k). A draw whose figure is nan is left out.
        groups: (n,) the group of each row: its own number where rows are drawn one by one.
        counts: (n,) how many identical groups each row stands for; then each row is a group.
        level: the share of draws inside the interval.
        rounds: how many draws.
        seed: the same seed gives the same interval.

    Returns:
        (2,) or (2, k): the lower ends, then the upper ends; nan where no draw has a figure.
    """
    names, place = np.unique(np.asarray(groups), return_inverse=True)
    if not place.size:
        return np.full(2, np.nan)
    rng = np.random.default_rng(seed)
    chunk = max(1, CELLS // place.size)
    parts = []
    for start in range(0, rounds, chunk):
        some = min(chunk, rounds - start)
        if counts is None:
            drawn = rng.integers(0, names.size, (some, names.size))
            times = np.stack([np.bincount(row, minlength=names.size) for row in drawn])
            weights = times[:, place]
        else:
            number = np.asarray(counts, int)
            weights = rng.multinomial(number.sum(), number / number.sum(), size=some)
        parts.append(np.asarray(statistic(weights.astype(float)), float))
    figures = np.concatenate(parts)  # (rounds,) or (rounds, k)
    columns = figures.reshape(rounds, -1).T
    tail = (1 - level) / 2
    known = [column[~np.isnan(column)] for column in columns]
    ends = [np.quantile(one, [tail, 1 - tail]) if one.size else [np.nan] * 2 for one in known]
    return np.asarray(ends).T.reshape(2, *figures.shape[1:])


def weighted_ratio(
    numerator: ArrayLike, denominator: ArrayLike | None = None
) -> Callable[[Floats], Floats]:
    """A statistic for `grouped_bootstrap`: sum(w * numerator) / sum(w * denominator).

    Args:
        numerator: (n,); with the default denominator, all ones, the figure is its mean.
        denominator: (n,), for instance impressions where the numerator is clicks.
    """
    above = np.asarray(numerator, float)
    below = np.ones_like(above) if denominator is None else np.asarray(denominator, float)

    def ratio(weights: Floats) -> Floats:
        total = weights @ below
        return np.asarray(weights @ above / np.where(total == 0, np.nan, total))

    return ratio


def _mean(values: ArrayLike) -> float:
    array = np.asarray(values, dtype=float)
    return float(array.mean()) if array.size else float("nan")


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"got shapes {a.shape} and {b.shape}; two equal (n,) are needed")
    return a, b
