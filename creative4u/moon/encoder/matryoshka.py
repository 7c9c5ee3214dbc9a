"""Truncate unit vectors to their first dimensions and normalise again (arXiv 2205.13147)."""

from __future__ import annotations

from torch import Tensor, nn

from creative4u.errors import InputError


def truncate(vectors: Tensor, dim: int) -> Tensor:
    """The first `dim` dimensions of (..., D), normalised. Raises InputError."""
    if not 0 < dim <= vectors.shape[-1]:
        raise InputError(f"got dim {dim}; 1 to {vectors.shape[-1]} are allowed")
    return nn.functional.normalize(vectors[..., :dim], dim=-1)


def matryoshka(vectors: Tensor, dims: tuple[int, ...]) -> list[Tensor]:
    """Truncate (..., D) unit vectors to each of `dims`."""
    return [truncate(vectors, dim) for dim in dims]
