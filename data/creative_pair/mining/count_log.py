"""Count an impression log by product, creative and query.

DuckDB reads the log once, out of core. A row is one impression (`click` 0 or 1) or a sum
(`impressions`, `clicks`). Bad rows are counted beside the good ones; only where there are any is
the log read a second time, for the rejects file (see `refusals`). They stop nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import duckdb

from creative4u.errors import InputError

ALIASES = {  # our name -> what public logs call it
    "product_id": ("product_id", "item_id", "product"),
    "creative_id": ("creative_id", "image", "image_id", "file_name"),
    "query": ("query", "query_id", "search_query"),
    "click": ("click", "clicked", "is_click"),
    "impressions": ("impressions", "exposures", "shows"),
    "clicks": ("clicks",),
}
KNOWN = {name for names in ALIASES.values() for name in names} | {
    "day", "date", "user_id", "position", "purchase", "price", "ctr", "title"}
WHOLE = {f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")} | {
    "INTEGER", "UINTEGER"}  # DuckDB's types of whole numbers


@dataclass(frozen=True)
class Log:
    """Where the log is and what its columns are called; `summed` says rows carry impressions."""

    source: str  # the table function of DuckDB that reads it
    columns: dict[str, str]  # our name -> the log's
    types: dict[str, str]  # our name -> DuckDB's type
    unknown: tuple[str, ...]
    summed: bool
    signature: str  # changes with the files
    files: tuple[str, ...] = ()

    @property
    def is_csv(self) -> bool:
        return self.source.startswith("read_csv")

    def text(self, name: str) -> str:
        """The SQL of an id; NULL where the log has no such column."""
        return f'"{self.columns[name]}"' if name in self.columns else "NULL"

    def number(self, name: str) -> str:
        """The SQL of a count; NULL where it is no whole number."""
        column = f'"{self.columns[name]}"'
        if self.types[name] in WHOLE:
            return column
        if self.types[name] == "BOOLEAN":
            return f"{column}::TINYINT"
        if self.types[name] == "VARCHAR":
            column = f"trim({column})"  # or the CSV reader itself casts, and drops the whole row
        value = f"try_cast({column} AS DOUBLE)"
        return f"CASE WHEN {value} = floor({value}) THEN try_cast({value} AS BIGINT) END"


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


def quote(text: str) -> str:
    """A string as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def find_log(patterns: Iterable[str]) -> Log:
    """Resolve files, folders and globs; raises InputError on nothing found or missing columns."""
    files = sorted({path for pattern in patterns for path in _files(pattern)})
    if not files:
        raise InputError(f"no log at {', '.join(patterns)}; give Parquet or CSV files, or a folder")
    kinds = {"csv" if path.endswith((".csv", ".csv.gz")) else "parquet" for path in files}
    if len(kinds) > 1:
        raise InputError("the log mixes CSV and Parquet files; give one kind")
    listed = "[" + ", ".join(map(quote, files)) + "]"
    source = (f"read_parquet({listed})" if kinds == {"parquet"} else
              f"read_csv({listed}, header = true, store_rejects = true, sample_size = 20000)")
    try:
        types = {row[0]: str(row[1]) for row in
                 duckdb.sql(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    except duckdb.Error as error:
        raise InputError(f"the log cannot be read: {str(error).splitlines()[0]}") from error
    names = list(types)
    columns = {ours: next(name for name in theirs if name in names)
               for ours, theirs in ALIASES.items() if any(name in names for name in theirs)}
    summed = "impressions" in columns and "clicks" in columns
    missing = [name for name in ("product_id", "creative_id") if name not in columns]
    if not summed and "click" not in columns:
        missing.append("click (or impressions and clicks)")
    if missing:
        raise InputError(f"the log has columns {', '.join(names)}; missing: {', '.join(missing)}")
    stats = [(path, os.stat(path).st_size, os.stat(path).st_mtime_ns) for path in files]
    signature = hashlib.sha256(json.dumps(stats).encode()).hexdigest()[:16]
    return Log(source, columns, {ours: types[name] for ours, name in columns.items()},
               tuple(name for name in names if name not in KNOWN), summed, signature, tuple(files))


def _files(pattern: str) -> list[str]:
    if os.path.isdir(pattern):
        return [path for kind in ("parquet", "csv", "csv.gz")
                for path in glob(os.path.join(pattern, f"*.{kind}"))]
    return glob(pattern)


def good_row(log: Log) -> str:
    """The SQL condition of a row that can be counted; false or NULL for all others."""
    named = f"{log.text('product_id')} IS NOT NULL AND {log.text('creative_id')} IS NOT NULL"
    if not log.summed:
        return f"{log.number('click')} BETWEEN 0 AND 1 AND {named}"
    shown, clicks = log.number("impressions"), log.number("clicks")
    return f"{shown} >= 0 AND {clicks} >= 0 AND {clicks} <= {shown} AND {named}"


def count_sql(log: Log) -> str:
    """The one pass over the log: good rows summed by key, and how many rows were refused."""
    good = f"FILTER ({good_row(log)})"
    shown = f"sum({log.number('impressions')})" if log.summed else "count(*)"
    clicks = f"sum({log.number('clicks' if log.summed else 'click')})"
    return f"""SELECT {_keys(log)}, {shown} {good} AS impressions, {clicks} {good} AS clicks,
        count(*) - count(*) {good} AS refused FROM {log.source} GROUP BY ALL"""


def bare_sql(log: Log) -> str:
    """The bare aggregation that counting is measured against: no row is looked at twice or kept."""
    shown = f'sum("{log.columns["impressions"]}")' if log.summed else "count(*)"
    clicks = f'sum("{log.columns["clicks" if log.summed else "click"]}")'
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
