"""Read which image, product and title each creative has, from metadata.jsonl or creatives.jsonl.

An image folder's own metadata.jsonl stands in it; creatives.jsonl stands beside a log that `data
import` wrote, and its paths are relative to the image folder too. Rows: {"file_name",
"creative_id", "product_id", "title"}; `creative_id` defaults to the file's name and `product_id` to
"". An optional `variant_of` and `factor` say that the creative is another
one with a single thing changed. Queries named by number are spelt out by a queries.parquet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from creative4u.errors import InputError
from creative4u.files.json_rows import json_rows
from data.creative_pair.rows import METADATA

CREATIVES = "creatives.jsonl"
_SEEN = {"file_name", "creative_id", "product_id", "title", "variant_of", "factor"}


@dataclass(frozen=True)
class Shown:
    """One creative as the shop knows it; `image` is relative to the image folder."""

    creative_id: str
    product_id: str
    image: str
    title: str
    variant_of: str = ""
    factor: str = ""


@dataclass(frozen=True)
class Shop:
    """All creatives of an image folder by id, the rows that could not be used, unknown columns."""

    creatives: dict[str, Shown]
    rejects: tuple[dict[str, Any], ...]
    unknown: tuple[str, ...]


def read_shop(images: Path, logs: Sequence[Path] = ()) -> Shop:
    """The creatives of `images`, named there or beside the log in one of the folders `logs`.

    What the image folder itself says stands above the rest. Raises InputError where nothing names
    them.
    """
    lists = [folder / CREATIVES for folder in logs] + [images / METADATA]
    found = [path for path in lists if path.is_file()]
    if not found:
        raise InputError(f"{images} has no {METADATA}, which names each image, its product and "
                         f"title; `creative4u data import` makes {CREATIVES} from a log")
    creatives: dict[str, Shown] = {}
    rejects: list[dict[str, Any]] = []
    unknown: set[str] = set()
    for path in found:
        _read_list(path, creatives, rejects, unknown)
    return Shop(creatives, tuple(rejects), tuple(sorted(unknown)))


def _read_list(path: Path, creatives: dict[str, Shown], rejects: list[dict[str, Any]],
               unknown: set[str]) -> None:
    for number, row in enumerate(json_rows(path), 1):
        try:
            if isinstance(row, str):
                raise ValueError(row)
            image, title = str(row["file_name"]), str(row.get("title", "")).strip()
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            rejects.append({"reason": "unreadable metadata", "row": {"line": number,
                                                                     "error": str(error)}})
            continue
        if not title or Path(image).is_absolute() or ".." in Path(image).parts:
            reason = "image outside the folder" if title else "no title"
            rejects.append({"reason": reason, "row": dict(row)})
            continue
        unknown |= set(row) - _SEEN
        name = str(row.get("creative_id", image))
        creatives[name] = Shown(name, str(row.get("product_id", "")), image, title,
                                str(row.get("variant_of", "")), str(row.get("factor", "")))


def read_queries(path: Path | None) -> dict[str, str]:
    """query_id -> text from a Parquet or CSV file with these two columns; {} without a file.

    Raises InputError where the file is missing or has other columns.
    """
    if path is None:
        return {}
    reader = "read_csv(?)" if path.suffix == ".csv" else "read_parquet(?)"
    try:
        rows = duckdb.connect().execute(
            f"SELECT query_id::VARCHAR, text::VARCHAR FROM {reader}", [str(path)]).fetchall()
    except duckdb.Error as error:
        raise InputError(f"queries need a Parquet or CSV file with query_id and text; {path}: "
                         f"{str(error).splitlines()[0]}") from error
    return dict(rows)
