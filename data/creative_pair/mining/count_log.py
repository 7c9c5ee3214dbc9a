"""Count an impression log by product, creative and query.

DuckDB counts out of core, in one pass over what `creative4u.log_import` has opened. Bad rows are
counted beside the good ones; only where there are any is the log read a second time, for the
rejects file (see `refusals`). They stop nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from creative4u.errors import InputError
from creative4u.log_import.log import Log
from creative4u.log_import.numbers import quote


@dataclass(frozen=True)
class Limits:
    """What DuckDB may use; spills go to `spill`."""

    memory: str = "2GB"
    threads: int = 2
    spill: Path = Path("spill")


def connect(limits: Limits) -> duckdb.DuckDBPyConnection:
    """An in-memory database that keeps to its limits; raises InputError on a wrong memory limit."""
    limits.spill.mkdir(parents=True, exist_ok=True)
    base = duckdb.connect()
    try:
        base.execute(f"SET memory_limit = {quote(limits.memory)}")
    except duckdb.Error as error:
        raise InputError(f"got a memory limit of {limits.memory!r}; give one like 2GB") from error
    base.execute(f"SET threads = {limits.threads}")
    base.execute(f"SET temp_directory = {quote(str(limits.spill))}")
    base.execute("SET preserve_insertion_order = false")
    base.execute("SET enable_progress_bar = false")  # it would be drawn into standard output
    return base


def count_sql(log: Log) -> str:
    """The one pass over the log: good rows summed by key, and how many rows were refused."""
    good = f"FILTER ({log.good_row()})"
    shown = f"sum({log.number('impressions')})" if log.summed else "count(*)"
    clicks = f"sum({log.number('clicks' if log.summed else 'click')})"
    return f"""SELECT {_keys(log)}, {shown} {good} AS impressions, {clicks} {good} AS clicks,
        count(*) - count(*) {good} AS refused FROM {log.source} GROUP BY ALL"""


def bare_sql(log: Log) -> str:
    """The bare aggregation that counting is measured against: no row is looked at twice or kept."""
    shown = f"sum({log.column('impressions')})" if log.summed else "count(*)"
    clicks = f"sum({log.column('clicks' if log.summed else 'click')})"
    return (f"SELECT {_keys(log)}, {shown}::BIGINT AS impressions, {clicks}::BIGINT AS clicks "
            f"FROM {log.source} GROUP BY ALL")


def _keys(log: Log) -> str:
    keys = ("product_id", "creative_id", "query")
    return ", ".join(f"{log.text(name)} AS {name}" for name in keys if name in log.columns)


def count_log(base: duckdb.DuckDBPyConnection, log: Log) -> None:
    """Make table `counts` (product_id, creative_id, query, impressions, clicks, refused), ids as
    text; groups without a single good row have NULL counts. Raises InputError on a broken file.
    """
    query = "query::VARCHAR" if "query" in log.columns else "NULL::VARCHAR"
    try:
        base.execute(f"""CREATE OR REPLACE TABLE counts AS
            SELECT product_id::VARCHAR AS product_id, creative_id::VARCHAR AS creative_id,
                   {query} AS query, impressions::BIGINT AS impressions, clicks::BIGINT AS clicks,
                   refused::BIGINT AS refused FROM ({count_sql(log)})""")
    except duckdb.Error as error:
        raise InputError(f"the log cannot be read: {str(error).splitlines()[0]}") from error
