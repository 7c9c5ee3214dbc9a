"""Read items from Product1M's annotation file and a folder of its images.

One product a line, five fields between `#####`: item id, title, two addresses of the image, and the
products that the set shows, between `#;#` (as in the file at github.com/zhanxlin/Product1M). Images
are ITEM_ID.jpg in the folder; nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from creative4u.errors import InputError
from creative4u.moon.catalogue.items import Item, split_of

FIELD, PART = "#####", "#;#"


def read_product1m(annotations: Path, images: Path) -> Iterator[Item]:
    """Yield the products whose image exists. Raises InputError at a line of another shape."""
    if not annotations.is_file():
        raise InputError(f"no file {annotations}; give Product1M's *_ossurl_v2.txt")
    with annotations.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            fields = line.rstrip("\n").split(FIELD)
            if len(fields) < 4 or not fields[0].strip():
                raise InputError(
                    f"{annotations}:{number}: got {len(fields)} fields; 4 or 5 are needed"
                )
            item_id, title = fields[0].strip(), fields[1].strip()
            image = images / f"{item_id}.jpg"
            if not image.is_file():
                continue
            parts = tuple(dict.fromkeys(part.strip() for part in "".join(fields[4:5]).split(PART)))
            yield Item(
                item_id=item_id,
                title=title,
                images=(image,),
                attributes=tuple(part for part in parts if part),
                split=split_of(item_id),
            )
