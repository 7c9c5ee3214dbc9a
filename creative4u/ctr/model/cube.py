"""Extract three interests from a user's behaviour and their similarities (MOON's CUBE).

The content-based user behaviour extractor of arXiv 2511.11305. With r the
multimodal and e the ID embedding, and s_b = cos(r_target, r_b) for each behaviour b:

    content interest  r' = sum_b W(s_b) r_b
    fusion interest   e' = sum_b W(s_b) e_b
    ID interest       cross-attention of the target's ID over the ID sequence

W is ours to choose: softmax(s / temperature) over the behaviours that are there, with a learned
temperature. An empty behaviour gives zeros, never a nan.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class IdInterest(nn.Module):
    """Cross-attention of the target's ID embedding over the behaviour's; one head.

    (K s) . (Q t) = s . (K' Q t) and sum_b w_b V s_b = V sum_b w_b s_b: keys and values are applied
    once a row, not once a behaviour: the same numbers, fewer products.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        for part in (self.query, self.key, self.value):
            nn.init.eye_(part.weight)

    def forward(self, target: Tensor, sequence: Tensor, there: Tensor) -> Tensor:
        """(B, E), (B, K, E) and the mask (B, K) to (B, E)."""
        asked = self.query(target) @ self.key.weight  # (B, E)
        scores = (sequence * asked[:, None]).sum(-1)  # (B, K)
        weight = masked_softmax(scores / math.sqrt(target.shape[-1]), there)
        found: Tensor = self.value(weighted_sum(weight, sequence))
        return found


class Cube(nn.Module):
    """Content, fusion and similarity parts; the ID interest stands beside (`IdInterest`)."""

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))

    def forward(
        self, target: Tensor, sequence: Tensor, ids: Tensor, there: Tensor, query: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What CUBE adds to the CTR predictor's input.

        Args:
            target: (B, D) the target's multimodal embedding.
            sequence: (B, K, D) those of the behaviour items.
            ids: (B, K, E) the ID embeddings of the behaviour items.
            there: (B, K) False where the sequence is padding or an item has no embedding.
            query: (B, D) the query's embedding in the same space; zeros where unknown.

        Returns:
            content interest (B, D), fusion interest (B, E), s_b (B, K; 0 where not there) and
            cos(query, target) (B, 1).
        """
        unit = nn.functional.normalize
        similarity = (unit(sequence, dim=-1) * unit(target, dim=-1)[:, None]).sum(-1)  # (B, K)
        similarity = similarity * there
        weight = masked_softmax(similarity / self.log_temperature.exp(), there)  # (B, K)
        near = (unit(query, dim=-1) * unit(target, dim=-1)).sum(-1, keepdim=True)
        return weighted_sum(weight, sequence), weighted_sum(weight, ids), similarity, near


def masked_softmax(scores: Tensor, there: Tensor) -> Tensor:
    """Softmax over the last axis where `there`; a row with nothing there is all zeros."""
    hidden = scores.masked_fill(~there, torch.finfo(scores.dtype).min)
    return hidden.softmax(dim=-1) * there


def weighted_sum(weight: Tensor, rows: Tensor) -> Tensor:
    """(B, K) and (B, K, D) to (B, D)."""
    return (weight[:, :, None] * rows).sum(dim=1)  # twice as fast as (1, K) @ (K, D), B times
