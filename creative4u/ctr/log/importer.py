"""Turn a click log with other column names into a shop's folder that every `ctr` verb reads.

    creative4u ctr import LOG --images DIR --out SHOP [--column click=is_click]

LOG is CSV, TSV, JSONL or Parquet (one file, or a folder of parts), one row an impression; DuckDB
reads it out of core. Columns are found by their usual names or named one by one. Out come
SHOP/log/day-NNN.parquet, SHOP/images/metadata.jsonl (it points to the images where they lie) and,
where the log holds query texts, SHOP/queries.parquet. A label that is neither 0 nor 1 is an error,
and so are dates with two readings; rows without a day, a label, a product or a creative are left
out, counted, and written to SHOP/rejects.jsonl.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from creative4u.errors import InputError
from creative4u.log_import.columns import LogFormat
from creative4u.log_import.days import Days
from creative4u.log_import.image_files import ImageFolder
from creative4u.log_import.imported import check_target, rejected_rows, write_origin
from creative4u.log_import.log import Log
from creative4u.log_import.numbers import NO_NUMBER, is_missing, quote
from creative4u.log_import.open_log import open_log, read_days

NEEDED = ("click", "day", "product_id", "creative_id")


@dataclass(frozen=True)
class Imported:
    """What was written; `rejected` by reason, `missing_images` creatives without an image.

    `first_day` and `last_day` are dates, or numbers where the log numbers its days.
    """

    shop: Path
    rows: int
    days: int
    creatives: int
    missing_images: int
    queries: int
    rejected: dict[str, int]
    columns: dict[str, str]
    first_day: str
    last_day: str


def import_log(
    source: Path, images: Path, out: Path, read_as: LogFormat | None = None
) -> Imported:
    """Write a shop's folder from a foreign log.

    Args:
        source: the log.
        images: the image folder, only read: with metadata.jsonl (file_name, creative_id), or with
            files named after their creative ids (or by them, where the ids are paths).
        out: the folder to write; it holds no import of another log.
        read_as: what the user says of the log.

    Raises:
        InputError: nothing to read, a needed column not found, dates with two readings, a label
            that is none, or no row that can be used.
    """
    check_target(out, source, images)
    log = open_log([str(source)], out / ".work", read_as, NEEDED)
    days = read_days(log, read_as)
    if days is None:
        raise InputError(f"{source}, column {log.columns['day']}: no row holds a day or a time")
    folder = ImageFolder(images)
    with duckdb.connect() as db:
        db.execute("SET preserve_insertion_order = true")
        db.execute("SET enable_progress_bar = false")
        try:
            return _imported(db, source, log, days, folder, out)
        except duckdb.Error as error:
            said = str(error).splitlines()[0]
            raise InputError(f"{source} cannot be read: {said}") from error


def _imported(
    db: duckdb.DuckDBPyConnection,
    source: Path,
    log: Log,
    days: Days,
    folder: ImageFolder,
    out: Path,
) -> Imported:
    _check_labels(db, log, source)
    base = f"SELECT min({days.sql}) FROM {log.source}"
    (first,) = db.execute(base).fetchone() or (None,)
    good = f"({days.sql}) IS NOT NULL AND {log.good_row()}"
    reason = f"CASE WHEN ({days.sql}) IS NULL THEN 'no day' ELSE {log.reason()} END"
    db.execute(f"CREATE TEMP VIEW usable AS SELECT *, ({days.sql}) - {first} AS _day "
               f"FROM {log.source} WHERE {good}")  # fmt: skip
    queries = _queries(db, log, out)
    rows, count = _write_days(db, log, queries, out / "log")
    rejects = rejected_rows(db, log, good, reason)
    rejects.write(out)
    if not rows:
        raise rejects.nothing_left(source, out)
    creatives, missing = _write_images(db, log, folder, out / "images")
    found = Imported(out, rows, count, creatives, missing, queries, dict(rejects.counts),
                     log.columns, days.first, days.last)  # fmt: skip
    told = {"columns": log.columns, "first_day": days.first, "last_day": days.last,
            "rejected": found.rejected}  # fmt: skip
    write_origin(out, source, told)
    return found


def _check_labels(db: duckdb.DuckDBPyConnection, log: Log, source: Path) -> None:
    column, label = log.column("click"), log.number("click")
    missing = is_missing(f"{column}::VARCHAR", NO_NUMBER)
    totals = log.totals_row() if log.kind != "parquet" else "false"
    odd = db.execute(
        f"""SELECT {column} FROM {log.source} WHERE NOT {missing} AND NOT {totals}
            AND ({label} BETWEEN 0 AND 1) IS NOT TRUE LIMIT 1"""
    ).fetchone()
    if odd is not None:
        name = log.columns["click"]
        raise InputError(f"{source}, column {name}: got {odd[0]!r}; a label is 0 or 1")


def _queries(db: duckdb.DuckDBPyConnection, log: Log, out: Path) -> int:
    """Number query texts and write queries.parquet; ids that are numbers already stay."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "queries.parquet").unlink(missing_ok=True)
    if "query" not in log.columns or log.types[log.columns["query"]] != "VARCHAR":
        return 0
    text = log.text("query")
    db.execute(
        f"""CREATE TEMP TABLE queries AS SELECT
            (row_number() OVER (ORDER BY text) - 1)::INT AS query_id, text
            FROM (SELECT DISTINCT {text} AS text FROM usable WHERE {text} IS NOT NULL)"""
    )
    (texts,) = db.execute(
        "SELECT count(*) FROM queries WHERE NOT regexp_full_match(text, '0|[1-9][0-9]{0,17}')"
    ).fetchone() or (0,)
    if not texts:
        db.execute("UPDATE queries SET query_id = text::BIGINT")
        return 0
    target = quote(str(out / "queries.parquet"))
    db.execute(f"COPY queries TO {target} (FORMAT parquet)")
    (count,) = db.execute("SELECT count(*) FROM queries").fetchone() or (0,)
    return int(count)


def _write_days(
    db: duckdb.DuckDBPyConnection, log: Log, queries: int, folder: Path
) -> tuple[int, int]:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("day-*.parquet"):
        old.unlink()
    texts = "query" in log.columns and log.types[log.columns["query"]] == "VARCHAR"
    query = "q.query_id" if texts else log.text("query")
    position = log.number("position") if "position" in log.columns else "1"
    purchase = log.decimal("purchase")
    parts = [
        "_day::INT AS day",
        f"{log.text('user_id')} AS user_id",
        f"coalesce({query}, -1) AS query_id",
        f"{log.text('product_id')} AS product_id",
        f"{log.text('creative_id')} AS creative_id",
        f"coalesce({position}, 1)::INT AS position",
        f"{log.number('click')}::TINYINT AS click",
        f"coalesce({purchase}, 0)::TINYINT AS purchase",
        f"{log.decimal('price')}::FLOAT AS price",
    ]
    join = f"LEFT JOIN queries q ON q.text = {log.text('query')}" if texts else ""
    days = [row[0] for row in db.execute("SELECT DISTINCT _day FROM usable ORDER BY 1").fetchall()]
    rows = 0
    for day in days:
        path = folder / f"day-{day:05d}.parquet"
        db.execute(
            f"""COPY (SELECT {", ".join(parts)} FROM usable {join} WHERE _day = {day})
                TO {quote(str(path))} (FORMAT parquet)"""
        )
        rows += pq.ParquetFile(path).metadata.num_rows
    return rows, len(days)


def _write_images(
    db: duckdb.DuckDBPyConnection, log: Log, folder: ImageFolder, out: Path
) -> tuple[int, int]:
    """metadata.jsonl with a row for each creative of the log that has an image."""
    names = ("image", "product_id", "title", "category")
    texts = ", ".join(f"any_value({log.text(name)})" for name in names)
    table = db.execute(
        f"SELECT {log.text('creative_id')}, {texts} FROM usable GROUP BY 1 ORDER BY 1"
    ).fetchall()
    out.mkdir(parents=True, exist_ok=True)
    missing, lines = 0, []
    for creative, image, product, title, category in table:
        file = folder.find(str(creative)) or folder.find(str(image))
        if file is None:
            missing += 1
            continue
        row: dict[str, Any] = {
            "file_name": os.path.relpath(file, out), "creative_id": creative,
            "product_id": str(product), "title": str(title or product),
        }  # fmt: skip
        if category is not None:
            row["category"] = str(category)
        lines.append(json.dumps(row, ensure_ascii=False))
    if not lines:
        raise InputError(
            f"{folder.folder}: no image for any of the log's {len(table)} creatives; its column "
            f"{log.columns['creative_id']} calls them {table[0][0]} and the like; "
            "--column creative_id=NAME takes another"
        )
    (out / "metadata.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return len(lines), missing
