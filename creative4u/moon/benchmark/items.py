"""Evaluate an encoder on items: retrieval in MBE2.0's directions (arXiv 2511.12449).

    creative4u moon evaluate --items METADATA.jsonl --json

Queries are an item's title (t), a view of its image (i), or both (mm). The gallery holds each
item's title, main image, or both. The query image is the item's second one; where there is only
one, a crop of it, mirrored, shifted in colour, saved as a coarse JPEG: no image is compared with
itself. Items with the same title are each other's positives.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageOps

from creative4u.images import load_image
from creative4u.moon.benchmark.ranks import best_ranks, recalls
from creative4u.moon.catalogue.items import Item
from creative4u.moon.encoder.baselines import Embedder, baselines
from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.feature_store import FeatureStore

DIRECTIONS = (("t", "i"), ("i", "t"), ("t", "mm"), ("i", "mm"), ("mm", "mm"), ("i", "i"))
Array = npt.NDArray[np.float32]


def distorted_view(image: Image.Image) -> Image.Image:
    """Crop to the middle 81 %, mirror, shift to red, lighten, save as JPEG of quality 40."""
    width, height = image.size
    edge = (width // 20, height // 20)
    crop = image.crop((edge[0], edge[1], width - edge[0], height - edge[1]))
    red, green, blue = ImageOps.mirror(crop).split()
    shifted = Image.merge("RGB", (red.point(lambda v: min(255, v * 1.12)), green, blue))
    buffer = io.BytesIO()
    ImageEnhance.Brightness(shifted).enhance(1.1).save(buffer, "JPEG", quality=40)
    return load_image(buffer.getvalue(), "view")


def query_image(item: Item) -> Any:
    """The image that queries for the item: a second one, or another view of the only one."""
    return item.images[1] if len(item.images) > 1 else distorted_view(load_image(item.images[0]))


def queries_and_gallery(
    items: Sequence[Item],
) -> tuple[dict[str, list[Content]], dict[str, list[Content]]]:
    """The contents of queries and of the gallery, each by modality."""
    views = [query_image(item) for item in items]
    texts = [Content(item.title) for item in items]
    queries = {
        "t": texts,
        "i": [Content(image=view) for view in views],
        "mm": [Content(item.title, view) for item, view in zip(items, views, strict=True)],
    }
    gallery = {
        "t": texts,
        "i": [Content(image=item.images[0]) for item in items],
        "mm": [item.content for item in items],
    }
    return queries, gallery


def positives(items: Sequence[Item]) -> npt.NDArray[np.bool_]:
    """(N, N): an item is a positive for itself and for every item of the same title."""
    titles = np.array([" ".join(item.title.lower().split()) for item in items])
    return np.asarray(titles[:, None] == titles[None])


def recalls_by_direction(
    encoder: Embedder,
    queries: Mapping[str, Sequence[Content]],
    gallery: Mapping[str, Sequence[Content]],
    positive: npt.NDArray[np.bool_],
    wanted: Sequence[tuple[str, str]] = DIRECTIONS,
) -> dict[str, dict[str, float]]:
    """The recalls of one encoder: {"t->i": {"R@1", "R@5", "R@10", "gallery", "queries"}, ...}."""
    query = {one: encoder.encode(queries[one]) for one in {ask for ask, _ in wanted}}
    items = {one: encoder.encode(gallery[one]) for one in {of for _, of in wanted}}
    found = {}
    for ask, of in wanted:
        rank = best_ranks(query[ask] @ items[of].T, positive)
        found[f"{ask}->{of}"] = recalls(rank, len(items[of]))
    return found


def categories(
    encoder: Embedder, items: Sequence[Item], contents: Sequence[Content]
) -> float | None:
    """Zero-shot accuracy: the share of contents nearest to their own category's name.

    None where there are fewer than two categories.
    """
    names = sorted({item.category for item in items if item.category})
    if len(names) < 2:
        return None
    rows = [row for row, item in enumerate(items) if item.category]
    labels = encoder.encode([Content(name) for name in names])
    guess = (encoder.encode([contents[row] for row in rows]) @ labels.T).argmax(axis=1)
    return float(np.mean([names[g] == items[r].category for g, r in zip(guess, rows, strict=True)]))


def attributes(
    encoder: Embedder, items: Sequence[Item], contents: Sequence[Content]
) -> float | None:
    """Zero-shot attribute prediction: of an item's a attributes, the share among its a nearest.

    The candidates are all attributes of all items; averaged over items. None where there are fewer
    than two attributes.
    """
    names = sorted({word for item in items for word in item.attributes})
    rows = [row for row, item in enumerate(items) if item.attributes]
    if len(names) < 2:
        return None
    labels = encoder.encode([Content(name) for name in names])
    scores = encoder.encode([contents[row] for row in rows]) @ labels.T
    order = np.argsort(-scores, axis=1, kind="stable")
    shares = []
    for row, near in zip(rows, order, strict=True):
        own = set(items[row].attributes)
        shares.append(len(own & {names[place] for place in near[: len(own)]}) / len(own))
    return float(np.mean(shares))


def evaluate(
    encoder: Embedder, items: Sequence[Item], store: FeatureStore, with_baselines: bool = True
) -> dict[str, Any]:
    """All figures of `encoder` on `items`; the baselines' under "baselines"."""
    queries, gallery = queries_and_gallery(items)
    positive = positives(items)
    found: dict[str, Any] = recalls_by_direction(encoder, queries, gallery, positive)
    found["category"] = categories(encoder, items, gallery["i"])
    found["attribute"] = attributes(encoder, items, gallery["i"])
    if with_baselines:
        found["baselines"] = {
            name: recalls_by_direction(
                one,
                queries,
                gallery,
                positive,
                [pair for pair in DIRECTIONS if one.can_search(*pair)],
            )
            for name, one in baselines(store).items()
        }
    return found
