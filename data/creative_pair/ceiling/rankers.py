"""Train simple rankers on feature rows of both creatives.

Every ranker scores one creative at a time and compares the scores, so that exchanging A and B
exchanges its choice: its AA and CA are the same number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Floats = NDArray[np.float32]
Score = Callable[[Floats], Floats]  # (N, D) -> (N,)


@dataclass(frozen=True)
class Fit:
    """How a ranker is trained; the step with the best validation accuracy is kept."""

    hidden: int = 0  # 0: a linear score
    steps: int = 600
    batch: int = 256
    rate: float = 2e-3
    decay: float = 3e-2
    dropout: float = 0.3
    every: int = 50
    seed: int = 7


@dataclass(frozen=True)
class Sides:
    """Features of both sides (N, D) and whether A is the label (N,)."""

    a: Floats
    b: Floats
    label_a: NDArray[np.bool_]

    def accuracy(self, score: Score) -> float:
        """The share of pairs whose higher score is the label; a tie counts one half."""
        gap = score(self.a) - score(self.b)
        return float(np.mean(np.where(gap == 0, 0.5, (gap > 0) == self.label_a)))


def fit_pairwise(train: Sides, validation: Sides, fit: Fit) -> Score:
    """Logistic loss on the difference of the scores (RankNet)."""
    label = torch.from_numpy(train.label_a.astype(np.float32))

    def loss(model: nn.Module, scale: Callable[[Floats], torch.Tensor],
             rows: NDArray[np.int64]) -> torch.Tensor:
        gap = model(scale(train.a[rows])) - model(scale(train.b[rows]))  # (B, 1)
        return nn.functional.binary_cross_entropy_with_logits(gap[:, 0], label[rows])

    return _train(np.concatenate([train.a, train.b]), len(train.a), loss, validation, fit)


def fit_pointwise(rows: Floats, ctr: Floats, weight: Floats, validation: Sides,
                  fit: Fit) -> Score:
    """Regress each creative's smoothed CTR (N,), weighted by impressions: VAM's visual prior."""
    target, heavy = torch.from_numpy(ctr), torch.from_numpy(weight / weight.mean())

    def loss(model: nn.Module, scale: Callable[[Floats], torch.Tensor],
             chosen: NDArray[np.int64]) -> torch.Tensor:
        return nn.functional.binary_cross_entropy_with_logits(
            model(scale(rows[chosen]))[:, 0] - 3.0, target[chosen], weight=heavy[chosen])

    return _train(rows, len(rows), loss, validation, fit)


def _train(seen: Floats, count: int, loss: Callable[..., torch.Tensor], validation: Sides,
           fit: Fit) -> Score:
    torch.manual_seed(fit.seed)
    rng = np.random.default_rng(fit.seed)
    mean, spread = seen.mean(0), seen.std(0) + 1e-6
    width = seen.shape[1]
    model: nn.Module = nn.Linear(width, 1) if not fit.hidden else nn.Sequential(
        nn.Linear(width, fit.hidden), nn.GELU(), nn.Dropout(fit.dropout), nn.Linear(fit.hidden, 1))

    def scale(rows: Floats) -> torch.Tensor:
        return torch.from_numpy(((rows - mean) / spread).astype(np.float32))

    def score(rows: Floats) -> Floats:
        model.eval()
        with torch.inference_mode():
            return np.asarray(model(scale(rows))[:, 0].numpy())

    optimiser = torch.optim.AdamW(model.parameters(), fit.rate, weight_decay=fit.decay)
    best, kept = -1.0, {name: value.clone() for name, value in model.state_dict().items()}
    for step in range(1, fit.steps + 1):
        model.train()
        optimiser.zero_grad()
        loss(model, scale, rng.integers(count, size=min(fit.batch, count))).backward()
        optimiser.step()
        if step % fit.every == 0 and (found := validation.accuracy(score)) > best:
            best, kept = found, {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(kept)
    return score
