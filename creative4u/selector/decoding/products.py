"""Find products of matrices in which a row has the same bits whatever rows are beside it.

Which kernel multiplies a matrix, and in which order it sums, hangs on the CPU and on the number of
rows: AMX sums 33 rows otherwise than 32, float32 sums few rows otherwise than many. So a product is
cut into pieces of `least` to `most` rows and a shorter piece is padded; which bounds keep a row's
bits is tried once a process, on the shapes of the model. Where none do, rows are multiplied one by
one: the same shape every time, and so the same bits.

What is tried are products whose exact value is nought: what comes out is rounding alone, so that
another order of summing shows in all of it. The first way that holds is taken and none is timed:
a choice by time could be another one tomorrow, with other bits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear, pad

from creative4u.backbone.threads import running

Matmul = Callable[[Tensor, Tensor], Tensor]  # (rows, in), (out, in) -> (rows, out)
Shape = tuple[int, int]  # in, out
MOST = 512  # rows of a product: prompts are read by so many tokens
BOUNDS = ((2, MOST), (16, MOST), (32, 32), (16, 16), (8, 8))  # the fastest first
TRIED = (2, 3, 5, 8, 9, 16, 17, 31, 32, 33, 48, 63, 64, 65, 129, MOST)  # rows
WIDE = 4096  # columns from which a product is an output layer, which sees few rows
FEW = 64  # rows of such a product at most
TRIED_WIDE = (2, 8, 16, 17, 32, 33, FEW)
MOST_CALLS = 4  # calls side by side, which share the threads (`local.LocalBackend`)


@dataclass(frozen=True)
class Way:
    """The type of a product and the bounds of its rows."""

    dtype: torch.dtype
    least: int
    most: int

    def product(self, x: Tensor, weight: Tensor, matmul: Matmul = linear) -> Tensor:
        """(..., in) times (out, in) to (..., out), all of them of this way's type."""
        rows = x.reshape(-1, x.shape[-1])
        most = min(self.most, FEW) if len(weight) >= WIDE else self.most
        if self.least <= len(rows) <= most:
            return matmul(rows, weight).view(*x.shape[:-1], -1)
        parts = [
            matmul(pad(part, (0, 0, 0, max(0, self.least - len(part)))), weight)[: len(part)]
            for part in torch.split(rows, most)
        ]
        return torch.cat(parts).view(*x.shape[:-1], -1)


@functools.cache
def find_way(shapes: frozenset[Shape], dtype: torch.dtype, matmul: Matmul = linear) -> Way | None:
    """The fastest way of a type whose products keep a row's bits, or None."""
    for least, most in BOUNDS:
        if all(keeps_bits(shape, dtype, least, most, matmul) for shape in sorted(shapes)):
            return Way(dtype, least, most)
    return None


def keeps_bits(shape: Shape, dtype: torch.dtype, least: int, most: int, matmul: Matmul) -> bool:
    """Whether a row has one result in every place of pieces of `least` to `most` rows.

    On one thread, on all, and on the share of a call beside others.
    """
    row, weight = _vanishing(shape, dtype)
    tried = TRIED_WIDE if shape[1] >= WIDE else TRIED
    first = None
    for count in (count for count in tried if least <= count <= most):
        rows = row.expand(count, -1).contiguous()
        for threads in thread_counts():
            with running(threads):
                out = matmul(rows, weight)
            first = out[0] if first is None else first
            if not bool((out == first).all()):
                return False
    return True


def thread_counts() -> list[int]:
    """How many threads of torch a product may have here."""
    cores = torch.get_num_threads()
    return sorted({1, cores // min(cores, MOST_CALLS), cores})


def _vanishing(shape: Shape, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A row (1, in) and a weight (out, in) whose exact product is nought in every column."""
    inner, outer = shape
    draw = torch.Generator().manual_seed(0)
    half = torch.randn(1, inner // 2, generator=draw)
    side = torch.randn(min(outer, WIDE // 4), inner // 2, generator=draw)
    place = torch.randperm(inner // 2 * 2, generator=draw)
    row = torch.cat([half, -half], 1)[:, place].to(dtype)
    weight = torch.cat([side, side], 1)[:, place].to(dtype)
    return row, weight[torch.arange(outer) % len(weight)]


def shapes_of(weights: Sequence[Tensor]) -> frozenset[Shape]:
    """What products with these weights (out, in) are like."""
    return frozenset((weight.shape[1], weight.shape[0]) for weight in weights)
