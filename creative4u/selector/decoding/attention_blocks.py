"""Find blocks of queries in which attention over a KV cache keeps a query's bits."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import product

import torch
from torch.nn.functional import scaled_dot_product_attention

from creative4u.backbone.threads import running
from creative4u.selector.decoding.products import thread_counts

SIZES = (2, 4, 6, 8)  # of blocks, where this CPU multiplies few rows as it does more
REACH = 64  # keys by which a row's attention grows


@functools.cache
def block_sizes(group: int) -> tuple[int, ...]:
    """Blocks of queries in which a query's attention has the same bits, in each size and place.

    Which kernel multiplies few rows hangs on the CPU, so it is tried, on as many threads as a
    call may have. Blocks of one query have one size and one place.
    """
    return next((sizes for sizes in (SIZES, SIZES[-1:]) if _keep_bits(group, sizes)), (1,))


def _keep_bits(group: int, sizes: Sequence[int]) -> bool:
    draw = torch.Generator().manual_seed(0)
    for end in (REACH, 5 * REACH, 7 * REACH):
        query, key, value = (
            torch.randn(1, 3, count, 64, generator=draw) for count in (group, end, end)
        )
        first = None
        for size, threads in product(sizes, thread_counts()):
            seen = torch.zeros(group * size, end)
            with running(threads):  # (1, 3, group * size, 64)
                out = scaled_dot_product_attention(
                    query.repeat(1, 1, size, 1), key, value, attn_mask=seen
                )
            first = out[:, :, :group] if first is None else first
            if not torch.equal(out, first.repeat(1, 1, size, 1)):
                return False
    return True
