"""Train a visual embedding on frozen appearance vectors: S1 and S2 of arXiv 2205.04168.

The encoder is a small trainable head on frozen DINOv2-S poolings (`appearance`), so that a CPU
trains it in a minute. arXiv 2205.04168:

The head starts as the whitened principal axes of the poolings, which is the off-the-shelf baseline.

S1: an image's augmentation is its positive, 1 - cosine. Alone that has a trivial solution (all
images equal), so each batch is whitened before (W-MSE, arXiv 2007.06346: our choice): what can
still be learnt is which directions of the poolings outlast an augmentation.
S2: InfoNCE supervised by clicks: a creative clicked for a query against another one clicked for
the same query, negatives from a class-aware pool (`click_pairs`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from creative4u.backbone.appearance import POOLINGS, Appearance
from creative4u.backbone.vision import WIDTH
from creative4u.ctr.visual.click_pool import ClickPool

Floats = NDArray[np.float32]
SHRINKAGE = 1e-4  # of a covariance towards a round one, so that few rows do no harm


@dataclass(frozen=True)
class VisualConfig:
    """Our choice throughout; seconds on one CPU core."""

    width: int = 64
    temperature: float = 0.2
    s1_steps: int = 200
    s1_batch: int = 256  # images, twice as many views; well above `width`, which is whitened
    s2_steps: int = 300
    batch: int = 128
    negatives: int = 96
    learning_rate: float = 1e-3
    dropout: float = 0.3
    seed: int = 7


class VisualEncoder(nn.Module):
    """Pooled DINOv2 vectors (N, 5, 384) to embeddings (N, width), each of length 1."""

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH, elementwise_affine=False)
        self.drop = nn.Dropout(dropout)
        self.project = nn.Linear(len(POOLINGS) * WIDTH, width)

    def forward(self, pooled: Tensor) -> Tensor:
        """(N, 5, 384) to (N, width)."""
        return nn.functional.normalize(self.turn(self.flat(pooled)), dim=-1)

    def flat(self, pooled: Tensor) -> Tensor:
        """(N, 5, 384) to (N, 1920), each pooling normalised; nothing trained: done once a run."""
        flat: Tensor = self.norm(pooled).flatten(1)
        return flat

    def turn(self, flat: Tensor) -> Tensor:
        """(N, 1920) to (N, width) of any length. Dropout takes features, the same of a whole batch.

        So it falls on the weights, not on every row: a batch of thousands of negatives is mostly
        random numbers otherwise.
        """
        kept = self.drop(torch.ones(flat.shape[1]))
        return nn.functional.linear(flat, self.project.weight * kept, self.project.bias)

    @classmethod
    @torch.no_grad()
    def off_the_shelf(
        cls, seen: Appearance, width: int, rows: NDArray[np.int64], dropout: float = 0.0
    ) -> VisualEncoder:
        """The baseline: poolings on the whitened principal axes of `rows`, nothing learnt.

        Where the rows span less than `width`, the axes that are left stay random.
        """
        encoder = cls(width, dropout)
        flat = encoder.flat(torch.from_numpy(np.asarray(seen.pooled, np.float32)[rows]))
        mean = flat.mean(dim=0)
        _, scale, axes = torch.linalg.svd(flat - mean, full_matrices=False)
        count = min(width, int((scale > 1e-4 * scale[:1]).sum()))
        deviation = scale[:count, None] / np.sqrt(len(rows))
        encoder.project.weight[:count] = axes[:count] / deviation
        encoder.project.bias.copy_(-encoder.project.weight @ mean)
        return encoder

    @torch.inference_mode()
    def embed(self, seen: Appearance) -> Floats:
        """(N, width) of N images, in evaluation mode."""
        was = self.training
        self.eval()
        vectors: Floats = self(torch.from_numpy(np.asarray(seen.pooled, np.float32))).numpy()
        self.train(was)
        return vectors


def whiten(rows: Tensor) -> Tensor:
    """(N, D) at mean 0 and covariance 1, whatever linear map they came through."""
    centred = rows - rows.mean(dim=0)
    covariance = centred.T @ centred / (len(rows) - 1)  # (D, D)
    ridge = SHRINKAGE * covariance.diagonal().mean() * torch.eye(len(covariance))
    lower = torch.linalg.cholesky(covariance + ridge)
    white: Tensor = torch.linalg.solve_triangular(lower, centred.T, upper=False).T
    return white


def agreement_loss(one: Tensor, other: Tensor) -> Tensor:
    """S1: the mean of 1 - cos(one, other) over rows, both (B, D)."""
    return (1 - nn.functional.cosine_similarity(one, other, dim=-1)).mean()


def click_loss(anchor: Tensor, positive: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """S2: InfoNCE of each anchor with its positive against its own negatives.

    Args:
        anchor: (B, D) of length 1.
        positive: (B, D).
        negatives: (B, M, D).
        temperature: above 0.

    Returns:
        mean of -log( e^(a.p/T) / (e^(a.p/T) + sum_m e^(a.n_m/T)) ).
    """
    near = (anchor * positive).sum(-1, keepdim=True)  # (B, 1)
    far = (negatives @ anchor[:, :, None])[..., 0]  # (B, M)
    scores = torch.cat([near, far], dim=1) / temperature
    return nn.functional.cross_entropy(scores, torch.zeros(len(anchor), dtype=torch.long))


def train_s1(
    encoder: VisualEncoder, seen: Appearance, augmented: Appearance, config: VisualConfig
) -> list[float]:
    """Train on the two views of every image, in place; the losses by step."""
    views = [_flat(encoder, one) for one in (seen, augmented)]

    def loss(rng: np.random.Generator) -> Tensor:
        rows = rng.choice(len(seen), min(config.s1_batch, len(seen)), replace=False)
        both = torch.cat([view[torch.from_numpy(rows)] for view in views])
        one, other = whiten(encoder.turn(both)).chunk(2)
        return agreement_loss(one, other)

    return _descend(encoder, loss, config.s1_steps, config)


def train_s2(
    encoder: VisualEncoder, seen: Appearance, pool: ClickPool, config: VisualConfig
) -> list[float]:
    """Train on click pairs of `pool`, in place; the losses by step."""
    whole = _flat(encoder, seen)

    def loss(rng: np.random.Generator) -> Tensor:
        anchor, positive, negative = pool.draw(config.batch, config.negatives, rng)
        rows, back = np.unique(
            np.concatenate([anchor, positive, negative.ravel()]), return_inverse=True
        )
        turned = encoder.turn(whole[torch.from_numpy(rows)])
        z = nn.functional.normalize(turned, dim=-1)[torch.from_numpy(back)]
        first, second = len(anchor), 2 * len(anchor)
        far = z[second:].view(*negative.shape, -1)
        return click_loss(z[:first], z[first:second], far, config.temperature)

    return _descend(encoder, loss, config.s2_steps, config)


@torch.no_grad()
def _flat(encoder: VisualEncoder, seen: Appearance) -> Tensor:
    return encoder.flat(torch.from_numpy(np.asarray(seen.pooled, np.float32)))


def _descend(
    encoder: VisualEncoder,
    loss: Callable[[np.random.Generator], Tensor],
    steps: int,
    config: VisualConfig,
) -> list[float]:
    rng = np.random.default_rng([config.seed, steps])
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=config.learning_rate, weight_decay=1e-2)
    encoder.train()
    losses = []
    for _ in range(steps):
        value = loss(rng)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(value.detach()))
    encoder.eval()
    return losses
