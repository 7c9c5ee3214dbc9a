"""Select pairs of creatives that pass the filter, overall and query by query.

The paper's filter: both over `min_impressions`, CTRs more than `min_gap` apart; beside it the
two-proportion test. The winner by smoothed CTR comes first. DuckDB does the work.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from creative4u.metrics import CTR_PRIOR
from data.creative_pair.mining.significance import critical_z


@dataclass(frozen=True)
class Filter:
    """What a pair must pass, and how many a product may give."""

    min_impressions: int = 1000
    min_gap: float = 0.6  # of the lower CTR
    max_p: float = 0.05  # 1 switches the test off
    per_product: int = 24
    min_query_impressions: int = 150  # for pairs that the queries decide, which have less data
    max_query_p: float = 0.005
    query_pairs_per_product: int = 3


@dataclass(frozen=True)
class Candidate:
    """A pair that passed; `better` is clicked more. `query` is "" for all queries together."""

    product_id: str
    better: str
    worse: str
    query: str
    clicks: tuple[int, int]
    impressions: tuple[int, int]


_CTR = f"(clicks + {CTR_PRIOR[0]}) / (impressions + {CTR_PRIOR[0]} + {CTR_PRIOR[1]})"


def _compare(cells: str, keys: str, limits: str) -> str:
    """SQL that joins `cells` with itself by `keys` and keeps ordered pairs within `limits`."""
    return f"""
    SELECT {keys}, x.creative_id AS better, y.creative_id AS worse,
           x.clicks AS better_clicks, y.clicks AS worse_clicks,
           x.impressions AS better_shown, y.impressions AS worse_shown,
           (x.clicks + y.clicks) / (x.impressions + y.impressions) AS pooled,
           (x.clicks / x.impressions - y.clicks / y.impressions)
           / sqrt(pooled * (1 - pooled) * (1 / x.impressions + 1 / y.impressions)) AS z
    FROM {cells} x JOIN {cells} y USING ({keys})
    WHERE x.creative_id <> y.creative_id AND x.ctr > y.ctr AND {limits}"""


def creative_cells(base: duckdb.DuckDBPyConnection, min_impressions: int) -> list[tuple[str, str]]:
    """Make table `cells`, one row a creative over the threshold; return (product, creative)."""
    base.execute(f"""CREATE OR REPLACE TABLE cells AS
        SELECT product_id, creative_id, sum(impressions)::DOUBLE AS impressions,
               sum(clicks)::DOUBLE AS clicks, {_CTR.replace('clicks', 'sum(clicks)')
               .replace('impressions', 'sum(impressions)')} AS ctr
        FROM counts GROUP BY ALL HAVING sum(impressions) > {min_impressions}""")
    rows = base.execute("SELECT product_id, creative_id FROM cells ORDER BY ALL").fetchall()
    return [(product, creative) for product, creative in rows]


def main_pairs(base: duckdb.DuckDBPyConnection, rule: Filter, seed: int) -> list[Candidate]:
    """Pairs over all queries, at most `per_product` of each product, drawn by `seed`."""
    limits = f"x.ctr - y.ctr > {rule.min_gap} * y.ctr"
    rows = base.execute(f"""
        SELECT product_id, better, worse, '', better_clicks::BIGINT, worse_clicks::BIGINT,
               better_shown::BIGINT, worse_shown::BIGINT
        FROM ({_compare('cells', 'product_id', limits)}) WHERE z >= {critical_z(rule.max_p)}
        QUALIFY row_number() OVER (PARTITION BY product_id ORDER BY
            md5('{seed}:' || product_id || ':' || least(better, worse) || ':' ||
                greatest(better, worse))) <= {rule.per_product}
        ORDER BY ALL""").fetchall()
    return [_candidate(row) for row in rows]


def query_pairs(base: duckdb.DuckDBPyConnection, rule: Filter, seed: int) -> list[Candidate]:
    """Pairs whose CTRs turn round between two queries; they come in twos, one for each query."""
    base.execute(f"""CREATE OR REPLACE TABLE query_cells AS
        SELECT product_id, creative_id, query, impressions::DOUBLE AS impressions,
               clicks::DOUBLE AS clicks, {_CTR} AS ctr
        FROM counts SEMI JOIN cells USING (product_id, creative_id)
        WHERE query IS NOT NULL AND impressions > {rule.min_query_impressions}""")
    limits = f"x.ctr - y.ctr > {rule.min_gap} * y.ctr"
    base.execute(f"""CREATE OR REPLACE TABLE decided AS
        SELECT * FROM ({_compare('query_cells', 'product_id, query', limits)})
        WHERE z >= {critical_z(rule.max_query_p)}""")
    rows = base.execute(f"""
        WITH turned AS (
            SELECT p.product_id, p.better AS one, p.worse AS other, p.query AS q1, q.query AS q2
            FROM decided p JOIN decided q
            ON p.product_id = q.product_id AND p.better = q.worse AND p.worse = q.better
            WHERE p.better < p.worse
            QUALIFY row_number() OVER (PARTITION BY p.product_id, p.better, p.worse
                                       ORDER BY least(p.z, q.z) DESC, q1, q2) = 1),
        kept AS (SELECT * FROM turned QUALIFY row_number() OVER (PARTITION BY product_id
            ORDER BY md5('{seed}:' || product_id || ':' || one || ':' || other))
            <= {rule.query_pairs_per_product})
        SELECT d.product_id, better, worse, query, better_clicks::BIGINT, worse_clicks::BIGINT,
               better_shown::BIGINT, worse_shown::BIGINT
        FROM decided d JOIN kept k ON d.product_id = k.product_id
        AND ((better = one AND worse = other AND query = q1)
             OR (better = other AND worse = one AND query = q2))
        ORDER BY ALL""").fetchall()
    return [_candidate(row) for row in rows]


def frequent_queries(base: duckdb.DuckDBPyConnection, count: int) -> dict[str, tuple[str, ...]]:
    """The `count` most frequent queries of each product, most frequent first."""
    rows = base.execute(f"""
        SELECT product_id, query FROM counts WHERE query IS NOT NULL
        GROUP BY product_id, query QUALIFY row_number() OVER (PARTITION BY product_id
            ORDER BY sum(impressions) DESC, query) <= {count}
        ORDER BY product_id, sum(impressions) DESC, query""").fetchall()
    found: dict[str, tuple[str, ...]] = {}
    for product, query in rows:
        found[product] = (*found.get(product, ()), query)
    return found


def _candidate(row: tuple[str, str, str, str, int, int, int, int]) -> Candidate:
    return Candidate(*row[:4], clicks=row[4:6], impressions=row[6:8])
