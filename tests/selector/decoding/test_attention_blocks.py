"""Blocks of queries, where attention rounds by the size or the place: what holds is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from torch import Tensor

from creative4u.selector.decoding import attention_blocks
from creative4u.selector.decoding.attention_blocks import SIZES, block_sizes

GROUP = 3


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    block_sizes.cache_clear()
    yield
    block_sizes.cache_clear()


def rounding(where: Callable[[int], slice]) -> Callable[..., Tensor]:
    """Attention whose rows `where(count)` of `count` come out a little larger."""

    def attention(query: Tensor, *_: Any, **__: Any) -> Tensor:
        out = query.clone()
        out[:, :, where(query.shape[2])] += 1e-7
        return out

    return attention


@pytest.mark.parametrize(
    ("where", "sizes"),
    [
        (lambda count: slice(0, 0), SIZES),
        (lambda count: slice(0, count if count <= 2 * GROUP else 0), SIZES[-1:]),  # few rows
        (lambda count: slice(count - 1, count), (1,)),  # the last row of any
    ],
)
def test_the_blocks_are_those_that_keep_bits(
    where: Callable[[int], slice], sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention_blocks, "scaled_dot_product_attention", rounding(where))
    assert block_sizes(GROUP) == sizes
