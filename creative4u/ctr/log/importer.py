"""Import a click log with other column names as a shop folder that every `ctr` verb reads.

    creative4u ctr import LOG --images DIR --out SHOP [--column click=is_click]

LOG is CSV or Parquet (one file, or a folder of Parquet parts), one row an impression; DuckDB reads
it out of core. Columns are found by their usual names or named one by one. Out come
SHOP/log/day-NNN.parquet, SHOP/images/metadata.jsonl (it points to the images where they lie) and,
where the log holds query texts, SHOP/queries.parquet. A label that is neither 0 nor 1 is an error;
rows without a day, a label, a product or a creative are left out and counted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from creative4u.ctr.log.dataset import LABELS
from creative4u.errors import InputError

ALIASES = {
    "click": ("click", "clicked", "is_click", "clk", "label", "is_clicked"),
    "day": ("day", "date", "dt", "ds", "timestamp", "time", "event_time", "time_stamp", "ts"),
    "product_id": ("product_id", "item_id", "item", "product", "sku", "sku_id", "adgroup_id"),
    "creative_id": ("creative_id", "creative", "ad_id", "image_id", "image", "image_path"),
    "user_id": ("user_id", "user", "uid", "member_id", "visitor_id"),
    "query_id": ("query_id", "query", "keyword", "search_term", "search_query", "q"),
    "position": ("position", "pos", "rank", "slot"),
    "price": ("price", "item_price"),
    "purchase": ("purchase", "purchased", "buy", "conversion", "is_buy"),
    "title": ("title", "product_title", "item_title", "name", "product_name"),
    "category": ("category", "category_id", "cate_id", "class"),
}
NEEDED = ("click", "day", "product_id", "creative_id")
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Imported:
    """What was written; `rejected` by reason, `missing_images` creatives without an image."""

    shop: Path
    rows: int
    days: int
    creatives: int
    missing_images: int
    queries: int
    rejected: dict[str, int]
    columns: dict[str, str]


def import_log(
    source: Path, images: Path, out: Path, columns: Mapping[str, str] | None = None
) -> Imported:
    """Write a shop's folder from a foreign log.

    Args:
        source: the log.
        images: the image folder: with metadata.jsonl (file_name, creative_id), or with files named
            after their creative ids (or by them, where the ids are paths).
        out: the folder to write.
        columns: our names (`ALIASES`) to the log's, where guessing does not find them.

    Raises:
        InputError: nothing to read, a needed column not found, or a label that is none.
    """
    db = duckdb.connect()
    db.execute("SET preserve_insertion_order = true")
    try:
        db.execute(f"CREATE VIEW source AS SELECT * FROM {_reader(source)}")
        there = {name: str(kind) for name, kind, *_ in db.execute("DESCRIBE source").fetchall()}
        found = find_columns(tuple(there), columns or {}, source)
        _check_labels(db, found["click"], source)
        first = _days(db, found["day"], there[found["day"]], source)
        rejected = _rejected(db, found)
        queries = _queries(db, found, there, out)
        rows, days = _write_days(db, found, queries, out / "log")
        creatives, missing = _write_images(db, found, images, out / "images")
    except duckdb.Error as error:
        raise InputError(f"{source} cannot be read: {str(error).splitlines()[0]}") from error
    if not rows:
        raise InputError(f"{source}: no row has a day, a label, a product and a creative")
    (out / "import.json").write_text(
        json.dumps({"columns": found, "first_day": first, "rejected": rejected}, indent=1) + "\n",
        "utf-8",
    )
    return Imported(out, rows, days, creatives, missing, queries, rejected, found)


def find_columns(there: tuple[str, ...], chosen: Mapping[str, str], source: Path) -> dict[str, str]:
    """Our names to the log's; raises InputError for a name that is not there or not ours."""
    if unknown := set(chosen) - set(ALIASES):
        raise InputError(f"--column {sorted(unknown)[0]}: known are {', '.join(ALIASES)}")
    by_name = {name.lower(): name for name in there}
    found = {}
    for ours, names in ALIASES.items():
        if ours in chosen:
            if chosen[ours] not in there:
                raise InputError(f"{source}: no column {chosen[ours]}; it has {', '.join(there)}")
            found[ours] = chosen[ours]
            continue
        free = [by_name[name] for name in names if name in by_name]
        free = [name for name in free if name not in chosen.values()]
        if free:
            found[ours] = free[0]
    if missing := [name for name in NEEDED if name not in found]:
        raise InputError(
            f"{source} has columns {', '.join(there)}; say which one is {missing[0]}: "
            f"--column {missing[0]}=NAME"
        )
    return found


def _reader(source: Path) -> str:
    if source.is_dir():
        if not any(source.glob("*.parquet")):
            raise InputError(f"{source}: no Parquet part in this folder")
        return f"read_parquet({_text(str(source / '*.parquet'))}, union_by_name = true)"
    if not source.is_file():
        raise InputError(f"no log at {source}")
    name = "read_parquet" if source.suffix == ".parquet" else "read_csv"
    return f"{name}({_text(str(source))})"


def _check_labels(db: Any, column: str, source: Path) -> None:
    said = ", ".join(_text(label) for label in LABELS)
    odd = db.execute(
        f"""SELECT {_name(column)} FROM source WHERE {_name(column)} IS NOT NULL
            AND lower(trim({_name(column)}::VARCHAR)) NOT IN ({said}) LIMIT 1"""
    ).fetchone()
    if odd is not None:
        raise InputError(f"{source}, column {column}: got {odd[0]!r}; a label is 0 or 1")


def _days(db: Any, column: str, kind: str, source: Path) -> str:
    """Make the view `dated`: the source with `_day`, from 0; what the first day is comes back."""
    name = _name(column)
    if kind in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UINTEGER", "UBIGINT", "HUGEINT"):
        largest = db.execute(f"SELECT max({name}) FROM source").fetchone()[0] or 0
        if largest < 100_000:  # numbered days
            day = f"{name}::BIGINT"
        elif 19_000_000 < largest < 22_000_000:  # 20261125
            day = f"(strptime({name}::VARCHAR, '%Y%m%d')::DATE - DATE '1970-01-01')::BIGINT"
        else:  # seconds or milliseconds
            unit = DAY_SECONDS * (1000 if largest > 100_000_000_000 else 1)
            day = f"floor({name} / {unit})::BIGINT"
    else:
        day = f"(TRY_CAST({name} AS TIMESTAMP)::DATE - DATE '1970-01-01')::BIGINT"
    first = db.execute(f"SELECT min({day}) FROM source").fetchone()[0]
    if first is None:
        raise InputError(f"{source}, column {column}: no row holds a day or a time")
    db.execute(f"CREATE VIEW dated AS SELECT *, {day} - ({first}) AS _day FROM source")
    return str(first)


def _rejected(db: Any, found: Mapping[str, str]) -> dict[str, int]:
    """Rows that cannot be used, by what they lack; the view `usable` holds the others."""
    tests = {"no day": "_day IS NULL"}
    for ours in ("click", "product_id", "creative_id"):
        tests[f"no {ours.removesuffix('_id')}"] = f"{_name(found[ours])} IS NULL"
    counted = {}
    for reason, test in tests.items():
        count = int(db.execute(f"SELECT count(*) FROM dated WHERE {test}").fetchone()[0])
        if count:
            counted[reason] = count
    bad = " OR ".join(tests.values())
    db.execute(f"CREATE VIEW usable AS SELECT * FROM dated WHERE NOT ({bad})")
    return counted


def _queries(db: Any, found: Mapping[str, str], there: Mapping[str, str], out: Path) -> int:
    """Number query texts and write queries.parquet; ids that are numbers already stay."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "queries.parquet").unlink(missing_ok=True)
    if "query_id" not in found or there[found["query_id"]] != "VARCHAR":
        return 0
    name = _name(found["query_id"])
    db.execute(
        f"""CREATE TABLE queries AS SELECT (row_number() OVER (ORDER BY text) - 1)::INT AS query_id,
            text FROM (SELECT DISTINCT {name} AS text FROM usable WHERE {name} IS NOT NULL)"""
    )
    db.execute(f"COPY queries TO {_text(str(out / 'queries.parquet'))} (FORMAT parquet)")
    return int(db.execute("SELECT count(*) FROM queries").fetchone()[0])


def _write_days(db: Any, found: Mapping[str, str], queries: int, log: Path) -> tuple[int, int]:
    log.mkdir(parents=True, exist_ok=True)
    for old in log.glob("day-*.parquet"):
        old.unlink()
    column = {ours: _name(theirs) for ours, theirs in found.items()}
    label = f"lower(trim({column['click']}::VARCHAR)) IN ('1', 'true', '1.0')"
    query = column.get("query_id", "-1")
    parts = [
        "_day::INT AS day",
        f"{column.get('user_id', 'NULL::BIGINT')} AS user_id",
        "coalesce(q.query_id, -1) AS query_id" if queries else f"coalesce({query}, -1) AS query_id",
        f"{column['product_id']} AS product_id",
        f"{column['creative_id']} AS creative_id",
        f"coalesce({column.get('position', '1')}, 1)::INT AS position",
        f"{label}::TINYINT AS click",
        f"coalesce(TRY_CAST({column.get('purchase', '0')} AS INT), 0)::TINYINT AS purchase",
        f"TRY_CAST({column.get('price', 'NULL')} AS FLOAT) AS price",
    ]
    join = f"LEFT JOIN queries q ON q.text = {query}" if queries else ""
    days = [row[0] for row in db.execute("SELECT DISTINCT _day FROM usable ORDER BY 1").fetchall()]
    rows = 0
    for day in days:
        path = log / f"day-{day:05d}.parquet"
        db.execute(
            f"""COPY (SELECT {", ".join(parts)} FROM usable {join} WHERE _day = {day})
                TO {_text(str(path))} (FORMAT parquet)"""
        )
        rows += pq.ParquetFile(path).metadata.num_rows
    return rows, len(days)


def _write_images(db: Any, found: Mapping[str, str], images: Path, out: Path) -> tuple[int, int]:
    """metadata.jsonl with a row for each creative of the log that has an image."""
    known = _image_files(images)
    column = {ours: _name(theirs) for ours, theirs in found.items()}
    texts = [f"any_value({column[name]})" if name in column else "NULL"
             for name in ("title", "category")]  # fmt: skip
    table = db.execute(
        f"""SELECT {column["creative_id"]}, any_value({column["product_id"]}), {", ".join(texts)}
            FROM usable GROUP BY 1 ORDER BY 1"""
    ).fetchall()
    out.mkdir(parents=True, exist_ok=True)
    missing, lines = 0, []
    for creative, product, title, category in table:
        file = known.get(str(creative)) or known.get(Path(str(creative)).stem)
        if file is None:
            missing += 1
            continue
        row = {"file_name": os.path.relpath(file, out), "creative_id": creative,
               "product_id": str(product), "title": str(title or product)}  # fmt: skip
        if category is not None:
            row["category"] = str(category)
        lines.append(json.dumps(row, ensure_ascii=False))
    if not lines:
        raise InputError(f"{images}: no image for any of the log's {len(table)} creatives")
    (out / "metadata.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return len(lines), missing


def _image_files(images: Path) -> dict[str, Path]:
    """Creative ids to image files."""
    if not images.is_dir():
        raise InputError(f"{images}: no image folder")
    listed = images / "metadata.jsonl"
    if listed.is_file():
        rows = [json.loads(line) for line in listed.read_text("utf-8").splitlines()]
        return {str(row.get("creative_id", row["file_name"])): images / row["file_name"]
                for row in rows}  # fmt: skip
    files = [path for path in sorted(images.rglob("*"))
             if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")]  # fmt: skip
    by_stem = {path.stem: path for path in files}
    return by_stem | {str(path.relative_to(images)): path for path in files}


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
