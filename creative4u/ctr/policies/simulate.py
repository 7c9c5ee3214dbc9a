"""Simulate an online A/B test on a world's true rates: CTR, CVR, RPM, regret and lifts.

The truth is the environment and the yardstick only: a policy sees counts, features and priors,
never a rate (the oracle apart). Every policy meets the same number of impressions of each product;
CTR, CVR and RPM are those expected of the creatives it showed, so that only its choices vary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creative4u.ctr.policies.policies import Policy

Floats = NDArray[np.float64]
REFERENCES = ("random", "greedy", "thompson")


@dataclass(frozen=True)
class Environment:
    """P products with up to K creatives: all (P, K), `price` (P,)."""

    ctr: Floats
    cvr: Floats  # purchases of a click
    price: Floats
    valid: NDArray[np.bool_]

    @classmethod
    def of(
        cls, products: NDArray[np.int64], ctr: Floats, cvr: Floats, price: Floats
    ) -> Environment:
        """From one row a creative: product row, CTR and CVR (N,); and prices (P,)."""
        place = places_of(products)
        shape = (int(products.max()) + 1, int(place.max()) + 1)
        table = np.zeros((2, *shape))
        valid = np.zeros(shape, bool)
        table[:, products, place] = ctr, cvr
        valid[products, place] = True
        return cls(table[0], table[1], price, valid)

    def spread(self, values: Floats, products: NDArray[np.int64]) -> Floats:
        """One row a creative (N, ...) to (P, K, ...), zeros where there is none."""
        table = np.zeros((*self.valid.shape, *values.shape[1:]))
        table[products, places_of(products)] = values
        return table


def places_of(products: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of each creative among those of its product, in the order of rows."""
    order = np.argsort(products, kind="stable")
    ranked = products[order]
    place = np.empty(len(products), np.int64)
    place[order] = np.arange(len(products)) - np.searchsorted(ranked, ranked)
    return place


@dataclass(frozen=True)
class Run:
    """One policy in S runs of luck: expected CTR, CVR, RPM (S,) and regret (S, checkpoints)."""

    ctr: Floats
    cvr: Floats
    rpm: Floats  # revenue of a thousand impressions
    regret: Floats  # (S, checkpoints) clicks lost against the oracle so far, an impression's mean


def play(
    policy: Policy,
    world: Environment,
    impressions: int,
    runs: int,
    seed: int,
    checkpoints: int = 10,
) -> Run:
    """Show `impressions` of each product, in `runs` independent worlds of luck."""
    rng = np.random.default_rng([seed, 61])
    shape = (runs, *world.valid.shape)
    shown, clicks = np.zeros(shape), np.zeros(shape)
    rows = np.arange(runs)[:, None]
    products = np.arange(shape[1])[None]
    top = np.where(world.valid, world.ctr, 0).max(axis=1)  # (P,)
    total = {name: np.zeros(runs) for name in ("clicks", "buys", "revenue")}
    lost, curve = np.zeros(runs), []
    for step in range(impressions):
        chosen = policy.choose(shown, clicks, world.valid, rng)  # (S, P)
        rate = world.ctr[products, chosen]
        clicked = rng.random(rate.shape) < rate
        shown[rows, products, chosen] += 1
        clicks[rows, products, chosen] += clicked
        policy.learn(chosen, clicked)
        buys = rate * world.cvr[products, chosen]
        total["clicks"] += rate.mean(axis=1)
        total["buys"] += buys.mean(axis=1)
        total["revenue"] += (buys * world.price).mean(axis=1)
        lost += (top - rate).mean(axis=1)
        if (step + 1) * checkpoints // impressions > step * checkpoints // impressions:
            curve.append(lost / (step + 1))
    return Run(
        total["clicks"] / impressions,
        total["buys"] / total["clicks"],
        1000 * total["revenue"] / impressions,
        np.stack(curve, axis=1),
    )


def compare(runs: Mapping[str, Run]) -> dict[str, Any]:
    """A row a policy: means, and lifts of the CTR over REFERENCES with their 95 % intervals.

    The interval is that of the mean over runs: 1.96 standard errors of the runs' own lifts.
    """
    table = {}
    for name, run in runs.items():
        row: dict[str, Any] = {
            "ctr": float(run.ctr.mean()),
            "cvr": float(run.cvr.mean()),
            "rpm": float(run.rpm.mean()),
            "regret": [float(value) for value in run.regret.mean(axis=0)],
        }
        for reference in REFERENCES:
            if reference in runs:
                lift = run.ctr / runs[reference].ctr - 1
                error = 1.96 * float(lift.std(ddof=1)) / np.sqrt(len(lift)) if len(lift) > 1 else 0
                mean = float(lift.mean())
                row[f"lift_over_{reference}"] = [mean, mean - float(error), mean + float(error)]
        table[name] = row
    return table
