"""Read from a shop's impression log what was bought, and what was shown but not clicked.

Positives are purchases. The negative of a query is an item that was shown for it often and hardly
ever clicked (low-relevance exposure, MOON2.0, arXiv 2511.12449). DuckDB aggregates out of core.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from creative4u.errors import InputError

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Behaviour:
    """Purchases by (query, product), products shown but not clicked, and impressions."""

    queries: tuple[str, ...]  # by query id
    bought: Ints  # (P, 2) query id, product number
    purchases: Ints  # (P,)
    not_clicked: dict[int, tuple[int, ...]]  # query id -> products, lowest click rate first
    exposure: Ints  # (products,) impressions


def read_behaviour(
    folder: Path,
    products: int,
    min_impressions: int = 20,
    max_not_clicked: int = 20,
    min_purchases: int = 1,
    min_purchase_share: float = 0.0,
) -> Behaviour:
    """Aggregate the log of a shop (`creative4u data world`).

    Args:
        folder: the shop.
        products: how many products it has.
        min_impressions: of a (query, product) pair, before it counts as not clicked (our choice).
        max_not_clicked: products kept for a query.
        min_purchases: of a pair, before it counts as bought: a single one may be chance.
        min_purchase_share: of the purchases of the query's most bought product (our choices).

    Raises:
        InputError: there is no log.
    """
    log = folder / "log"
    if not any(log.glob("*.parquet")):
        raise InputError(f"no log in {folder}: log/*.parquet is missing")
    files = str(log / "*.parquet")
    with duckdb.connect() as base:
        base.execute("set threads = 1")
        texts = base.execute(
            "select text from read_parquet(?) order by query_id", [str(folder / "queries.parquet")]
        ).fetchall()
        pairs = base.execute(
            "select query_id, product_id, count(*), sum(click), sum(purchase) "
            "from read_parquet(?) group by 1, 2 order by 1, 2",
            [files],
        ).fetchnumpy()
    query, product, impressions, clicks, purchases = (
        np.asarray(c, np.int64) for c in pairs.values()
    )
    exposure = np.bincount(product, weights=impressions, minlength=products).astype(np.int64)
    most = np.zeros(len(texts), np.int64)
    np.maximum.at(most, query, purchases)
    kept = (purchases >= max(1, min_purchases)) & (purchases >= min_purchase_share * most[query])
    not_clicked: dict[int, list[int]] = {}
    rate = clicks / np.maximum(impressions, 1)
    for row in np.lexsort((product, rate, query)):
        found = not_clicked.setdefault(int(query[row]), [])
        if (
            impressions[row] >= min_impressions
            and not purchases[row]
            and len(found) < max_not_clicked
        ):
            found.append(int(product[row]))
    return Behaviour(
        queries=tuple(text for (text,) in texts),
        bought=np.stack([query[kept], product[kept]], axis=1),
        purchases=purchases[kept],
        not_clicked={one: tuple(rows) for one, rows in not_clicked.items() if rows},
        exposure=exposure,
    )
