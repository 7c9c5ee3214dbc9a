"""Read product items: what MOON is trained on, evaluated on, and indexes.

Two layouts: a `metadata.jsonl` (`file_name, title, category`, further keys allowed) and a shop's
folder (`creative4u data world`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from creative4u.errors import InputError
from creative4u.files.json_rows import json_rows, strict_rows
from creative4u.moon.encoder.content import Content
from creative4u.user_paths import is_file, short_name


@dataclass(frozen=True)
class Item:
    """One product. The first image is the main one; `name` is its class ("boot"), where known."""

    item_id: str
    title: str
    category: str = ""
    images: tuple[Path, ...] = ()
    attributes: tuple[str, ...] = ()
    name: str = ""
    colour: str = ""
    brand: str = ""
    split: str = ""

    @property
    def content(self) -> Content:
        """Main image and title."""
        return Content(self.title or None, self.images[0] if self.images else None)


def split_of(name: str, test_share: float = 0.2) -> str:
    """Assign train or test by a hash of the name, so that no class of product is in both."""
    share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
    return "test" if share < test_share else "train"


def validation_cut(items: Sequence[Item], share: float = 0.25) -> list[Item]:
    """Carve a validation split out of the training items, for choosing settings.

    `share` of the training classes, by name, become test. The original test items are of the split
    "excluded" and lose their images; every item keeps its place in the list.
    """
    chosen = []
    for item in items:
        if item.split == "test":
            item = replace(item, split="excluded", images=())
        elif split_of(f"validation {item.name}", share) == "test":
            item = replace(item, split="test")
        chosen.append(item)
    return chosen


def read_items(metadata: Path, kind: str | None = None) -> list[Item]:
    """Read the rows of a metadata.jsonl as items, one for each image; ids are the file names.

    `kind` keeps the rows of that "kind", e.g. "product photo". Raises InputError for a missing
    file, a broken row or a row without `file_name`.
    """
    if not is_file(metadata):
        raise InputError(f"no file {short_name(metadata)}; a metadata.jsonl is needed")
    items = []
    for number, row in enumerate(json_rows(metadata), 1):
        if isinstance(row, str) or not row.get("file_name"):
            why = row if isinstance(row, str) else "it has none"
            raise InputError(f"{metadata}:{number}: not a row with file_name ({why})")
        name = str(row["file_name"])
        if kind is not None and row.get("kind") != kind:
            continue
        items.append(
            Item(
                item_id=str(row.get("item_id") or name),
                title=str(row.get("title") or ""),
                category=str(row.get("category") or ""),
                images=(metadata.parent / name,),
                split=str(row.get("split") or ""),
                name=str(row.get("title") or "").lower(),
            )
        )
    if not items:
        raise InputError(f"{metadata} has no rows" + (f" of kind {kind!r}" if kind else ""))
    return items


def read_world(folder: Path) -> list[Item]:
    """Read a shop's products by product number, each with its own images (no drawn variants).

    Raises InputError if the folder is no shop.
    """
    table = folder / "products.parquet"
    pictures = folder / "images" / "metadata.jsonl"
    if not table.is_file() or not pictures.is_file():
        raise InputError(
            f"{folder} is no shop: products.parquet or images/metadata.jsonl is missing"
        )
    images: dict[str, list[Path]] = {}
    for row in strict_rows(pictures):
        if not row.get("variant_of"):
            images.setdefault(row["product_id"], []).append(pictures.parent / row["file_name"])
    rows = duckdb.execute(
        "select product_id, name, category, attributes, colour, brand, titles "
        "from read_parquet(?) order by product",
        [str(table)],
    ).fetchall()
    return [
        Item(
            item_id=product,
            title=json.loads(titles)["good"],
            category=category,
            images=tuple(images.get(product, ())),
            attributes=tuple(attributes),
            name=name,
            colour=colour or "",
            brand=brand or "",
            split=split_of(name),
        )
        for product, name, category, attributes, colour, brand, titles in rows
    ]


def merge_skus(items: Iterable[Item]) -> list[int]:
    """Number the products: colour variants of one brand's product share a number.

    SKU merging (MOON, arXiv 2511.11305): items of one number are never each other's negatives. An
    item without a known name and brand has its own number.
    """
    numbers: dict[tuple[str, ...], int] = {}
    merged = []
    for item in items:
        known = (item.brand, item.name) if item.name and item.brand else (item.item_id,)
        merged.append(numbers.setdefault(known, len(numbers)))
    return merged
