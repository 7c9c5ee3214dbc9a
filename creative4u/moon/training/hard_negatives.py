"""Choose which pairs and negatives a training step draws.

The sampling of MOON's second post-training step (arXiv 2511.11305): hard negatives are other items
of the same category; of an item's positive queries the least similar one is used; categories are
re-balanced to their exposure. SKU merging is in `catalogue.items`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class HardSampling(nn.Module):
    """Step two's selection of pairs and hard negatives, as buffers that a checkpoint holds."""

    kept: Tensor
    hard: Tensor
    done: Tensor

    def __init__(self, pairs: int, items: int, hard: int) -> None:
        super().__init__()
        self.register_buffer("kept", torch.ones(pairs, dtype=torch.long))
        self.register_buffer("hard", torch.full((items, hard), -1))
        self.register_buffer("done", torch.tensor(False))


def hard_negatives(
    vectors: Floats, categories: Sequence[str], keys: Sequence[int], count: int
) -> Ints:
    """Rows (N, count) of each item's nearest items of its category, other products only.

    Where a category has too few, the nearest of any category follow; -1 where none is left.

    Args:
        vectors: (N, D) unit vectors.
        categories: (N,) of the items.
        keys: (N,) product numbers, SKUs merged.
        count: how many for each item.
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
    """Row numbers of each item's pair with the lowest cosine, in the order of the items.

    `pairs` (P, 2) are query row and item row; an item without a pair has none here.
    """
    similarity = (queries[pairs[:, 0]] * items[pairs[:, 1]]).sum(axis=1)
    order = np.lexsort((similarity, pairs[:, 1]))  # by item, the least similar first
    _, first = np.unique(pairs[order, 1], return_index=True)
    return order[first].astype(np.int64)


def exposure_weights(categories: Sequence[str], exposure: Ints, of_items: Ints) -> Floats:
    """Sampling probabilities (S,) that draw categories in proportion to their exposure.

    Args:
        categories: (N,) of the items.
        exposure: (N,) impressions of the items.
        of_items: (S,) each sample's item row.

    Returns:
        (S,) probabilities that sum to 1: by category its share of impressions, evenly inside it.
        A category without impressions is not drawn.
    """
    names, kind = np.unique(np.asarray(categories), return_inverse=True)
    impressions = np.bincount(kind, weights=exposure, minlength=len(names))
    samples = np.bincount(kind[of_items], minlength=len(names))
    each = np.divide(impressions, samples, out=np.zeros(len(names)), where=samples > 0)[
        kind[of_items]
    ]
    if each.sum() <= 0:
        raise ValueError("no sample's category has impressions")
    return np.asarray(each / each.sum(), np.float32)
