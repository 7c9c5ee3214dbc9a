"""Read items from Amazon Berkeley Objects (ABO) by its published layout.

`listings/metadata/listings_*.json.gz` has `item_id`, `item_name` and `product_type` by language,
`main_image_id`, `other_image_id`; `images/metadata/images.csv.gz` has `image_id` and `path`.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from creative4u.errors import InputError
from creative4u.moon.catalogue.items import Item, split_of


def read_abo(folder: Path, language: str = "en") -> Iterator[Item]:
    """Yield the products that have a name in `language` and an image (147,702 in all).

    Raises InputError at the first item if the folder is no ABO.
    """
    table = folder / "images" / "metadata" / "images.csv.gz"
    listings = sorted((folder / "listings" / "metadata").glob("listings_*.json.gz"))
    if not table.is_file() or not listings:
        raise InputError(f"{folder} is no ABO: listings/metadata or images/metadata is missing")
    with gzip.open(table, "rt", encoding="utf-8", newline="") as file:
        paths = {row["image_id"]: row["path"] for row in csv.DictReader(file)}
    for listing in listings:
        with gzip.open(listing, "rt", encoding="utf-8") as file:
            for line in file:
                item = _abo_item(json.loads(line), paths, folder, language)
                if item is not None:
                    yield item


def _abo_item(
    row: Mapping[str, Any], paths: Mapping[str, str], folder: Path, language: str
) -> Item | None:
    title = _in_language(row.get("item_name"), language)
    names = [row.get("main_image_id"), *(row.get("other_image_id") or [])]
    images = tuple(folder / "images" / "small" / paths[one] for one in names if one in paths)
    if not title or not images:
        return None
    kind = str(((row.get("product_type") or [{}])[0]).get("value", "")).lower().replace("_", " ")
    facts = (_in_language(row.get(key), language) for key in ("color", "material", "style"))
    return Item(
        item_id=str(row["item_id"]),
        title=title,
        category=kind,
        images=images,
        attributes=tuple(fact for fact in facts if fact),
        brand=_in_language(row.get("brand"), language),
        split=split_of(str(row["item_id"])),
    )


def _in_language(values: Any, language: str) -> str:
    """The first value in the language, or ""."""
    for one in values or []:
        if str(one.get("language_tag", language)).startswith(language):
            return str(one.get("value", "")).strip()
    return ""
