"""Read a shop folder (log, images with metadata, queries) as arrays of creatives and texts.

    DIR/log/*.parquet, DIR/images/metadata.jsonl, DIR/queries.parquet (query_id, text)

Rows of metadata.jsonl: {"file_name", "creative_id", "product_id", "title"} and, where known,
"category". Nothing else of the folder is opened here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from creative4u.ctr.log.fields import Fields
from creative4u.errors import InputError
from creative4u.files.json_rows import strict_rows

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Shop:
    """N creatives and Q queries, in the order of their files."""

    folder: Path
    creative_ids: NDArray[Any]  # (N,)
    images: tuple[Path, ...]
    products: NDArray[np.str_]  # (N,) the product's id as the metadata names it
    titles: tuple[str, ...]
    classes: Ints  # (N,) category number
    query_ids: NDArray[Any]  # (Q,)
    queries: tuple[str, ...]

    @property
    def log(self) -> Path:
        return self.folder / "log"


def read_shop(folder: Path) -> Shop:
    """Read the tables of `folder`; raises InputError where images or their metadata are missing."""
    path = folder / "images" / "metadata.jsonl"
    if not path.is_file():
        raise InputError(f"{path} is missing; it names each image, its creative, product and title")
    rows: list[dict[str, Any]] = []
    for number, row in enumerate(strict_rows(path), 1):
        if "file_name" not in row:
            raise InputError(f"{path}, line {number}: no file_name")
        rows.append({**row, "creative_id": row.get("creative_id", row["file_name"])})
    products = np.array([str(row.get("product_id", "")) for row in rows])
    names = [str(row.get("category") or row.get("product_id", "")) for row in rows]
    query_ids, queries = _queries(folder / "queries.parquet")
    return Shop(
        folder=folder,
        creative_ids=np.array([row["creative_id"] for row in rows]),
        images=tuple(path.parent / str(row["file_name"]) for row in rows),
        products=products,
        titles=tuple(str(row.get("title", "")) for row in rows),
        classes=np.unique(np.array(names), return_inverse=True)[1].astype(np.int64),
        query_ids=query_ids,
        queries=queries,
    )


def _queries(path: Path) -> tuple[NDArray[Any], tuple[str, ...]]:
    if not path.is_file():
        return np.empty(0, np.int64), ()
    table = duckdb.execute(
        "SELECT query_id, text FROM read_parquet(?) ORDER BY query_id", [str(path)]
    ).fetchnumpy()
    return np.asarray(table["query_id"]), tuple(map(str, table["text"]))


@dataclass(frozen=True)
class Cells:
    """Impressions and clicks by creative, query and position: R rows, counted out of core."""

    creative: Ints  # (R,) row in the shop
    query: Ints  # (R,) row among the shop's queries
    position: Ints
    shown: Ints
    clicks: Ints


def count_cells(shop: Shop, fields: Fields, days: tuple[int, int]) -> Cells:
    """Count the log's rows of days[0] <= day < days[1] with DuckDB; unknown creatives are left out.

    Raises InputError where the log lacks a column or holds no such row.
    """
    column = {one.name: one.column for one in fields.ids}
    position = f'"{fields.position}"' if fields.position else "1"
    query = f"""
        SELECT "{column["creative"]}" AS creative, "{column["query"]}" AS query,
               {position} AS position, count(*) AS shown, sum("{fields.label}"::INT) AS clicks
        FROM read_parquet(?) WHERE "{fields.day}" >= ? AND "{fields.day}" < ?
          AND "{fields.label}" IS NOT NULL
        GROUP BY ALL ORDER BY ALL"""
    source = str(shop.log / "*.parquet") if shop.log.is_dir() else str(shop.log)
    try:
        table = duckdb.execute(query, [source, *days]).fetchnumpy()
    except duckdb.Error as error:
        raise InputError(f"{shop.log}: {error}") from error
    creative, known = _rows(shop.creative_ids, table["creative"])
    asked, _ = _rows(shop.query_ids, table["query"])
    if not known.any():
        raise InputError(f"{shop.log}: no impression of a known creative on days {days}")
    numbers = [np.asarray(table[name])[known].astype(np.int64)
               for name in ("position", "shown", "clicks")]  # fmt: skip
    return Cells(creative[known], asked[known], *numbers)


def _rows(ids: NDArray[Any], asked: NDArray[Any]) -> tuple[Ints, NDArray[np.bool_]]:
    """Where each asked id stands among `ids`, and whether it does at all."""
    place = {value: row for row, value in enumerate(ids.tolist())}
    found = np.array([place.get(value, -1) for value in np.asarray(asked).tolist()], np.int64)
    return found, found >= 0
