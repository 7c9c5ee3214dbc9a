"""A judge's verdicts over pairs in, a prior CTR for every creative out: Bradley-Terry by hand.

The strengths maximise the likelihood of the verdicts' probabilities, with a Gaussian prior that
keeps unbeaten creatives finite; CTRs are the base rate shifted by the strengths, on logits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from creative4u.errors import InputError
from creative4u.files.verdict_file import join

Floats = NDArray[np.float64]
ROUNDS = 50
PULL = 0.5  # precision of the Gaussian prior on a strength


def strengths(pairs: Sequence[tuple[int, int, float]], count: int) -> Floats:
    """Verdicts (a, b, P(a is clicked)) over `count` creatives to strengths (count,), mean 0.

    Newton steps on sum log-likelihood - PULL / 2 * |strength|^2.
    """
    s = np.zeros(count)
    if not pairs:
        return s
    a, b = (np.array([pair[k] for pair in pairs], np.int64) for k in (0, 1))
    p = np.array([pair[2] for pair in pairs])
    for _ in range(ROUNDS):
        expected = 1 / (1 + np.exp(s[b] - s[a]))
        wins = np.bincount(a, p - expected, count) - np.bincount(b, p - expected, count)
        gradient = wins - PULL * s
        curve = expected * (1 - expected)
        hessian = PULL * np.eye(count)
        for row, column, sign in ((a, a, 1), (b, b, 1), (a, b, -1), (b, a, -1)):
            np.add.at(hessian, (row, column), sign * curve)
        step = np.linalg.solve(hessian, gradient)
        s = s + step
        if np.abs(step).max() < 1e-9:
            break
    return np.asarray(s - s.mean())


def verdicts_by_product(
    verdicts: Path, pairs: Path, places: Mapping[str, tuple[int, int]]
) -> dict[int, list[tuple[int, int, float]]]:
    """Rows of `creative4u judge` and the pairs file they judge, by product.

    Args:
        verdicts: what `creative4u judge` wrote; rows with an error are left out.
        pairs: the file that was judged (`verdict_file.join`).
        places: an image's last two path parts ("p00001/03.jpg") to (product, place).

    Raises:
        InputError: a file that cannot be read, or no verdict on a known pair of one product.
    """
    found: dict[int, list[tuple[int, int, float]]] = {}
    for row, pair in join(verdicts, pairs):
        if pair is None or row.get("error"):
            continue
        one, other = places.get(_key(pair.image_a)), places.get(_key(pair.image_b))
        if one is None or other is None or one[0] != other[0]:
            continue
        found.setdefault(one[0], []).append((one[1], other[1], float(row["probability_a"])))
    if not found:
        raise InputError(f"{verdicts}: no verdict on a pair of {pairs} whose images are known")
    return found


def prior_of_verdicts(
    verdicts: Mapping[int, Sequence[tuple[int, int, float]]], valid: NDArray[np.bool_], base: float
) -> Floats:
    """(P, K) prior CTRs; products without a verdict get the base rate throughout."""
    logit = np.full(valid.shape, np.log(base / (1 - base)))
    for product, pairs in verdicts.items():
        logit[product] += strengths(pairs, valid.shape[1])
    return np.asarray(1 / (1 + np.exp(-logit)))


def _key(image: Path) -> str:
    return "/".join(image.parts[-2:])
