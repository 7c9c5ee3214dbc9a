"""Write pairs of a shop's held-out creatives, for a judge whose verdicts become a prior.

    creative4u ctr pairs WORLD --out pairs.jsonl

The creatives of a product stand in a ring, in a drawn order, and neighbours are a pair: as many
pairs as creatives, each creative in two of them, none apart from the others (our choice: what
Bradley-Terry needs at the least). Rows are CreativePair rows without labels.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from creative4u.ctr.cold_start.fit import divide, top_queries
from creative4u.ctr.log.fields import Fields
from creative4u.ctr.log.shop import Shop, count_cells
from creative4u.errors import InputError
from creative4u.files.pairs_file import PairRow, read_pairs


def pairs_to_judge(
    shop: Shop,
    fields: Fields,
    days: tuple[int, int],
    products: int,
    folder: Path,
    seed: int = 7,
    taught: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Pairs of so many of the products that `teach.divide` holds out; paths relative to `folder`.

    `seed` is the scorer's, which names the held-out products; it draws which of them come first.
    `taught` are ids of products that the judge was taught on: it would know the answer there.
    """
    cells = count_cells(shop, fields, days)
    shown = np.bincount(cells.creative, cells.shown, len(shop.images)).astype(float)
    numbers = np.unique(shop.products, return_inverse=True)[1]
    held_out = divide(numbers, shown, seed)[2]
    rng = np.random.default_rng([seed, 67])
    asked = top_queries(shop, cells)
    rows: list[dict[str, Any]] = []
    for product in rng.permutation(np.unique(numbers[held_out])):
        mine = held_out[numbers[held_out] == product]
        order = rng.permutation(mine).tolist()
        if not products or str(shop.products[mine[0]]) in taught:
            continue
        products -= 1
        words = [shop.queries[query] for query in asked[product]] if shop.queries else []
        for one, other in ring(order):
            rows.append({
                "pair_id": f"{shop.products[one]}-{shop.creative_ids[one]}-"
                           f"{shop.creative_ids[other]}",
                "product_id": str(shop.products[one]),
                "product_title": shop.titles[one],
                "queries": words,
                "image_a": os.path.relpath(shop.images[one], folder),
                "image_b": os.path.relpath(shop.images[other], folder),
            })  # fmt: skip
    return rows


def taught_products(pairs: Path) -> set[str]:
    """The product ids of a judge's own pairs (JSONL), those of the split "test" left out.

    Raises InputError where it is no such file, or names no products.
    """
    rows = [row for row in read_pairs(pairs) if isinstance(row, PairRow)]
    if not any(row.product_id for row in rows):
        raise InputError(f"{pairs}: no file of pairs with product_id")
    return {row.product_id for row in rows if row.split != "test"}


def ring(rows: list[int]) -> Iterator[tuple[int, int]]:
    """Neighbours, the last with the first; one pair of two, none of one."""
    yield from pairwise(rows)
    if len(rows) > 2:
        yield rows[-1], rows[0]
