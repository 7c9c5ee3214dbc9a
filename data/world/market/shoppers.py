"""Draw shoppers and their queries as arrays from products and needs.

A shopper has interests over categories, a favourite attribute, a budget and a leaning: what kind
of query he types (the plain thing, its price, a need, a scene). All of it is our choice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.world.market.intents import kind_of, query_text

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEANINGS = ("plain", "price", "need", "scene")
LEANING_SHARES = (0.25, 0.2, 0.35, 0.2)
KIND_WEIGHTS = {  # leaning -> how it spreads its queries over the kinds of query
    "plain": {"plain": 0.75, "price": 0.05, "need": 0.15, "scene": 0.05},
    "price": {"plain": 0.25, "price": 0.60, "need": 0.10, "scene": 0.05},
    "need": {"plain": 0.20, "price": 0.05, "need": 0.70, "scene": 0.05},
    "scene": {"plain": 0.20, "price": 0.05, "need": 0.15, "scene": 0.60},
}
NEEDS_PER_NOUN = 2  # few, so that a need's query is frequent enough to be measured


@dataclass(frozen=True)
class Goods:
    """What the people model must know of the products; every array is by product, (P,)."""

    nouns: Sequence[str]
    categories: Sequence[str]
    attributes: Sequence[Sequence[str]]
    prices: Sequence[float]


@dataclass(frozen=True)
class Query:
    """One search query; `intent` is what a creative must say or show to meet it ("" for plain)."""

    query_id: int
    text: str
    noun: str
    category: str
    kind: str
    intent: str


@dataclass(frozen=True)
class People:
    """Shoppers by row (U,) and queries by row (Q,), ready for drawing by the million."""

    queries: tuple[Query, ...]
    categories: tuple[str, ...]
    attributes: tuple[str, ...]
    activity: Floats  # (U,) cumulative share of all searches
    interests: Floats  # (U, C) cumulative share of a shopper's searches
    leaning: Ints  # (U,) index into LEANINGS
    budget: Floats  # (U,) natural log of the price he likes
    favourite: Ints  # (U,) index into attributes
    query_table: Floats  # (leanings * C * Q,) cumulative, row k ends at k + 1

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Ints, Ints]:
        """`count` searches: who asks (n,), and which query (n,)."""
        user = np.searchsorted(self.activity, rng.random(count)).clip(0, len(self.activity) - 1)
        dice = rng.random(count)[:, None]
        category = (dice > self.interests[user]).sum(axis=1).clip(0, len(self.categories) - 1)
        row = self.leaning[user] * len(self.categories) + category
        return user, draw_rows(self.query_table, len(self.queries), row, rng)


def cumulate_rows(weights: Floats) -> Floats:
    """Rows of weights (R, K) as one rising array (R * K,): row r runs from r to r + 1."""
    total = weights.sum(axis=1, keepdims=True)
    share = np.divide(
        weights, total, out=np.full_like(weights, 1 / weights.shape[1]), where=total > 0
    )
    steps = np.minimum(np.cumsum(share, axis=1), 1.0)
    steps[:, -1] = 1.0
    return np.asarray((steps + np.arange(len(weights))[:, None]).ravel())


def draw_rows(table: Floats, width: int, row: Ints, rng: np.random.Generator) -> Ints:
    """One column (n,) drawn from each given row of a `cumulate_rows` table."""
    found = np.searchsorted(table, row + rng.random(len(row)), side="right")
    return np.asarray((found - row * width).clip(0, width - 1))


def build_people(goods: Goods, intents: Sequence[Sequence[str]], users: int, seed: int) -> People:
    """Draw the shoppers. `intents` holds, by product, all that its creatives carry."""
    rng = np.random.default_rng([seed, 11])
    queries = tuple(_queries(goods, intents))
    categories = tuple(sorted(set(goods.categories)))
    attributes = tuple(sorted({name for names in goods.attributes for name in names})) or ("any",)
    supply = np.array([list(goods.categories).count(name) for name in categories], float)
    taste = rng.gamma(0.6, size=(users, len(categories))) * supply
    activity = rng.pareto(2.5, users) + 0.3
    logs = np.log(np.asarray(goods.prices, float))
    return People(
        queries,
        categories,
        attributes,
        activity=np.cumsum(activity / activity.sum()),
        interests=np.cumsum(taste / taste.sum(axis=1, keepdims=True), axis=1),
        leaning=rng.choice(len(LEANINGS), users, p=LEANING_SHARES),
        budget=rng.normal(logs.mean(), logs.std() + 0.2, users),
        favourite=rng.integers(len(attributes), size=users),
        query_table=_query_table(queries, categories, Counter(goods.nouns), rng),
    )


def _queries(goods: Goods, intents: Sequence[Sequence[str]]) -> list[Query]:
    """Per noun: the plain query, the cheap one, its most carried needs and the scene."""
    carried: dict[str, Counter[str]] = {}
    home: dict[str, str] = {}
    for noun, category, said in zip(goods.nouns, goods.categories, intents, strict=True):
        home.setdefault(noun, category)
        carried.setdefault(noun, Counter()).update(said)
    made: list[Query] = []
    for noun in sorted(carried):
        ranked = sorted(carried[noun], key=lambda intent: (-carried[noun][intent], intent))
        needs = [intent for intent in ranked if kind_of(intent) == "need"][:NEEDS_PER_NOUN]
        for intent in ("", "deal", *needs, *(["scene"] if "scene" in ranked else [])):
            made.append(
                Query(
                    len(made), query_text(noun, intent), noun, home[noun], kind_of(intent), intent
                )
            )
    return made


def _query_table(
    queries: Sequence[Query],
    categories: Sequence[str],
    supply: Counter[str],
    rng: np.random.Generator,
) -> Floats:
    """P(query | leaning, category); nouns with more products are asked for more often."""
    nouns = sorted({query.noun for query in queries})
    fame = {noun: supply[noun] * np.exp(rng.normal(0, 0.25)) for noun in nouns}
    same = Counter((query.noun, query.kind) for query in queries)
    weights = np.zeros((len(LEANINGS) * len(categories), len(queries)))
    for column, query in enumerate(queries):
        for index, leaning in enumerate(LEANINGS):
            row = index * len(categories) + categories.index(query.category)
            share = KIND_WEIGHTS[leaning][query.kind] / same[query.noun, query.kind]
            weights[row, column] = fame[query.noun] * share
    return cumulate_rows(weights)
