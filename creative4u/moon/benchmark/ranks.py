"""Turn similarities into ranks and recalls.

A query may have several positives; its rank is the best one's. A tie counts against the query: a
non-positive with at least the same score stands before the positive.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from creative4u.metrics import recall_at_k

KS = (1, 5, 10)


def best_ranks(
    scores: npt.ArrayLike, positive: npt.ArrayLike, excluded: npt.ArrayLike | None = None
) -> npt.NDArray[np.int64]:
    """The rank (Q,) of each query's best positive, from 1.

    Args:
        scores: (Q, G) similarities, higher is nearer.
        positive: (Q, G) bool, at least one a query.
        excluded: (Q, G) bool, gallery rows left out for a query: the query itself.
    """
    table = np.array(scores, dtype=float)
    right = np.asarray(positive, dtype=bool)
    if excluded is not None:
        left_out = np.asarray(excluded, dtype=bool)
        table[left_out] = -np.inf
        right = right & ~left_out
    if not right.any(axis=1).all():
        raise ValueError("a query has no positive in the gallery; every query needs one")
    best = np.where(right, table, -np.inf).max(axis=1, keepdims=True)
    return np.asarray(1 + ((table >= best) & ~right).sum(axis=1), np.int64)


def recalls(rank: npt.ArrayLike, gallery: int, ks: Sequence[int] = KS) -> dict[str, float]:
    """Recalls of ranks (Q,): {"R@1", "R@5", "R@10", "gallery": rows, "queries": n}."""
    found = {f"R@{k}": round(recall_at_k(rank, k), 4) for k in ks}
    return found | {"gallery": gallery, "queries": int(np.size(rank))}
