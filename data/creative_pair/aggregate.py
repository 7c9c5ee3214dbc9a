"""An impression log (Parquet or CSV globs) in, counts by product, creative and query out.

DuckDB reads the log once, out of core. A row is one impression (`click` 0 or 1) or a sum
(`impressions`, `clicks`). Bad rows are counted and kept for the rejects file; they stop nothing.
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
MAX_REJECTS = 100_000  # bad rows written out; the rest is only counted


@dataclass(frozen=True)
class Log:
    """Where the log is and what its columns are called; `summed` says rows carry impressions."""

    source: str  # the table function of DuckDB that reads it
    columns: dict[str, str]  # our name -> the log's
    unknown: tuple[str, ...]
    summed: bool
    signature: str  # changes with the files
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limits:
    """What DuckDB may use; spills go to `spill`."""

    memory: str = "2GB"
    threads: int = 2
    spill: Path = Path("spill")


def connect(limits: Limits) -> duckdb.DuckDBPyConnection:
    """An in-memory database that keeps to its limits."""
    limits.spill.mkdir(parents=True, exist_ok=True)
    base = duckdb.connect()
    base.execute(f"SET memory_limit = '{limits.memory}'")
    base.execute(f"SET threads = {limits.threads}")
    base.execute(f"SET temp_directory = {quote(str(limits.spill))}")
    base.execute("SET preserve_insertion_order = false")
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
        names = [row[0] for row in duckdb.sql(f"DESCRIBE SELECT * FROM {source}").fetchall()]
    except duckdb.Error as error:
        raise InputError(f"the log cannot be read: {str(error).splitlines()[0]}") from error
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
    return Log(source, columns, tuple(name for name in names if name not in KNOWN), summed,
               signature, tuple(files))


def _files(pattern: str) -> list[str]:
    if os.path.isdir(pattern):
        return [path for kind in ("parquet", "csv", "csv.gz")
                for path in glob(os.path.join(pattern, f"*.{kind}"))]
    return glob(pattern)


def bad_row(log: Log) -> str:
    """The SQL condition that holds for a row that cannot be counted."""
    def column(name: str) -> str:
        return f'"{log.columns[name]}"'

    empty = f"{column('product_id')} IS NULL OR {column('creative_id')} IS NULL"
    if not log.summed:
        click = column("click")
        return f"coalesce({click} NOT BETWEEN 0 AND 1, true) OR {empty}"
    shown, clicks = column("impressions"), column("clicks")
    return (f"coalesce({shown} < 0, true) OR coalesce({clicks} < 0, true) "
            f"OR {clicks} > {shown} OR {empty}")


def count_sql(log: Log, checked: bool = True) -> str:
    """The one pass over the log; `checked=False` is the bare aggregation it is measured against."""
    keys = [f'"{log.columns[name]}" AS {name}' for name in ("product_id", "creative_id", "query")
            if name in log.columns]
    shown = f'sum("{log.columns["impressions"]}")' if log.summed else "count(*)"
    clicks = f'sum("{log.columns["clicks" if log.summed else "click"]}")'
    where = f"WHERE NOT ({bad_row(log)})" if checked else ""
    return (f"SELECT {', '.join(keys)}, {shown}::BIGINT AS impressions, {clicks}::BIGINT AS clicks "
            f"FROM {log.source} {where} GROUP BY ALL")


def count_log(base: duckdb.DuckDBPyConnection, log: Log) -> None:
    """Make table `counts` (product_id, creative_id, query, impressions, clicks), ids as text."""
    query = "query::VARCHAR" if "query" in log.columns else "NULL::VARCHAR"
    base.execute(f"""CREATE OR REPLACE TABLE counts AS
        SELECT product_id::VARCHAR AS product_id, creative_id::VARCHAR AS creative_id,
               {query} AS query, impressions, clicks FROM ({count_sql(log)})""")


def rejected_rows(base: duckdb.DuckDBPyConnection, log: Log) -> list[dict[str, object]]:
    """The bad rows, as {"reason", "row"}: unreadable CSV lines first, then impossible numbers."""
    found: list[dict[str, object]] = []
    if log.source.startswith("read_csv"):
        lines = base.execute("SELECT line, min(error_message) FROM reject_errors "
                             "GROUP BY file_id, line ORDER BY file_id, line LIMIT ?",
                             [MAX_REJECTS]).fetchall()
        found += [{"reason": "unreadable line", "row": {"line": line, "error": error}}
                  for line, error in lines]
    clicks = f'"{log.columns["clicks" if log.summed else "click"]}"'
    shown = f'"{log.columns["impressions"]}"' if log.summed else "1"
    reason = (f"CASE WHEN {clicks} < 0 OR {shown} < 0 THEN 'negative number' "
              f"WHEN {clicks} > {shown} THEN 'clicks above impressions' "
              "ELSE 'empty value' END")
    rows = base.execute(f"SELECT {reason} AS reason, to_json(t)::VARCHAR FROM {log.source} t "
                        f"WHERE {bad_row(log)} LIMIT {MAX_REJECTS}").fetchall()
    return found + [{"reason": said, "row": json.loads(row)} for said, row in rows]
