"""A shop's items and behaviour in, triplets out: query, positive and negative, each t, i and mm.

Positive = bought after the query, negative = shown for it and passed over (MOON2.0,
arXiv 2511.12449). The query's text is what was typed; its image is another image of the
bought item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from creative4u.errors import InputError
from creative4u.moon.catalogue.behaviour import Behaviour
from creative4u.moon.catalogue.items import Item, merge_skus
from creative4u.moon.encoder.content import Content
from creative4u.moon.training.hard_negatives import (
    exposure_weights,
    hard_negatives,
    least_similar_positives,
)

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Triplet:
    """One training example; `key` and `negative_key` number products, SKUs merged."""

    query: Content  # text and image
    positive: Item
    negative: Item
    key: int
    negative_key: int


class Triplets:
    """All training triplets of a shop, drawn by category exposure.

    Until `narrow`, negatives are those passed over.
    """

    def __init__(
        self, items: Sequence[Item], behaviour: Behaviour, images: int = 4, rebalance: bool = True
    ) -> None:
        self.items, self.behaviour, self.images = items, behaviour, images
        self.keys = merge_skus(items)
        usable = [bool(item.images) and item.split != "test" for item in items]
        self.pairs: Ints = behaviour.bought[[usable[product] for product in behaviour.bought[:, 1]]]
        if not len(self.pairs):
            raise InputError("no purchase of a training item in the log")
        self.usable = np.flatnonzero(usable)
        self.rebalance = rebalance
        self.hard: Ints | None = None
        self._weigh()

    def _weigh(self) -> None:
        kinds = [item.category for item in self.items]
        count = len(self.pairs)
        even = np.full(count, 1 / count, np.float32)
        weights = exposure_weights(kinds, self.behaviour.exposure, self.pairs[:, 1])
        self.weights = weights if self.rebalance else even

    def choose(
        self, queries: Floats, items: Floats, hard: int, least_similar: bool
    ) -> tuple[Ints, Ints]:
        """Step two's sampling by the current vectors of all queries (Q, D) and items (N, D).

        Returns whether each pair is kept (P,) and each item's hard negatives (N, hard), -1 for
        none: what `narrow` takes and a checkpoint remembers.
        """
        kept = np.ones(len(self.pairs), np.int64)
        if least_similar:
            kept[:] = 0
            kept[least_similar_positives(self.pairs, queries, items)] = 1
        kinds = [item.category for item in self.items]
        found = np.full((len(self.items), hard), -1, np.int64)
        local = hard_negatives(
            items[self.usable],
            [kinds[row] for row in self.usable],
            [self.keys[row] for row in self.usable],
            hard,
        )
        found[self.usable] = np.where(local >= 0, self.usable[local], -1)
        return kept, found

    def narrow(self, kept: Ints, hard: Ints) -> None:
        """Draw from what `choose` chose."""
        self.pairs, self.hard = self.pairs[kept > 0], hard
        self._weigh()

    def draw(self, count: int, random: np.random.Generator) -> list[Triplet]:
        """`count` triplets, of different products where there are enough."""
        weights = self.weights / self.weights.sum()
        some = random.choice(len(self.pairs), min(count, len(self.pairs)), False, weights)
        return [self._triplet(int(row), random) for row in some]

    def _triplet(self, row: int, random: np.random.Generator) -> Triplet:
        query, product = (int(one) for one in self.pairs[row])
        item = self.items[product]
        negative = self._negative(query, product, random)
        shown = item.images[: self.images]
        asking, *others = (shown[int(one)] for one in random.permutation(len(shown)))
        return Triplet(
            query=Content(self.behaviour.queries[query], asking),
            positive=replace(item, images=(*others, asking)),
            negative=self.items[negative],
            key=self.keys[product],
            negative_key=self.keys[negative],
        )

    def _negative(self, query: int, product: int, random: np.random.Generator) -> int:
        own = self.keys[product]
        passed = [
            other
            for other in self.behaviour.passed.get(query, ())
            if self.keys[other] != own and self.items[other].split != "test"
            and self.items[other].images
        ]  # fmt: skip
        near = [] if self.hard is None else [int(one) for one in self.hard[product] if one >= 0]
        pool = near if near and (not passed or random.random() < 0.5) else passed
        if pool:
            return int(pool[int(random.integers(len(pool)))])
        others = [int(one) for one in self.usable if self.keys[int(one)] != own]
        if not others:
            raise InputError("a shop of one product has no negatives")
        return others[int(random.integers(len(others)))]
