"""A shop's impression log in, what was asked, bought and passed over out.

Purchases only make positives; the negative of a query is an item that was shown for it often and
hardly ever clicked (low-relevance exposure, arXiv 2511.12449). Aggregated out of core by DuckDB.
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
    """Bought (query, product) pairs and how often; each query's passed-over products; exposure."""

    queries: tuple[str, ...]  # by query id
    bought: Ints  # (P, 2) query id, product number
    purchases: Ints  # (P,)
    passed: dict[int, tuple[int, ...]]  # query id -> products, the least clicked first
    exposure: Ints  # (products,) impressions


def read_behaviour(
    folder: Path,
    products: int,
    least_shown: int = 20,
    most_passed: int = 20,
    least_bought: int = 1,
    bought_share: float = 0.0,
) -> Behaviour:
    """The log under `folder` (a shop as `creative4u data world` writes it).

    `least_shown` impressions make a pair's click rate worth believing. A purchase may be chance: a
    pair counts as bought from `least_bought` purchases on, if they are `bought_share` of those of
    the query's most bought product (our choices). Raises InputError where there is no log.
    """
    log = folder / "log"
    if not any(log.glob("*.parquet")):
        raise InputError(f"{folder} holds no log (log/*.parquet)")
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
    query, product, shown, clicks, purchases = (np.asarray(c, np.int64) for c in pairs.values())
    exposure = np.bincount(product, weights=shown, minlength=products).astype(np.int64)
    most = np.zeros(len(texts), np.int64)
    np.maximum.at(most, query, purchases)
    kept = (purchases >= max(1, least_bought)) & (purchases >= bought_share * most[query])
    passed: dict[int, list[int]] = {}
    rate = clicks / np.maximum(shown, 1)
    for row in np.lexsort((product, rate, query)):
        found = passed.setdefault(int(query[row]), [])
        if shown[row] >= least_shown and not purchases[row] and len(found) < most_passed:
            found.append(int(product[row]))
    return Behaviour(
        queries=tuple(text for (text,) in texts),
        bought=np.stack([query[kept], product[kept]], axis=1),
        purchases=purchases[kept],
        passed={one: tuple(rows) for one, rows in passed.items() if rows},
        exposure=exposure,
    )
