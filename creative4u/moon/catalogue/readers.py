"""Any layout of products that MOON knows in, items out; which one it is is told by its shape."""

from __future__ import annotations

from pathlib import Path

from creative4u.errors import InputError
from creative4u.moon.catalogue.abo import read_abo
from creative4u.moon.catalogue.items import Item, read_items
from creative4u.moon.catalogue.product1m import read_product1m
from creative4u.moon.catalogue.table import columns_of, read_columns


def read_source(
    path: Path, kind: str | None = None, columns: str = "", images: Path | None = None
) -> list[Item]:
    """Items of a folder (ABO), a .txt (Product1M), a table with `columns`, or a metadata.jsonl.

    Raises InputError for what none of them fits and for a source without products.
    """
    if path.is_dir():
        found = list(read_abo(path))
    elif path.suffix == ".txt":
        found = list(read_product1m(path, images or path.parent / "images"))
    elif columns:
        found = list(read_columns(path, columns_of(columns)))
    else:
        return read_items(path, kind)
    if not found:
        raise InputError(f"{path} holds no product whose title or image is there")
    return found
