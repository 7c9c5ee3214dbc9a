"""Compute the circle loss of positive and negative similarities (arXiv 2002.10857)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def circle_loss(
    positives: Tensor, negatives: Tensor, margin: float = 0.25, gamma: float = 32.0
) -> Tensor:
    """log(1 + sum_j exp(g a_n (s_n - m)) * sum_i exp(-g a_p (s_p - 1 + m))), equation 6.

    a_p = max(1 + m - s_p, 0) and a_n = max(s_n + m, 0) weigh each similarity by its distance from
    its optimum; they carry no gradient.

    Args:
        positives: (B, P) cosines with the query's positives.
        negatives: (B, N) cosines with its negatives; -inf marks one to leave out.
        margin: m.
        gamma: g, the scale.

    Returns:
        (B,) losses.
    """
    counted = torch.isfinite(negatives)
    negatives = negatives.masked_fill(~counted, 0.0)
    pace_p = (1 + margin - positives.detach()).clamp_min(0)
    pace_n = (negatives.detach() + margin).clamp_min(0)
    logit_p = -gamma * pace_p * (positives - 1 + margin)
    logit_n = (gamma * pace_n * (negatives - margin)).masked_fill(~counted, float("-inf"))
    return nn.functional.softplus(logit_p.logsumexp(dim=1) + logit_n.logsumexp(dim=1))
