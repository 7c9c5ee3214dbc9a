"""Read items from any supported source, recognised by its form."""

from __future__ import annotations

from pathlib import Path

from creative4u.errors import InputError
from creative4u.moon.catalogue.abo import read_abo
from creative4u.moon.catalogue.items import Item, read_items
from creative4u.moon.catalogue.product1m import read_product1m
from creative4u.moon.catalogue.table import parse_columns, read_table


def read_source(
    path: Path, kind: str | None = None, columns: str = "", images: Path | None = None
) -> list[Item]:
    """Read a folder (ABO), a .txt (Product1M), a table with `columns`, or a metadata.jsonl.

    Raises InputError for an unreadable source and for one without products.
    """
    if path.is_dir():
        found = list(read_abo(path))
    elif path.suffix == ".txt":
        found = list(read_product1m(path, images or path.parent / "images"))
    elif columns:
        found = list(read_table(path, parse_columns(columns)))
    else:
        return read_items(path, kind)
    if not found:
        raise InputError(f"{path} has no product with a title or an existing image")
    return found
