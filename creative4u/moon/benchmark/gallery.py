"""A shop in, the benchmark's gallery of listings and what is asked of it out.

A listing is one creative under one of its product's titles, which take turns (good, stuffed, bare),
as a marketplace has them. All listings of the test products are there, and the first few of every
training product stand between them. Asked are search queries, images and both, each of a test
product; a listing that asks is not in its own gallery.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from creative4u.errors import InputError
from creative4u.moon.catalogue.behaviour import Behaviour, read_behaviour
from creative4u.moon.catalogue.items import Item, read_world, validation_cut
from creative4u.moon.encoder.content import Content

Bools = npt.NDArray[np.bool_]
QUALITIES = ("good", "stuffed", "bare")
LEAST_BOUGHT, BOUGHT_SHARE = 3, 0.25  # what makes a product right for a query; see `behaviour`


@dataclass(frozen=True)
class Listing:
    """One creative on sale; `product` is its item's number."""

    product: int
    title: str
    image: Path

    @property
    def content(self) -> Content:
        """Image and title."""
        return Content(self.title, self.image)


@dataclass(frozen=True)
class Asked:
    """Contents that ask, and which listings are right or not there for each, (Q, G) bool.

    `group` is the product or query that an answer depends on: intervals draw whole groups.
    """

    contents: tuple[Content, ...]
    right: Bools
    excluded: Bools
    group: tuple[int, ...]


@dataclass(frozen=True)
class Gallery:
    """The listings, and what is asked of them by modality t, i and mm."""

    items: tuple[Item, ...]
    listings: tuple[Listing, ...]
    asked: dict[str, Asked]

    def contents(self, modality: str) -> list[Content]:
        """The gallery's own contents as t, i or mm."""
        whole = [listing.content for listing in self.listings]
        part = {"t": "only_text", "i": "only_image"}.get(modality)
        return [getattr(one, part) for one in whole] if part else whole


def titles_of(folder: Path) -> list[tuple[str, ...]]:
    """Each product's titles by `QUALITIES`, in the order of the products' numbers."""
    rows = duckdb.execute(
        "select titles from read_parquet(?) order by product", [str(folder / "products.parquet")]
    ).fetchall()
    return [tuple(json.loads(row)[quality] for quality in QUALITIES) for (row,) in rows]


def read_gallery(folder: Path, others: int = 4, validation: bool = False) -> Gallery:
    """The benchmark of a shop; `others` listings of each training product. Raises InputError.

    `validation`: a cut of the training things asks and the test things are not there (`items`).
    """
    items = read_world(folder)
    if validation:
        few = [replace(item, images=item.images[:others]) for item in items]
        items = validation_cut(few)
    behaviour = read_behaviour(
        folder, len(items), least_bought=LEAST_BOUGHT, bought_share=BOUGHT_SHARE
    )
    return build_gallery(items, titles_of(folder), behaviour, others)


def build_gallery(
    items: Sequence[Item],
    titles: Sequence[Sequence[str]],
    behaviour: Behaviour,
    others: int = 4,
) -> Gallery:
    """Put the listings of `items` up and ask for those of the test split; raises InputError."""
    listings = [
        Listing(product, titles[product][place % len(titles[product])], image)
        for product, item in enumerate(items)
        for place, image in enumerate(item.images if item.split == "test" else item.images[:others])
    ]
    product = np.array([listing.product for listing in listings])
    test = np.array([item.split == "test" for item in items])
    if not test[product].any():
        raise InputError("no test product with an image in this shop")
    own = np.flatnonzero(test[product])
    own = own[[int((product == product[row]).sum()) > 1 for row in own]]
    wanted = _bought(behaviour, test)
    images = Asked(
        tuple(Content(image=listings[row].image) for row in own),
        product[own][:, None] == product[None],
        own[:, None] == np.arange(len(listings))[None],
        tuple(int(one) for one in product[own]),
    )
    texts = Asked(
        tuple(Content(behaviour.queries[query]) for query in wanted),
        np.stack([np.isin(product, list(found)) for found in wanted.values()]),
        np.zeros((len(wanted), len(listings)), bool),
        tuple(min(found) for found in wanted.values()),
    )
    return Gallery(
        tuple(items), tuple(listings), {"t": texts, "i": images, "mm": _both(texts, images)}
    )


def _bought(behaviour: Behaviour, test: Bools) -> dict[int, set[int]]:
    """The products of each query whose bought products are all of the test split."""
    found: dict[int, set[int]] = {}
    for query, product in behaviour.bought.tolist():
        found.setdefault(query, set()).add(product)
    kept = {query: some for query, some in found.items() if all(test[one] for one in some)}
    if not kept:
        raise InputError("no query in the log after which test products alone were bought")
    return kept


def _both(texts: Asked, images: Asked) -> Asked:
    """Every query beside one image of a product that is right for it; that image is left out."""
    contents, right, excluded, group = [], [], [], []
    for row, text in enumerate(texts.contents):
        shown = [place for place, one in enumerate(images.group) if one == texts.group[row]]
        if not shown:
            continue
        place = shown[row % len(shown)]
        contents.append(Content(text.text, images.contents[place].image))
        right.append(texts.right[row])
        excluded.append(images.excluded[place])
        group.append(texts.group[row])
    return Asked(tuple(contents), np.stack(right), np.stack(excluded), tuple(group))
