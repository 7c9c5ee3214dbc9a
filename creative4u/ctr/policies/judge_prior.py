"""Turn a judge's verdicts into a prior CTR for every creative (Bradley-Terry strengths).

A CTR's logit is the base rate's plus the creative's Bradley-Terry strength among its product's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from creative4u.bradley_terry import fit_strengths
from creative4u.errors import InputError

Floats = NDArray[np.float64]
PRECISION = 0.5  # of the Gaussian prior on a strength


def read_verdicts(
    verdicts: Path, pairs: Path, places: Mapping[str, tuple[int, int]]
) -> dict[int, list[tuple[int, int, float]]]:
    """Rows of `creative4u judge` and the pairs file they judge, by product.

    Args:
        verdicts: JSONL with pair_id and probability_a; rows with an error are left out.
        pairs: JSONL with pair_id, image_a and image_b.
        places: an image's last two path parts ("p00001/03.jpg") to (product, place).

    Raises:
        InputError: a file that cannot be read, or no verdict on a known pair of one product.
    """
    try:
        sides = {
            row["pair_id"]: (places.get(_key(row["image_a"])), places.get(_key(row["image_b"])))
            for row in map(json.loads, pairs.read_text("utf-8").splitlines())
        }
        judged = [json.loads(line) for line in verdicts.read_text("utf-8").splitlines()]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{verdicts} or {pairs}: {error}") from error
    found: dict[int, list[tuple[int, int, float]]] = {}
    for row in judged:
        one, other = sides.get(row.get("pair_id"), (None, None))
        if "probability_a" not in row or one is None or other is None or one[0] != other[0]:
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


def _key(image: str) -> str:
    return "/".join(Path(image).parts[-2:])
