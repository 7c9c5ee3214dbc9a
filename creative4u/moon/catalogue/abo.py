"""A public data set's folder in, items out.

Amazon Berkeley Objects (ABO) by its published layout: `listings/metadata/listings_*.json.gz` with
`item_id`, `item_name` and `product_type` by language, `main_image_id`, `other_image_id`, and
`images/metadata/images.csv.gz` with `image_id` and `path`. Product1M is read by `product1m`, sets
whose cards name no columns by `columns`.
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
    """ABO's products that have a name in `language` and an image, one by one (147,702 in all).

    Raises InputError where the folder is no ABO, at the first item asked for.
    """
    table = folder / "images" / "metadata" / "images.csv.gz"
    listings = sorted((folder / "listings" / "metadata").glob("listings_*.json.gz"))
    if not table.is_file() or not listings:
        raise InputError(f"{folder} holds no ABO (listings/metadata, images/metadata)")
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
    title = _said(row.get("item_name"), language)
    names = [row.get("main_image_id"), *(row.get("other_image_id") or [])]
    images = tuple(folder / "images" / "small" / paths[one] for one in names if one in paths)
    if not title or not images:
        return None
    kind = str(((row.get("product_type") or [{}])[0]).get("value", "")).lower().replace("_", " ")
    facts = (_said(row.get(key), language) for key in ("color", "material", "style"))
    return Item(
        item_id=str(row["item_id"]),
        title=title,
        category=kind,
        images=images,
        attributes=tuple(fact for fact in facts if fact),
        brand=_said(row.get("brand"), language),
        split=split_of(str(row["item_id"])),
    )


def _said(values: Any, language: str) -> str:
    """The first value in the language, "" where there is none."""
    for one in values or []:
        if str(one.get("language_tag", language)).startswith(language):
            return str(one.get("value", "")).strip()
    return ""
