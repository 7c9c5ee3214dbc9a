"""Draw anchors, positives and negatives for S2 from clicks by query and creative.

The positives of arXiv 2205.04168's S2 are items clicked for the same query; the negatives come
from a class-aware pool, so that they are no false negatives. The pool's form is
our choice: a creative of another class is a negative; one of the same class is a negative only
where its smoothed CTR lies in the lower half of the class, so that what shoppers of that class like
as well is never pushed away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from creative4u.errors import InputError
from creative4u.metrics import smoothed_ctr

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
SAME_CLASS = 0.5  # share of negatives that are of the anchor's class


@dataclass(frozen=True)
class ClickPool:
    """What S2 is drawn from.

    Clicked (query, creative) cells sorted by query: `creative` (M,), `weight` (M,) clicks,
    `starts` (Q + 1,) where each query's cells begin; `classes` (N,) and `poor` (N,) by creative.
    """

    creative: Ints
    weight: Floats
    starts: Ints
    classes: Ints
    poor: NDArray[np.bool_]

    @classmethod
    def build(
        cls, query: Ints, creative: Ints, shown: Ints, clicks: Ints, classes: Ints
    ) -> ClickPool:
        """From one row a (query, creative) cell, (R,) each, and the class of each creative (N,).

        Raises InputError where no query had two clicked creatives: there is nothing to learn from.
        """
        total = np.bincount(creative, shown, len(classes))
        rate = smoothed_ctr(np.bincount(creative, clicks, len(classes)), total)
        poor = np.zeros(len(classes), bool)
        for name in np.unique(classes):
            mine = np.flatnonzero((classes == name) & (total > 0))
            if len(mine):
                poor[mine] = rate[mine] < np.median(rate[mine])
        order = np.lexsort((creative, query))
        order = order[clicks[order] > 0]
        _, counts = np.unique(query[order], return_counts=True)
        order = order[np.repeat(counts > 1, counts)]
        counts = counts[counts > 1]
        if not len(counts):
            raise InputError("no query has two clicked creatives; S2 needs clicks to learn from")
        # a click where clicks are rare says more about the picture than one of many
        weight = clicks[order] / total[creative[order]]
        return cls(creative[order], weight, np.concatenate([[0], counts.cumsum()]), classes, poor)

    def draw(self, count: int, negatives: int, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
        """Anchors (count,), their positives (count,) and negatives (count, negatives)."""
        share = np.cumsum(self.weight)
        before = np.concatenate([[0.0], share])
        first = np.searchsorted(share, rng.random(count) * share[-1], side="right")
        first = first.clip(0, len(share) - 1)
        group = np.searchsorted(self.starts, first, side="right") - 1
        low, high = before[self.starts[group]], before[self.starts[group + 1]]
        # the positive: another cell of the same query, by weight, the anchor's own part cut out
        own = self.weight[first]
        dice = low + rng.random(count) * (high - low - own)
        dice = np.where(dice >= before[first], dice + own, dice)
        second = np.searchsorted(share, dice, side="right")
        second = second.clip(self.starts[group], self.starts[group + 1] - 1)
        return self.creative[first], self.creative[second], self._far(first, negatives, rng)

    def _far(self, anchor: Ints, count: int, rng: np.random.Generator) -> Ints:
        known = np.unique(self.creative)
        found = np.empty((len(anchor), count), np.int64)
        classes = self.classes[self.creative[anchor]]
        near = int(count * SAME_CLASS)
        for name in np.unique(classes):
            rows = np.flatnonzero(classes == name)
            other = known[self.classes[known] != name]
            same = np.flatnonzero((self.classes == name) & self.poor)
            parts = [(same if len(same) else other, near), (other if len(other) else same,
                                                            count - near)]  # fmt: skip
            found[rows] = np.concatenate(
                [
                    rng.choice(pool if len(pool) else known, (len(rows), size))
                    for pool, size in parts
                ],
                axis=1,
            )
        return found
