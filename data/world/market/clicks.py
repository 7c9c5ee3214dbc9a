"""Draw clicks and purchases for searches shown to shoppers: the model behind the logs.

logit = base + relevance(query, product) + taste(shopper, product) + creative + match(creative,
query) - position bias. All numbers are our choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.world.market.effects import MATCH, Floats, Ints
from data.world.market.exposure import POSITION_BIAS, Shelf
from data.world.market.shoppers import Goods, People

BASE = -5.5  # a good creative in a good place is clicked by about one shopper in eight
RELEVANCE_LOGIT = 0.6
FAVOURITE_LOGIT = 0.3
BUDGET_LOGIT = 0.25  # lost per unit of |ln price - ln budget|
NOISE = 0.15  # standard deviation of an impression's own luck
BUY_BASE, WRONG_BUY = -2.2, -2.0


@dataclass(frozen=True)
class Market:
    """Everything a click depends on, as arrays: N creatives, P products, Q queries, U shoppers."""

    people: People
    shelf: Shelf
    log_price: Floats  # (P,)
    has: NDArray[np.bool_]  # (attributes, P)
    attraction: Floats  # (N,) the creative's logit
    match: NDArray[np.bool_]  # (N, Q) the creative meets the query's intent
    wrong: NDArray[np.bool_]  # (N,) it shows another product


def build_market(
    goods: Goods,
    people: People,
    shelf: Shelf,
    attraction: Floats,
    intents: list[set[str]],
    wrong: NDArray[np.bool_],
) -> Market:
    """`intents` (N) is what each creative legibly says or shows."""
    has = np.array([[name in said for said in goods.attributes] for name in people.attributes])
    match = np.array(
        [
            [bool(query.intent) and query.intent in said for query in people.queries]
            for said in intents
        ]
    )
    return Market(
        people,
        shelf,
        np.log(np.asarray(goods.prices, float)),
        has,
        attraction,
        match & ~wrong[:, None],
        wrong,
    )


def click_logit(
    market: Market, user: Ints, query: Ints, product: Ints, creative: Ints, position: Ints
) -> Floats:
    """The logit of a click for each impression, all arrays (n,)."""
    people = market.people
    taste = FAVOURITE_LOGIT * market.has[people.favourite[user], product] - BUDGET_LOGIT * np.abs(
        market.log_price[product] - people.budget[user]
    )
    return np.asarray(
        BASE
        + RELEVANCE_LOGIT * market.shelf.relevance[query, product]
        + taste
        + market.attraction[creative]
        + MATCH * market.match[creative, query]
        - POSITION_BIAS * (position - 1)
    )


def draw_clicks(
    market: Market,
    user: Ints,
    query: Ints,
    product: Ints,
    creative: Ints,
    position: Ints,
    rng: np.random.Generator,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Clicks and purchases (n,), (n,); nobody buys what he did not click."""
    logit = click_logit(market, user, query, product, creative, position)
    click = rng.random(len(user)) < sigmoid(logit + NOISE * rng.standard_normal(len(user)))
    want = (
        BUY_BASE
        + RELEVANCE_LOGIT * market.shelf.relevance[query, product]
        - BUDGET_LOGIT * np.abs(market.log_price[product] - market.people.budget[user])
        + WRONG_BUY * market.wrong[creative]
    )
    return click, click & (rng.random(len(user)) < sigmoid(want))


def expected_ctr(market: Market, product_of: Ints, samples: int, seed: int) -> Floats:
    """Unbiased CTR of each creative under each query (N, Q), NaN where the query is irrelevant.

    Expectation over `samples` shoppers and the impression's luck, at the first position: neither
    the exposure policy nor the position enters.
    """
    rng = np.random.default_rng([seed, 23])
    people = market.people
    user, _ = people.draw(rng, samples)
    luck = NOISE * rng.standard_normal(samples)
    rates = np.full(market.match.shape, np.nan, np.float32)
    for product in range(len(market.log_price)):
        mine = np.flatnonzero(product_of == product)
        asked = np.flatnonzero(market.shelf.relevance[:, product] > 0)
        taste = FAVOURITE_LOGIT * market.has[
            people.favourite[user], product
        ] - BUDGET_LOGIT * np.abs(market.log_price[product] - people.budget[user])
        fixed = (
            BASE
            + RELEVANCE_LOGIT * market.shelf.relevance[asked, product]
            + market.attraction[mine][:, None]
            + MATCH * market.match[np.ix_(mine, asked)]
        )
        levels, back = np.unique(fixed.round(4), return_inverse=True)
        mean = sigmoid(levels[:, None] + taste + luck).mean(axis=1)
        rates[np.ix_(mine, asked)] = mean[back].reshape(fixed.shape)
    return np.asarray(rates)


def sigmoid(logit: Floats) -> Floats:
    """1 / (1 + e^-x), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logit)))
