"""Fit Bradley-Terry strengths to probabilities of pairwise comparisons (Bradley and Terry 1952).

The outcomes are probabilities, so a narrow verdict weighs less than a clear one, and losing to a
strong item costs less than losing to a weak one. A Gaussian prior keeps unbeaten items finite.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ROUNDS = 100  # Newton steps at most
STEP = 2.0  # the longest step of one strength, log odds: Newton cannot overshoot
DONE = 1e-9  # a step below this ends the fit


def fit_strengths(
    comparisons: Sequence[tuple[int, int, float]], count: int, precision: float
) -> NDArray[np.float64]:
    """Maximise the likelihood of the comparisons under a Gaussian prior, by Newton's method.

    The objective, sum of p log s(a - b) + (1 - p) log s(b - a) - precision / 2 * |strength|^2 with
    s the logistic function, is concave: there is one maximum.

    Args:
        comparisons: (a, b, probability that a is better), a and b below `count`; repeats add up.
        count: how many items there are.
        precision: of the prior, above 0: the weight of the pull towards the mean strength.

    Returns:
        (count,) strengths in log odds, mean 0; s(strength[a] - strength[b]) is the probability
        that a is better than b.
    """
    strength = np.zeros(count)
    if not comparisons:
        return strength
    a, b = (np.array([row[side] for row in comparisons], np.int64) for side in (0, 1))
    probability = np.array([row[2] for row in comparisons])
    for _ in range(ROUNDS):
        expected = 1 / (1 + np.exp(strength[b] - strength[a]))
        surplus = probability - expected
        won = np.bincount(a, surplus, count) - np.bincount(b, surplus, count)
        gradient = won - precision * strength
        weight = expected * (1 - expected)
        curvature = precision * np.eye(count)  # minus the Hessian
        for row, column, sign in ((a, a, 1), (b, b, 1), (a, b, -1), (b, a, -1)):
            np.add.at(curvature, (row, column), sign * weight)
        step = np.linalg.solve(curvature, gradient)
        strength += np.clip(step, -STEP, STEP)
        if np.abs(step).max() < DONE:
            break
    return np.asarray(strength - strength.mean())
