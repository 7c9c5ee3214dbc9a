"""Turn a judge's verdicts into a prior CTR for every creative (Bradley-Terry strengths).

A CTR's logit is the base rate's plus the creative's Bradley-Terry strength among its product's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from creative4u.bradley_terry import fit_strengths
from creative4u.errors import InputError
from creative4u.files.verdict_file import join

Floats = NDArray[np.float64]
PRECISION = 0.5  # of the Gaussian prior on a strength


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
        logit[product] += fit_strengths(pairs, valid.shape[1], PRECISION)
    return np.asarray(1 / (1 + np.exp(-logit)))


def _key(image: Path) -> str:
    return "/".join(image.parts[-2:])
