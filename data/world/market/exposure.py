"""Draw which product, creative and position is shown for each query.

The policy shows what is popular more, and what was clicked more still more, so that logs are biased
as real ones are (the form is our choice).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from creative4u.metrics import smoothed_ctr
from data.world.market.shoppers import Goods, Query, cumulate_rows, draw_rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

POSITIONS = 10
POSITION_BIAS = 0.12  # logit lost per position
RELEVANCE = {"noun": 1.0, "category": 0.3, "none": 0.0}


@dataclass(frozen=True)
class Shelf:
    """The products' popularity (P,), their relevance to queries (Q, P) and their creatives."""

    popularity: Floats
    relevance: Floats
    slots: Ints  # (P, K) creative index, -1 where the product has fewer than K
    liking: Floats  # (P, K) how often the shop's policy prefers a creative, before any click


def build_shelf(goods: Goods, queries: tuple[Query, ...], product_of: Ints, seed: int) -> Shelf:
    """`product_of` (N,) says whose each creative is."""
    rng = np.random.default_rng([seed, 19])
    count = len(goods.nouns)
    nouns, categories = np.array(goods.nouns), np.array(goods.categories)
    relevance = np.zeros((len(queries), count))
    for row, query in enumerate(queries):
        relevance[row, categories == query.category] = RELEVANCE["category"]
        relevance[row, nouns == query.noun] = RELEVANCE["noun"]
    mine = [np.flatnonzero(product_of == index) for index in range(count)]
    slots = np.full((count, max(len(row) for row in mine)), -1)
    for index, row in enumerate(mine):
        slots[index, : len(row)] = row
    liking = np.where(slots >= 0, np.exp(rng.normal(0, 0.15, slots.shape)), 0.0)
    return Shelf(np.exp(rng.normal(0, 0.3, count)), relevance, slots, liking)


@dataclass(frozen=True)
class Policy:
    """One day's tables; drawn from by the million."""

    shelf: Shelf
    fame: Floats  # (P,) the day's popularity, 0..1 by rank
    products: Floats  # cumulative rows, by query
    creatives: Floats  # cumulative rows, by product

    def draw(self, query: Ints, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
        """For each query (n,): product, creative and position 1..10, each (n,)."""
        count, width = self.shelf.slots.shape
        product = draw_rows(self.products, count, query, rng)
        creative = self.shelf.slots[product, draw_rows(self.creatives, width, product, rng)]
        depth = 4.0 * (1 - self.fame[product]) + rng.exponential(2.0, len(query))
        return product, creative, 1 + np.minimum(depth.astype(np.int64), POSITIONS - 1)


def policy_of_day(shelf: Shelf, shown: Ints, clicked: Ints) -> Policy:
    """The day's policy from all earlier days' impressions and clicks by creative, (N,) each."""
    rate = smoothed_ctr(clicked, shown)
    by_slot = np.where(shelf.slots >= 0, rate[shelf.slots], 0.0)
    by_product = by_slot.sum(axis=1) / (shelf.slots >= 0).sum(axis=1).clip(1)
    popularity = shelf.popularity * np.clip(by_product / by_product.mean(), 0.7, 1.4)
    lift = np.clip(by_slot / by_product[:, None], 0.5, 2.0) ** 0.3
    weights = popularity * np.where(shelf.relevance > 0, np.exp(4 * shelf.relevance), 0.0)
    fame = popularity.argsort().argsort() / max(1, len(popularity) - 1)
    return Policy(shelf, fame, cumulate_rows(weights), cumulate_rows(shelf.liking * lift))
