"""Write an impression log, one Parquet file a day, resumable day by day.

Columns: day, user_id, query_id, product_id, creative_id, position, click, purchase, price.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.world.market.clicks import Market, draw_clicks
from data.world.market.effects import Ints
from data.world.market.exposure import policy_of_day


def write_log(
    market: Market,
    folder: Path,
    impressions: int,
    days: int,
    seed: int,
    progress: Callable[[str], None],
) -> Path:
    """Write `impressions` rows over `days`; days that are there already are kept.

    Each day's policy learns from the days before it, which are read back from the files: a run that
    was killed ends with the same bytes as one that was not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = len(market.attraction)
    shown, clicked = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for day in range(days):
        path = folder / f"day-{day:03d}.parquet"
        if not path.exists():
            rows = impressions * (day + 1) // days - impressions * day // days
            table = draw_day(market, shown, clicked, day, rows, seed)
            write_parquet(table, path)
            progress(f"log: day {day + 1} of {days}")
        else:
            table = pq.read_table(path, columns=["creative_id", "click"])
        creative = table["creative_id"].to_numpy()
        click = table["click"].to_numpy()
        shown += np.bincount(creative, minlength=count)
        clicked += np.bincount(creative, weights=click, minlength=count).astype(np.int64)
    return folder


def draw_day(
    market: Market, shown: Ints, clicked: Ints, day: int, rows: int, seed: int
) -> pa.Table:
    """One day's impressions; `shown` and `clicked` (N,) are what the policy has seen so far."""
    rng = np.random.default_rng([seed, 29, day])
    policy = policy_of_day(market.shelf, shown, clicked)
    user, query = market.people.draw(rng, rows)
    product, creative, position = policy.draw(query, rng)
    click, purchase = draw_clicks(market, user, query, product, creative, position, rng)
    price = np.exp(market.log_price)[product] * np.where(rng.random(rows) < 0.1, 0.9, 1.0)
    return pa.table(
        {
            "day": np.full(rows, day, np.int16),
            "user_id": user.astype(np.int32),
            "query_id": query.astype(np.int32),
            "product_id": product.astype(np.int32),
            "creative_id": creative.astype(np.int32),
            "position": position.astype(np.int8),
            "click": click.astype(np.int8),
            "purchase": purchase.astype(np.int8),
            "price": price.round(2).astype(np.float32),
        }
    )


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write whole or not at all: into a neighbour file first, then renamed."""
    part = path.with_suffix(".part")
    pq.write_table(table, part, compression="zstd")
    os.replace(part, path)
