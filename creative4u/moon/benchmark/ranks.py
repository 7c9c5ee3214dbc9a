"""Similarities and what is right in, ranks and recalls out.

A query may have several positives; its rank is that of the best one. A tie counts against the
query: whatever is no positive and scores at least as high stands before it.
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
    """The place of each query's best positive, from 1.

    Args:
        scores: (Q, G) similarities, higher is nearer.
        positive: (Q, G) bool, at least one a query.
        excluded: (Q, G) bool, gallery rows that do not exist for a query: the query itself.
    """
    table = np.array(scores, dtype=float)
    right = np.asarray(positive, dtype=bool)
    if excluded is not None:
        gone = np.asarray(excluded, dtype=bool)
        table[gone] = -np.inf
        right = right & ~gone
    if not right.any(axis=1).all():
        raise ValueError("every query needs a positive in the gallery")
    best = np.where(right, table, -np.inf).max(axis=1, keepdims=True)
    return np.asarray(1 + ((table >= best) & ~right).sum(axis=1), np.int64)


def recalls(rank: npt.ArrayLike, gallery: int, ks: Sequence[int] = KS) -> dict[str, float]:
    """{"R@1": .., "R@5": .., "R@10": .., "gallery": rows, "queries": n} from ranks (Q,)."""
    found = {f"R@{k}": round(recall_at_k(rank, k), 4) for k in ks}
    return found | {"gallery": gallery, "queries": int(np.size(rank))}
