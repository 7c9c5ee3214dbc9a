"""Vectors, categories and counts in, which pairs and negatives a step trains on out.

The sampling of MOON's second post-training step (arXiv 2511.11305): hard negatives are other items
of the same category; for each item the least similar of its positive queries; categories are
re-balanced to the exposure distribution. SKU merging stands in `items`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def hard_negatives(
    vectors: Floats, categories: Sequence[str], keys: Sequence[int], count: int
) -> Ints:
    """(N, count) rows of each item's nearest others of its category but of another product.

    Where a category has too few, the nearest of any category follow; -1 where nothing is left.
    """
    kind, key = np.asarray(categories), np.asarray(keys)
    similarity = vectors @ vectors.T  # (N, N)
    similarity = np.where(kind[:, None] == kind[None], similarity + 4, similarity)
    similarity = np.where(key[:, None] == key[None], -np.inf, similarity)
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :count].astype(np.int64)
    order[~np.isfinite(np.take_along_axis(similarity, order, axis=1))] = -1
    missing = count - order.shape[1]
    return np.pad(order, ((0, 0), (0, max(missing, 0))), constant_values=-1)


def least_similar_positives(pairs: Ints, queries: Floats, items: Floats) -> Ints:
    """Of pairs (P, 2) of query row and item row: each item's pair of lowest cosine, by item.

    Returns the pairs' own row numbers, one for each item that has any, in the items' order.
    """
    similarity = (queries[pairs[:, 0]] * items[pairs[:, 1]]).sum(axis=1)
    order = np.lexsort((similarity, pairs[:, 1]))  # by item, the least similar first
    _, first = np.unique(pairs[order, 1], return_index=True)
    return order[first].astype(np.int64)


def exposure_weights(categories: Sequence[str], exposure: Ints, of_items: Ints) -> Floats:
    """How likely to draw each sample, (S,), so that categories come as they are shown.

    Args:
        categories: (N,) of the items.
        exposure: (N,) impressions of the items.
        of_items: (S,) each sample's item row.

    Returns:
        (S,) probabilities that sum to 1: by category the share of exposure, evenly inside it; a
        category that was never shown is not drawn.
    """
    names, kind = np.unique(np.asarray(categories), return_inverse=True)
    shown = np.bincount(kind, weights=exposure, minlength=len(names))
    samples = np.bincount(kind[of_items], minlength=len(names))
    each = np.divide(shown, samples, out=np.zeros(len(names)), where=samples > 0)[kind[of_items]]
    if each.sum() <= 0:
        raise ValueError("no sample's category was ever shown")
    return np.asarray(each / each.sum(), np.float32)
