"""Build the benchmark of a shop: a gallery of listings and queries of three modalities.

A listing is one creative under one of its product's titles, which take turns (good, stuffed, bare),
as on a marketplace. The gallery has all listings of the test products and the first few of every
training product. Queries are search queries, images, or both, each of a test product; a listing
whose image is the query is excluded from its gallery.
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
MIN_PURCHASES, MIN_PURCHASE_SHARE = (
    3,
    0.25,
)  # what makes a product positive for a query; see `behaviour`


@dataclass(frozen=True)
class Listing:
    """One creative with a title; `product` is its item's number."""

    product: int
    title: str
    image: Path

    @property
    def content(self) -> Content:
        """Image and title."""
        return Content(self.title, self.image)


@dataclass(frozen=True)
class QuerySet:
    """Queries with their positives and excluded listings, (Q, G) bool.

    `group` is the product that a query depends on: intervals draw whole groups.
    """

    contents: tuple[Content, ...]
    positive: Bools
    excluded: Bools
    group: tuple[int, ...]


@dataclass(frozen=True)
class Gallery:
    """The listings, and the queries by modality: t, i and mm."""

    items: tuple[Item, ...]
    listings: tuple[Listing, ...]
    queries: dict[str, QuerySet]

    def contents(self, modality: str) -> list[Content]:
        """The listings' contents in modality t, i or mm."""
        whole = [listing.content for listing in self.listings]
        part = {"t": "only_text", "i": "only_image"}.get(modality)
        return [getattr(one, part) for one in whole] if part else whole


def titles_of(folder: Path) -> list[tuple[str, ...]]:
    """Each product's titles in the order of `QUALITIES`, by product number."""
    rows = duckdb.execute(
        "select titles from read_parquet(?) order by product", [str(folder / "products.parquet")]
    ).fetchall()
    return [tuple(json.loads(row)[quality] for quality in QUALITIES) for (row,) in rows]


def read_gallery(folder: Path, train_listings: int = 4, validation: bool = False) -> Gallery:
    """Read the benchmark of a shop, with `train_listings` listings of each training product.

    `validation`: a cut of the training classes gives the queries, test items are left out (see
    `items.validation_cut`). Raises InputError.
    """
    items = read_world(folder)
    if validation:
        few = [replace(item, images=item.images[:train_listings]) for item in items]
        items = validation_cut(few)
    behaviour = read_behaviour(
        folder, len(items), min_purchases=MIN_PURCHASES, min_purchase_share=MIN_PURCHASE_SHARE
    )
    return build_gallery(items, titles_of(folder), behaviour, train_listings)


def build_gallery(
    items: Sequence[Item],
    titles: Sequence[Sequence[str]],
    behaviour: Behaviour,
    train_listings: int = 4,
) -> Gallery:
    """Build listings of `items` and queries for those of the test split. Raises InputError."""
    listings = [
        Listing(product, titles[product][place % len(titles[product])], image)
        for product, item in enumerate(items)
        for place, image in enumerate(
            item.images if item.split == "test" else item.images[:train_listings]
        )
    ]
    product = np.array([listing.product for listing in listings])
    test = np.array([item.split == "test" for item in items])
    if not test[product].any():
        raise InputError("this shop has no test product with an image")
    own = np.flatnonzero(test[product])
    own = own[[int((product == product[row]).sum()) > 1 for row in own]]
    wanted = _bought_products(behaviour, test)
    images = QuerySet(
        tuple(Content(image=listings[row].image) for row in own),
        product[own][:, None] == product[None],
        own[:, None] == np.arange(len(listings))[None],
        tuple(int(one) for one in product[own]),
    )
    texts = QuerySet(
        tuple(Content(behaviour.queries[query]) for query in wanted),
        np.stack([np.isin(product, list(found)) for found in wanted.values()]),
        np.zeros((len(wanted), len(listings)), bool),
        tuple(min(found) for found in wanted.values()),
    )
    return Gallery(
        tuple(items), tuple(listings), {"t": texts, "i": images, "mm": _with_image(texts, images)}
    )


def _bought_products(behaviour: Behaviour, test: Bools) -> dict[int, set[int]]:
    """The bought products of each query, where all of them are of the test split."""
    found: dict[int, set[int]] = {}
    for query, product in behaviour.bought.tolist():
        found.setdefault(query, set()).add(product)
    test_only = {query: some for query, some in found.items() if all(test[one] for one in some)}
    if not test_only:
        raise InputError("the log has no query with purchases of test products only")
    return test_only


def _with_image(texts: QuerySet, images: QuerySet) -> QuerySet:
    """Pair each query with one image of a positive product; that image's listing is excluded."""
    contents, positive, excluded, group = [], [], [], []
    for row, text in enumerate(texts.contents):
        places = [place for place, one in enumerate(images.group) if one == texts.group[row]]
        if not places:
            continue
        place = places[row % len(places)]
        contents.append(Content(text.text, images.contents[place].image))
        positive.append(texts.positive[row])
        excluded.append(images.excluded[place])
        group.append(texts.group[row])
    return QuerySet(tuple(contents), np.stack(positive), np.stack(excluded), tuple(group))
