"""Remove exposure bias from visual features by a contrastive loss (S3).

S3 of arXiv 2205.04168: inside the CTR model the visual feature is adjusted by
contrasting high-impression items with selected lower-impression ones. The form is our choice: the
adjustment is a residual network g; the pair of a head creative is the nearest low-impression
creative of its class that is clicked as it is (both above their class's median attraction, or both
below: corrected for position); the loss is InfoNCE between g(z_head) and g(z_tail), the batch's
pairs of other classes or of the other side being the negatives; the CTR model is trained on
L = BCE + weight * L_S3. So what the image of a much shown creative has taught carries over to those
little shown, in the direction of clicks.
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

    weight: float = 0.002  # lambda of L = BCE + lambda L_S3; chosen on validation days
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

    def __init__(self, width: int, inner: int = 16) -> None:
        super().__init__()
        self.first = nn.Linear(width, inner)
        self.second = nn.Linear(inner, width)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, z: Tensor) -> Tensor:
        """(..., width) to (..., width)."""
        adjusted: Tensor = z + self.second(self.first(z).relu())
        return adjusted


@dataclass(frozen=True)
class Pairs:
    """M pairs of S3: creative numbers `head` and `tail`, and the `group` of each pair, all (M,).

    Pairs of one group (a class and a side of its median attraction) are no negatives of each other.
    """

    head: Ints
    tail: Ints
    group: Ints

    def __len__(self) -> int:
        return len(self.head)


def debias_loss(
    head: Tensor, tail: Tensor, temperature: float, group: Tensor | None = None
) -> Tensor:
    """InfoNCE over cosines: each head row against its own tail row, tails of other groups negative.

    Args:
        head: (B, D) adjusted features of high-impression creatives.
        tail: (B, D) those of their low-impression partners, row by row.
        temperature: above 0.
        group: (B,) of each pair; None: each is a group of its own.

    Returns:
        The mean of -log softmax of the own pair; 0 where there is nothing to tell it apart from.
    """
    a, b = nn.functional.normalize(head, dim=-1), nn.functional.normalize(tail, dim=-1)
    scores = a @ b.T / temperature  # (B, B)
    if group is not None:
        own = torch.eye(len(a), dtype=torch.bool, device=a.device)
        scores = scores.masked_fill((group[:, None] == group) & ~own, float("-inf"))
    return nn.functional.cross_entropy(scores, torch.arange(len(a), device=a.device))


def head_tail_pairs(
    features: Floats,
    shown: Ints,
    attraction: NDArray[np.float64],
    classes: Ints,
    config: DebiasConfig,
) -> Pairs:
    """Which head creative is contrasted with which tail creative.

    Args:
        features: (N, D) visual features; a row of zeros has no image and is left out.
        shown: (N,) impressions in the training log.
        attraction: (N,) CTRs of the training log, corrected for position.
        classes: (N,) the class (category) of each creative.
        config: the shares that count as head and tail, each within its own class.

    Returns:
        For each head creative the tail creative with the largest cosine of those that are of its
        class and on its side of the class's median attraction; heads without one are left out.
    """
    lengths = np.linalg.norm(features, axis=1)
    unit = features / np.maximum(lengths, 1e-9)[:, None]
    empty = np.empty(0, np.int64)
    found: list[tuple[Ints, Ints, Ints]] = [(empty, empty, empty)]
    for number, name in enumerate(np.unique(classes)):
        mine = np.flatnonzero((classes == name) & (lengths > 0))
        order = mine[np.argsort(-shown[mine], kind="stable")]  # most shown first
        first, last = int(len(mine) * config.head), int(len(mine) * config.tail)
        if not first or not last:
            continue
        good = attraction >= np.median(attraction[mine])
        for side in (False, True):
            head, tail = (part[good[part] == side] for part in (order[:first], order[-last:]))
            if len(head) and len(tail):
                near = tail[(unit[head] @ unit[tail].T).argmax(axis=1)]
                found.append((head, near, np.full(len(head), 2 * number + side)))
    return Pairs(*(np.concatenate(part) for part in zip(*found, strict=True)))
