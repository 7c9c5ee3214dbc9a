"""Unit vectors in, their first dimensions as unit vectors out (arXiv 2205.13147)."""

from __future__ import annotations

from torch import Tensor, nn

from creative4u.errors import InputError


def truncate(vectors: Tensor, dim: int) -> Tensor:
    """The first `dim` dimensions of (..., D), normalised anew; raises InputError."""
    if not 0 < dim <= vectors.shape[-1]:
        raise InputError(f"dim is 1 to {vectors.shape[-1]}, not {dim}")
    return nn.functional.normalize(vectors[..., :dim], dim=-1)


def matryoshka(vectors: Tensor, dims: tuple[int, ...]) -> list[Tensor]:
    """(..., D) unit vectors to one set of unit vectors for each of `dims`."""
    return [truncate(vectors, dim) for dim in dims]
