"""Run the simulated A/B test of every policy and tabulate it.

    creative4u ctr simulate WORLD

The products are the scorer's held-out ones (`teach.divide`): on those it was fitted on, its prior
would know the answer. Given verdicts, they are those of them that the verdicts speak of, so that
every policy is played where a prior of verdicts can be had.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creative4u.ctr.cold_start.fit import Lesson, divide
from creative4u.ctr.cold_start.scorer import Scorer
from creative4u.ctr.policies.judge_prior import prior_of_verdicts
from creative4u.ctr.policies.policies import (
    EpsilonGreedy,
    Fixed,
    Greedy,
    LinUCB,
    Policy,
    Random,
    Thompson,
)
from creative4u.ctr.policies.simulate import Environment, compare, places_of, play
from creative4u.ctr.visual.encoder import VisualEncoder
from creative4u.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CVR_PRIOR = 50.0  # clicks that the shop's mean CVR is worth in a creative's own
FEATURES = 8  # principal axes that LinUCB sees


@dataclass(frozen=True)
class TrialConfig:
    """How long and how often; `strength` is what verdicts are worth in impressions."""

    impressions: int = 1000  # of each product
    runs: int = 20
    seed: int = 7
    split_seed: int = 7  # the scorer's
    verdict_strength: float = 50.0


@dataclass(frozen=True)
class Rates:
    """The environment by creative (N,): true CTR; purchases and clicks of the log; mean price."""

    ctr: Floats
    purchases: Floats
    clicks: Floats
    price: Floats

    @property
    def cvr(self) -> Floats:
        """Purchases of a click, drawn to the shop's mean where clicks are few."""
        mean = self.purchases.sum() / self.clicks.sum()
        return np.asarray((self.purchases + CVR_PRIOR * mean) / (self.clicks + CVR_PRIOR))


Verdicts = Mapping[int, Sequence[tuple[int, int, float]]]


def ab_test(
    lesson: Lesson,
    rates: Rates,
    scorer: Scorer,
    config: TrialConfig,
    verdicts: Verdicts | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Play every policy on the held-out products; `compare`'s table by policy.

    `verdicts` are pairs of places by the product's number in `lesson.products`.
    """
    fit_rows, _, rows = divide(lesson.products, lesson.shown, config.split_seed)
    if verdicts is not None:
        rows = rows[np.isin(lesson.products[rows], list(verdicts))]
        if not len(rows):
            raise InputError("no verdict is of a held-out product; `ctr pairs` names what to judge")
    names, products = np.unique(lesson.products[rows], return_inverse=True)
    price = np.bincount(products, rates.price[rows]) / np.bincount(products)
    world = Environment.of(products, rates.ctr[rows], rates.cvr[rows], price)
    seen = lesson.seen.take(rows)
    logit = scorer.newcomer.logit(seen, lesson.words[rows])
    prior = scorer.calibrator(1 / (1 + np.exp(-logit)))
    axes = VisualEncoder.off_the_shelf(lesson.seen, FEATURES, fit_rows).embed(lesson.seen)[rows]
    features = np.concatenate([np.ones((len(rows), 1)), logit[:, None], axes], axis=1)
    table = world.spread(prior, products)
    policies: dict[str, Policy] = {
        "random": Random(),
        "greedy": Greedy(),
        "epsilon-greedy": EpsilonGreedy(),
        "thompson": Thompson(),
        "linucb": LinUCB(world.spread(features, products)),
        "visual only": Fixed(table),
        "visual + thompson": Thompson(table.clip(1e-4, 1), scorer.calibrator.strength),
    }
    if verdicts is not None:
        base = float(lesson.clicks[fit_rows].sum() / lesson.shown[fit_rows].sum())
        place = _local(verdicts, lesson.products, rows, names)
        by_verdict = prior_of_verdicts(place, world.valid, base)
        policies["selector + thompson"] = Thompson(by_verdict, config.verdict_strength)
    policies["oracle"] = Fixed(world.ctr)
    runs = {}
    for name, policy in policies.items():
        runs[name] = play(policy, world, config.impressions, config.runs, config.seed)
        progress(f"{name}: CTR {runs[name].ctr.mean():.4f}")
    return {
        "products": len(names),
        "creatives": len(rows),
        "judged_products": len(place) if verdicts is not None else 0,
        "policies": compare(runs),
    }


def _local(verdicts: Verdicts, products: Ints, rows: Ints, names: Ints) -> Verdicts:
    """Verdicts by held-out product number, their places among that product's held-out rows."""
    whole = places_of(products)
    new = {
        (int(products[row]), int(whole[row])): int(place)
        for row, place in zip(rows, places_of(products[rows]), strict=True)
    }
    found: dict[int, list[tuple[int, int, float]]] = {}
    for number, name in enumerate(names):
        for a, b, p in verdicts.get(int(name), ()):
            if (int(name), a) in new and (int(name), b) in new:
                found.setdefault(number, []).append((new[int(name), a], new[int(name), b], p))
    return found
