"""Visual features in, the same with exposure bias taken off out; S3's loss beside it.

S3 of arXiv 2205.04168 (PAPERS, section 4): inside the CTR model the visual feature is adjusted by
contrasting high-impression items with selected lower-impression ones. The form is our choice: the
adjustment is a residual network g; the pair of a head creative is the nearest low-impression
creative of its class; the loss is InfoNCE between g(z_head) and g(z_tail), the other pairs of the
batch being the negatives; the CTR model is trained on L = BCE + weight * L_S3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from creative4u.errors import InputError

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class DebiasConfig:
    """`head` and `tail` are the shares of creatives with most and fewest impressions."""

    weight: float = 0.01  # lambda of L = BCE + lambda L_S3
    temperature: float = 0.2
    head: float = 0.3
    tail: float = 0.3
    pairs: int = 128  # drawn for each training step

    def __post_init__(self) -> None:
        if not (0 < self.head < 1 and 0 < self.tail < 1 and self.head + self.tail <= 1):
            raise InputError(
                f"head {self.head} and tail {self.tail} are shares, together at most 1"
            )
        if self.temperature <= 0:
            raise InputError(f"the temperature is above 0, not {self.temperature}")


class DebiasNetwork(nn.Module):
    """g(z) = z + W2 relu(W1 z); W2 starts at 0, so that training starts from the plain feature."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, z: Tensor) -> Tensor:
        """(..., width) to (..., width)."""
        adjusted: Tensor = z + self.second(self.first(z).relu())
        return adjusted


def debias_loss(head: Tensor, tail: Tensor, temperature: float) -> Tensor:
    """InfoNCE over cosines: each head row against its own tail row, all other tails negative.

    Args:
        head: (B, D) adjusted features of high-impression creatives.
        tail: (B, D) those of their nearest low-impression creatives, row by row.
        temperature: above 0.

    Returns:
        The mean of -log softmax of the own pair; 0 for B = 1, where there is nothing to tell apart.
    """
    a, b = nn.functional.normalize(head, dim=-1), nn.functional.normalize(tail, dim=-1)
    scores = a @ b.T / temperature  # (B, B)
    return nn.functional.cross_entropy(scores, torch.arange(len(a), device=a.device))


def head_tail_pairs(
    features: Floats, shown: Ints, classes: Ints, config: DebiasConfig
) -> tuple[Ints, Ints]:
    """Which head creative is contrasted with which tail creative.

    Args:
        features: (N, D) visual features; a row of zeros has no image and is left out.
        shown: (N,) impressions in the training log.
        classes: (N,) the class (category) of each creative.
        config: the shares that count as head and tail, each within its own class.

    Returns:
        (head rows, tail rows), one entry for each head creative whose class has a tail: the tail
        creative of the same class with the largest cosine.
    """
    lengths = np.linalg.norm(features, axis=1)
    unit = features / np.maximum(lengths, 1e-9)[:, None]
    heads, tails = [], []
    for name in np.unique(classes):
        mine = np.flatnonzero((classes == name) & (lengths > 0))
        order = mine[np.argsort(-shown[mine], kind="stable")]  # most shown first
        first, last = int(len(mine) * config.head), int(len(mine) * config.tail)
        if not first or not last:
            continue
        head, tail = order[:first], order[-last:]
        heads.append(head)
        tails.append(tail[(unit[head] @ unit[tail].T).argmax(axis=1)])
    if not heads:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate(heads), np.concatenate(tails)
