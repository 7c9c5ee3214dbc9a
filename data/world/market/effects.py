"""Define what a creative's facts add to the click's logit, by factor and category.

The truth of the world (our choice throughout): only `data.world` and the evaluation of ceilings
may know these numbers; training reads images and logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WEIGHTS: dict[str, tuple[float, float]] = {  # factor -> mean effect, spread over categories
    "size": (1.5, 0.3),
    "whole": (0.8, 0.2),
    "useful_text": (0.55, 0.15),
    "long_text": (-0.9, 0.2),
    "cover": (-1.1, 0.2),
    "clutter": (-0.9, 0.2),
    "dark": (-1.0, 0.25),
    "blur": (-1.1, 0.2),
    "props": (0.0, 0.6),  # helps some categories, hurts others
    "frame": (-0.15, 0.15),
    "stand_out": (0.9, 0.2),
    "wrong": (-1.8, 0.2),
    "dark_stand_out": (0.5, 0.1),  # a dark scene hurts less where the product shines in it
    "clutter_size": (0.4, 0.1),  # a large subject drowns in clutter less
}
FACTORS = tuple(WEIGHTS)
CHANCE = 0.12  # standard deviation of what no fact explains
MATCH = 1.25  # logit for a creative that says or shows what the query asks for


@dataclass(frozen=True)
class Effects:
    """The effect of each factor in each category, (C, F)."""

    table: Floats


def draw_effects(categories: int, seed: int) -> Effects:
    """Effects of every category; a factor with a sign keeps it in all of them."""
    rng = np.random.default_rng([seed, 13])
    mean, spread = np.array(list(WEIGHTS.values())).T
    table = mean + spread * rng.standard_normal((categories, len(FACTORS)))
    signed = mean != 0
    table[:, signed] = np.sign(mean[signed]) * np.abs(table[:, signed])
    return Effects(table)


def saturate(share: Floats) -> Floats:
    """0 at 0, 1 at 1, and flat towards the end: the first half counts most."""
    return np.asarray((1 - np.exp(-3 * share)) / (1 - np.exp(-3)))


def features(facts: Mapping[str, Floats]) -> Floats:
    """The factors of each creative, (N, F). `useful` and `wrong` are 0/1 facts."""
    columns = {
        **{
            name: np.asarray(facts[name], float)
            for name in (
                "whole",
                "cover",
                "clutter",
                "dark",
                "blur",
                "props",
                "frame",
                "stand_out",
                "wrong",
            )
        },
        "size": saturate(np.asarray(facts["size"], float)),
        "useful_text": np.asarray(facts["useful"], float) * (1 - np.asarray(facts["cover"], float)),
        "long_text": np.clip(np.asarray(facts["text"], float) - 0.55, 0, None) / 0.45,
    }
    columns["dark_stand_out"] = columns["dark"] * columns["stand_out"]
    columns["clutter_size"] = columns["clutter"] * columns["size"]
    return np.stack([columns[name] for name in FACTORS], axis=1)


def attractiveness(
    facts: Mapping[str, Floats], category: Ints, effects: Effects, seed: int
) -> tuple[Floats, Floats]:
    """The creative's logit (N,), and each factor's part of it (N, F); the rest is chance."""
    parts = features(facts) * effects.table[category]
    chance = np.random.default_rng([seed, 17]).normal(0, CHANCE, len(parts))
    return parts.sum(axis=1) + chance, parts
