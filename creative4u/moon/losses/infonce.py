"""Compute the InfoNCE loss of queries against positives and negatives (arXiv 1807.03748)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def info_nce(
    query: Tensor,
    positive: Tensor,
    negatives: Tensor | None = None,
    temperature: float = 0.07,
    keys: Tensor | None = None,
    negative_keys: Tensor | None = None,
    own: Tensor | None = None,
) -> Tensor:
    """-log( exp(q.p / T) / sum over candidates exp(q.c / T) ) for every query.

    Args:
        query: (B, D) unit vectors.
        positive: (C, D) unit vectors, the candidates. Query b's positive is row `own[b]` (default
            b); the others are in-batch negatives.
        negatives: (K, D) further negatives for all queries (the queue), or (B, K, D) for each.
        temperature: T.
        keys: (C,) the product of each candidate. Other rows of the query's own product are left
            out.
        negative_keys: (K,) or (B, K), the same for `negatives`.
        own: (B,) rows of `positive`.

    Returns:
        (B,) losses in nats.
    """
    rows = torch.arange(len(query), device=query.device) if own is None else own
    scores = query @ positive.T / temperature  # (B, C)
    if keys is not None:
        same = keys[None] == keys[rows][:, None]  # (B, C)
        itself = torch.arange(len(positive), device=query.device)[None] == rows[:, None]
        scores = scores.masked_fill(same & ~itself, float("-inf"))
    if negatives is not None and negatives.numel():
        shape = "bd,kd->bk" if negatives.ndim == 2 else "bd,bkd->bk"
        more = torch.einsum(shape, query, negatives) / temperature  # (B, K)
        if keys is not None and negative_keys is not None:
            wide = negative_keys if negative_keys.ndim == 2 else negative_keys[None]
            more = more.masked_fill(wide == keys[rows][:, None], float("-inf"))
        scores = torch.cat([scores, more], dim=1)
    return nn.functional.cross_entropy(scores, rows, reduction="none")
