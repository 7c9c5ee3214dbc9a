"""Ways of multiplying, on products whose bits are known to change: the ones that hold are found."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear

from creative4u.selector.decoding.products import MOST, Way, find_way, keeps_bits

SHAPES = frozenset({(64, 24), (96, 32)})


def changed(out: Tensor) -> Tensor:
    """The smallest change that a type knows."""
    return torch.nextafter(out, torch.full_like(out, 9.0))


def exact(rows: Tensor, weight: Tensor) -> Tensor:
    """A product that sums in one order, whatever the number of rows."""
    sums = [(weight.float() * row.float()).sum(1) for row in rows]
    return torch.stack(sums).to(rows.dtype)


def like_tiles(rows: Tensor, weight: Tensor) -> Tensor:
    """AMX as it was measured: from 33 rows on a row has other bits."""
    out = exact(rows, weight)
    return changed(out) if len(rows) > 32 else out


def few_otherwise(rows: Tensor, weight: Tensor) -> Tensor:
    """float32 as it was measured: few rows are summed in another order."""
    out = exact(rows, weight)
    return changed(out) if len(rows) < 12 else out


def by_place(rows: Tensor, weight: Tensor) -> Tensor:
    """The last row of a product that is not whole blocks of four rounds otherwise."""
    out = exact(rows, weight)
    if len(rows) % 4:
        out[-1] = changed(out[-1])
    return out


class Restless:
    """No two products are alike: nothing to build on."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, rows: Tensor, weight: Tensor) -> Tensor:
        self.calls += 1
        return exact(rows, weight) + self.calls


def even_in_float32(rows: Tensor, weight: Tensor) -> Tensor:
    """bfloat16 that never comes out the same, beside float32 that does."""
    out = exact(rows, weight)
    return out + torch.rand_like(out) if rows.dtype is torch.bfloat16 else out


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize(
    ("matmul", "bounds"),
    [
        (exact, (2, MOST)), (few_otherwise, (16, MOST)), (by_place, (32, 32)),
        (like_tiles, (32, 32)),
    ],
)  # fmt: skip
def test_the_fastest_bounds_that_hold_are_found(
    matmul: object, bounds: tuple[int, int], dtype: torch.dtype
) -> None:
    assert find_way(SHAPES, dtype, matmul) == Way(dtype, *bounds)  # type: ignore[arg-type]


def test_where_nothing_holds_no_bounds_are_found() -> None:
    assert find_way(SHAPES, torch.bfloat16, Restless()) is None


def test_pieces_within_the_bounds_keep_what_a_whole_product_changes() -> None:
    draw = torch.Generator().manual_seed(3)
    x, weight = torch.randn(100, 64, generator=draw), torch.randn(48, 64, generator=draw)
    true = exact(x, weight)
    assert not torch.equal(like_tiles(x, weight), true)
    way = Way(torch.float32, 32, 32)
    for count in (1, 2, 31, 32, 33, 100):
        got = way.product(x[:count], weight, like_tiles)
        assert torch.equal(got, true[:count])
    assert way.product(x.view(4, 25, 64), weight, like_tiles).shape == (4, 25, 48)
    sizes: list[int] = []

    def noted(rows: Tensor, weight: Tensor) -> Tensor:
        sizes.append(len(rows))
        return linear(rows, weight)

    way.product(x, weight, noted)
    Way(torch.float32, 16, 64).product(x[:70], weight, noted)
    assert sizes == [32] * 4 + [64, 16]


def test_a_change_of_order_shows_in_products_that_vanish() -> None:
    """The same products with their columns summed the other way round from 9 rows on."""

    def turned(rows: Tensor, weight: Tensor) -> Tensor:
        if len(rows) < 9:
            return exact(rows, weight)
        return exact(rows.flip(1), weight.flip(1))

    for dtype in (torch.bfloat16, torch.float32):
        assert keeps_bits((576, 24), dtype, 2, 8, exact)
        assert keeps_bits((576, 24), dtype, 2, 8, turned)
        assert not keeps_bits((576, 24), dtype, 2, 9, turned)
