"""Estimate how much each position is looked at (position-based click model).

CTR = attraction(creative) * look(position), fitted by alternating the two maximum likelihood steps
of a Poisson model (the position-based click model; our choice of fit). A creative shown in good
places only is not taken for a good creative.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from creative4u.ctr.log.shop import Cells
from creative4u.metrics import smoothed_ctr

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ROUNDS = 30


def position_factors(cells: Cells, rounds: int = ROUNDS) -> Floats:
    """look(position) at index `position`, scaled so that its mean over impressions is 1.

    A position that no impression had gets 1.
    """
    look = np.ones(int(cells.position.max()) + 1)
    clicks = np.bincount(cells.creative, cells.clicks)
    for _ in range(rounds):
        seen = np.bincount(cells.creative, cells.shown * look[cells.position])
        rate = clicks / np.maximum(seen, 1e-12)  # (N,)
        expected = np.bincount(cells.position, cells.shown * rate[cells.creative], len(look))
        found = np.bincount(cells.position, cells.clicks, len(look))
        look = np.where(expected > 0, found / np.maximum(expected, 1e-12), 1.0)
        look = look / np.average(look[cells.position], weights=cells.shown)
    return np.asarray(look)


def attraction(shown: Ints, clicks: Ints) -> Floats:
    """Each creative's smoothed CTR (N,) as it would be at a mean position.

    Args:
        shown: (N, positions + 1) impressions by creative and position.
        clicks: the same shape.
    """
    creative, position = shown.nonzero()
    counts = shown[creative, position], clicks[creative, position]
    look = np.ones(shown.shape[1])
    if len(creative):
        found = position_factors(Cells(creative, np.zeros_like(creative), position, *counts))
        look[: len(found)] = found
    return smoothed_ctr(clicks.sum(axis=1), shown @ look)
