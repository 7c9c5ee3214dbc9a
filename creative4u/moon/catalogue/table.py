"""Read items from a table (JSONL, CSV, Parquet) with columns of any names.

For sets whose cards do not document their columns (Daoze/MM-Bench-E-Commerce, ZHNie/MBE2.0): the
caller names them, `title=item_title,image=pic_path`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import duckdb

from creative4u.errors import InputError
from creative4u.moon.catalogue.items import Item, split_of

READERS = {".jsonl": "read_json_auto", ".json": "read_json_auto", ".csv": "read_csv_auto",
           ".tsv": "read_csv_auto", ".parquet": "read_parquet"}  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """The table's column for each field of an item; "" for none."""

    item_id: str = "item_id"
    title: str = "title"
    image: str = "image"  # a path, relative to the table's folder, or a list of them
    category: str = ""
    attributes: str = ""  # a list, or words between commas
    split: str = ""


def parse_columns(text: str) -> Columns:
    """Parse `title=item_title,image=pic`. Raises InputError for an unknown field."""
    found = {}
    known = [field.name for field in fields(Columns)]
    for part in filter(None, text.split(",")):
        name, equals, column = part.partition("=")
        if not equals or name not in known:
            raise InputError(f"got {part!r}; needed is FIELD=NAME, FIELD one of {', '.join(known)}")
        found[name] = column
    return Columns(**found)


def read_table(table: Path, columns: Columns) -> Iterator[Item]:
    """Yield items with a title or an existing image. Raises InputError for a missing column."""
    reader = READERS.get(table.suffix.lower())
    if reader is None or not table.is_file():
        raise InputError(f"no table {table}; allowed are files in {', '.join(READERS)}")
    wanted = {name: getattr(columns, name) for name in (f.name for f in fields(Columns))}
    with duckdb.connect() as base:
        rows = base.execute(f"select * from {reader}(?)", [str(table)])
        names = [column[0] for column in rows.description or ()]
        missing = [column for column in wanted.values() if column and column not in names]
        if missing:
            raise InputError(f"{table} lacks {', '.join(missing)}; it has {', '.join(names)}")
        while chunk := rows.fetchmany(1000):
            for row in chunk:
                named = dict(zip(names, row, strict=True))
                picked = {name: named.get(column) for name, column in wanted.items()}
                item = _item(picked, table.parent)
                if item is not None:
                    yield item


def _item(row: Mapping[str, object], folder: Path) -> Item | None:
    paths = row["image"] if isinstance(row["image"], list) else [row["image"]]
    images = tuple(folder / str(one) for one in paths if one and (folder / str(one)).is_file())
    title, item_id = str(row["title"] or "").strip(), str(row["item_id"] or "").strip()
    if not item_id or not (title or images):
        return None
    known = row["attributes"]
    words = known if isinstance(known, list) else str(known or "").split(",")
    return Item(
        item_id=item_id,
        title=title,
        category=str(row["category"] or "").strip(),
        images=images,
        attributes=tuple(str(word).strip() for word in words if str(word).strip()),
        split=str(row["split"] or "") or split_of(item_id),
    )
