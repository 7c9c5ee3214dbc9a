"""Count and keep a log's rejected rows by reason.

The same log gives the same rows in the same order, however many threads read it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import duckdb

from creative4u.log_import.log import Log

MAX_ROWS = 100_000  # bad rows written out; the rest is only counted


@dataclass(frozen=True)
class Refusals:
    """`counts` is exact; `rows` ({"reason", "row"}) are at most MAX_ROWS of each kind."""

    counts: dict[str, int]
    rows: list[dict[str, object]]


def refusals(base: duckdb.DuckDBPyConnection, log: Log) -> Refusals:
    """The bad rows of a log whose table `counts` is in `base`.

    Lines of a CSV that cannot be read come first, then rows that cannot be counted. The log is read
    again only where `counts` has refused a row, or where another process counted a CSV.
    """
    counts: dict[str, int] = {}
    rows: list[dict[str, object]] = []
    (refused,) = base.execute("SELECT coalesce(sum(refused), 0) FROM counts").fetchone() or (0,)
    if refused or (log.is_csv and not _has_errors(base)):
        found = (f"SELECT {log.reason()} AS reason, to_json(t)::VARCHAR AS said "
                 f"FROM {log.source} t WHERE {bad}" for bad in _bad_rows(log))
        base.execute(f"CREATE OR REPLACE TABLE refusals AS {' UNION ALL '.join(found)}")
        counts |= dict(base.execute("SELECT reason, count(*) FROM refusals GROUP BY reason "
                                    "ORDER BY reason").fetchall())
        rows += [{"reason": reason, "row": json.loads(said)} for reason, said in base.execute(
            "FROM refusals ORDER BY reason, said LIMIT ?", [MAX_ROWS]).fetchall()]
        base.execute("DROP TABLE refusals")
    if log.is_csv and _has_errors(base):
        lines = base.execute("""SELECT parse_filename(file_path), line, min(error_message)
            FROM reject_errors JOIN reject_scans USING (scan_id, file_id)
            GROUP BY file_path, line ORDER BY file_path, line""").fetchall()
        if lines:
            counts = {"unreadable line": len(lines), **counts}
        rows = [*({"reason": "unreadable line", "row": {"file": file, "line": line, "error": error}}
                  for file, line, error in lines[:MAX_ROWS]), *rows]
    return Refusals(counts, rows)


def _bad_rows(log: Log) -> list[str]:
    """SQL conditions that split the bad rows among them.

    A CSV is parsed once. Parquet is read once a condition, and yet faster: a condition on a single
    column skips what the file's own statistics rule out, and reads the other columns of few rows.
    """
    if log.kind != "parquet":
        return [f"({log.good_row()}) IS NOT TRUE"]
    if log.summed:
        shown, clicks = numbers = [log.number("impressions"), log.number("clicks")]
        wrong = f"({shown} < 0 OR {clicks} < 0 OR {clicks} > {shown})"
    else:
        numbers = [log.number("click")]
        wrong = f"({numbers[0]} NOT BETWEEN 0 AND 1)"
    needed = [log.text("product_id"), log.text("creative_id"), *numbers]
    empty = [" AND ".join([*(f"{other} IS NOT NULL" for other in needed[:place]),
                           f"{value} IS NULL AND {wrong} IS NOT TRUE"])
             for place, value in enumerate(needed)]
    return [wrong, *empty]


def _has_errors(base: duckdb.DuckDBPyConnection) -> bool:
    """Whether this connection has scanned a CSV, so that its tables of errors are there."""
    found = base.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'reject_errors'")
    return (found.fetchone() or (0,))[0] > 0
