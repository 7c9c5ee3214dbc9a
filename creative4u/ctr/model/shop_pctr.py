"""Compute every creative's pCTR in a shop, with the impressions behind it.

A creative's rate is the mean over the queries that its product was shown for, by their share of
impressions, in the first place, for a shopper unknown.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from creative4u.ctr.log.shop import Shop, count_cells
from creative4u.ctr.model.predictor import Predictor
from creative4u.ctr.model.rank_candidates import LEVEL, rate_candidates
from creative4u.errors import InputError


def shop_rates(predictor: Predictor, shop: Shop, days: tuple[int, int]) -> list[dict[str, Any]]:
    """A row a creative of the shop's images, in their order.

    Each row: creative_id, product_id, pctr, interval, impressions (in training), and the log's own
    count on `days`: shown, clicks. Creatives without an impression on `days` are rated under the
    queries of their product; products without any are left out.
    """
    if predictor.calibrator is None:
        raise InputError("the model is not calibrated; run `creative4u ctr calibrate` first")
    cells = count_cells(shop, predictor.fields, days)
    products = np.unique(shop.products, return_inverse=True)[1]
    size = max(len(shop.query_ids), 1)
    asked = np.where(cells.query < 0, size, cells.query)  # the last column: no known query
    share = np.zeros((int(products.max()) + 1, size + 1))
    np.add.at(share, (products[cells.creative], asked), cells.shown)
    item = _items(shop, predictor, days)
    creative, query = np.nonzero(share[products])  # R pairs
    weight = share[products[creative], query]
    names = [*shop.query_ids.tolist(), None]
    p = np.empty(len(creative))
    shown = np.zeros(len(products))
    for number in np.unique(query):
        rows = np.flatnonzero(query == number)
        mine = creative[rows]
        found = rate_candidates(
            predictor, [item.get(int(products[one])) for one in mine], shop.creative_ids[mine],
            names[number],
        )  # fmt: skip
        p[rows], shown[mine] = found.pctr, found.impressions
    total = np.bincount(creative, weight, len(products))
    known = np.flatnonzero(total > 0)
    mean = np.bincount(creative, p * weight, len(products))[known] / total[known]
    low, high = predictor.calibrator.interval(mean, shown[known], LEVEL)
    counted = [np.bincount(cells.creative, part, len(products))[known]
               for part in (cells.shown, cells.clicks)]  # fmt: skip
    return [
        {"creative_id": shop.creative_ids[row].item(), "product_id": str(shop.products[row]),
         "pctr": float(a), "interval": [float(b), float(c)], "impressions": int(shown[row]),
         "shown": int(d), "clicks": int(e)}
        for row, a, b, c, d, e in zip(known, mean, low, high, *counted, strict=True)
    ]  # fmt: skip


def _items(shop: Shop, predictor: Predictor, days: tuple[int, int]) -> dict[int, Any]:
    """The log's own product id of each product number of the shop."""
    import duckdb

    fields = predictor.fields
    item, creative = (fields.ids[fields.place(name)].column for name in ("item", "creative"))
    source = str(shop.log / "*.parquet") if shop.log.is_dir() else str(shop.log)
    table = duckdb.execute(
        f"""SELECT "{creative}", any_value("{item}") FROM read_parquet(?)
            WHERE "{fields.day}" >= ? AND "{fields.day}" < ? GROUP BY 1""",
        [source, *days],
    ).fetchall()
    place = {one: row for row, one in enumerate(shop.creative_ids.tolist())}
    products = np.unique(shop.products, return_inverse=True)[1]
    return {int(products[place[one]]): own for one, own in table if one in place}
