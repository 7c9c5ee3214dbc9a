"""Draw training triplets from a shop's items and behaviour: query, positive, negative.

Positive: bought after the query. Negative: images for it and not clicked (MOON2.0,
arXiv 2511.12449). The query's text is what was typed; its image is another image of the bought
item.
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
    """One training example; `key` and `negative_key` are product numbers, SKUs merged."""

    query: Content  # text and image
    positive: Item
    negative: Item
    key: int
    negative_key: int


class Triplets:
    """All training triplets of a shop, drawn by category exposure.

    Negatives are not-clicked items; after `start_hard_sampling` hard negatives too.
    """

    def __init__(
        self, items: Sequence[Item], behaviour: Behaviour, images: int = 4, rebalance: bool = True
    ) -> None:
        self.items, self.behaviour, self.images = items, behaviour, images
        self.keys = merge_skus(items)
        usable = [bool(item.images) and item.split != "test" for item in items]
        self.pairs: Ints = behaviour.bought[[usable[product] for product in behaviour.bought[:, 1]]]
        if not len(self.pairs):
            raise InputError("the log has no purchase of a training item")
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

    def select_hard(
        self, queries: Floats, items: Floats, hard: int, least_similar: bool
    ) -> tuple[Ints, Ints]:
        """Select the pairs and hard negatives of step two.

        Args:
            queries: (Q, D) current vectors.
            items: (N, D) current vectors.
            hard: negatives for each item.
            least_similar: keep only each item's least similar pair.

        Returns:
            (P,) 1 for each pair that is kept, and (N, hard) item rows, -1 for none.
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

    def start_hard_sampling(self, kept: Ints, hard: Ints) -> None:
        """Draw from the pairs (P,) and negatives (N, hard) of `select_hard` from now on."""
        self.pairs, self.hard = self.pairs[kept > 0], hard
        self._weigh()

    def draw(self, count: int, rng: np.random.Generator) -> list[Triplet]:
        """`count` triplets, of different products where there are enough."""
        weights = self.weights / self.weights.sum()
        some = rng.choice(len(self.pairs), min(count, len(self.pairs)), False, weights)
        return [self._triplet(int(row), rng) for row in some]

    def _triplet(self, row: int, rng: np.random.Generator) -> Triplet:
        query, product = (int(one) for one in self.pairs[row])
        item = self.items[product]
        negative = self._negative(query, product, rng)
        images = item.images[: self.images]
        query_image, *others = (images[int(one)] for one in rng.permutation(len(images)))
        return Triplet(
            query=Content(self.behaviour.queries[query], query_image),
            positive=replace(item, images=(*others, query_image)),
            negative=self.items[negative],
            key=self.keys[product],
            negative_key=self.keys[negative],
        )

    def _negative(self, query: int, product: int, rng: np.random.Generator) -> int:
        own = self.keys[product]
        not_clicked = [
            other
            for other in self.behaviour.not_clicked.get(query, ())
            if self.keys[other] != own and self.items[other].split != "test"
            and self.items[other].images
        ]  # fmt: skip
        near = [] if self.hard is None else [int(one) for one in self.hard[product] if one >= 0]
        pool = near if near and (not not_clicked or rng.random() < 0.5) else not_clicked
        if pool:
            return int(pool[int(rng.integers(len(pool)))])
        others = [int(one) for one in self.usable if self.keys[int(one)] != own]
        if not others:
            raise InputError("the shop has one product only; negatives need a second")
        return others[int(rng.integers(len(others)))]
