"""Weigh triplets by how reliable their similarities are: dynamic sample filtering.

MOON2.0 (arXiv 2511.12449): phi = sigmoid(kappa (q.p - q.n - m)); m decays over training; triplets
with phi < 0.6 are down-weighted. The linear decay and the weight phi / 0.6 are our choices.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class FilterConfig:
    """kappa, the margin m at the start and the end of training, and the threshold of phi."""

    kappa: float = 10.0
    margin_start: float = 0.2
    margin_end: float = 0.0
    threshold: float = 0.6


def margin(progress: float, config: FilterConfig) -> float:
    """m at `progress` (0 start, 1 end of training)."""
    share = min(max(progress, 0.0), 1.0)
    return config.margin_start + (config.margin_end - config.margin_start) * share


def phi(positive: Tensor, negative: Tensor, progress: float, config: FilterConfig) -> Tensor:
    """The reliability (B,) in 0..1 of triplets with cosines q.p and q.n (B,)."""
    return torch.sigmoid(config.kappa * (positive - negative - margin(progress, config)))


def weights(positive: Tensor, negative: Tensor, progress: float, config: FilterConfig) -> Tensor:
    """Weights (B,) in 0..1: 1 from the threshold on, phi / threshold below; without gradient."""
    reliable = phi(positive, negative, progress, config).detach()
    return (reliable / config.threshold).clamp_max(1.0)
