"""Collect negatives over earlier steps and all processes.

Spatial-temporal negative sampling (MOON, arXiv 2511.11305). Temporal: a queue of the items of
earlier batches. Spatial: every batch is gathered over the processes first.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import Tensor, nn


class _Gather(torch.autograd.Function):
    """all_gather whose backward sums all processes' gradients for this process's rows.

    With losses averaged over processes (as DDP averages gradients), this is the gradient of one
    process with the joined batch.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.count = len(rows)
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].contiguous()
        dist.all_reduce(gradient)
        start = dist.get_rank() * ctx.count
        return gradient[start : start + ctx.count]


def gather_rows(rows: Tensor, accelerator: Accelerator) -> Tensor:
    """Gather rows (B, ...) of each process to (P * B, ...), by rank, with gradients.

    All processes must give the same number of rows.
    """
    if accelerator.num_processes == 1:
        return rows
    if rows.is_floating_point() and rows.requires_grad:
        result: Tensor = _Gather.apply(rows)  # type: ignore[no-untyped-call]
        return result
    everywhere: Tensor = accelerator.gather(rows)
    return everywhere


class NegativeQueue(nn.Module):
    """A ring buffer of item vectors without gradient and their product keys; -1 marks a free place.

    The buffers are checkpointed, so a resumed run has the same negatives.
    """

    vectors: Tensor
    keys: Tensor
    place: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        if size < 0:
            raise ValueError(f"got queue size {size}; 0 or more is needed")
        self.register_buffer("vectors", torch.zeros(size, dim))
        self.register_buffer("keys", torch.full((size,), -1))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))

    def negatives(self) -> tuple[Tensor, Tensor]:
        """The stored vectors (K, D) and keys (K,), K at most the size."""
        filled = self.keys >= 0
        return self.vectors[filled], self.keys[filled]

    @torch.no_grad()
    def push(self, vectors: Tensor, keys: Tensor) -> None:
        """Store rows (B, D) and keys (B,), overwriting the oldest."""
        size = len(self.keys)
        if not size:
            return
        vectors, keys = vectors[-size:], keys[-size:]
        places = (self.place + torch.arange(len(keys), device=keys.device)) % size
        self.vectors[places] = vectors.detach().to(self.vectors)
        self.keys[places] = keys.to(self.keys)
        self.place.copy_((self.place + len(keys)) % size)
