"""Items and an encoder in, the benchmark's figures out (MBE2.0's directions, arXiv 2511.12449).

    creative4u moon evaluate --items METADATA.jsonl --json

What is asked: an item's title (t), a view of its image (i), both (mm). The gallery holds each
item's title, main image, or both. The image that asks is the item's second one, or, where there is
only one, a crop of it, mirrored, shifted in colour and saved as a coarse JPEG: nothing is ever
compared with itself, so nothing has to be left out. Items with the same title are each other's
positives; the best positive's rank counts, ties count against the query (`retrieval`).
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
from creative4u.moon.encoder.baselines import Embeds, baselines
from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.feature_store import FeatureStore

DIRECTIONS = (("t", "i"), ("i", "t"), ("t", "mm"), ("i", "mm"), ("mm", "mm"), ("i", "i"))
Array = npt.NDArray[np.float32]


def other_view(image: Image.Image) -> Image.Image:
    """The middle 81 % of the image, mirrored, warmer and lighter, as a JPEG of quality 40."""
    width, height = image.size
    edge = (width // 20, height // 20)
    crop = image.crop((edge[0], edge[1], width - edge[0], height - edge[1]))
    red, green, blue = ImageOps.mirror(crop).split()
    shifted = Image.merge("RGB", (red.point(lambda v: min(255, v * 1.12)), green, blue))
    buffer = io.BytesIO()
    ImageEnhance.Brightness(shifted).enhance(1.1).save(buffer, "JPEG", quality=40)
    return load_image(buffer.getvalue(), "view")


def asking_image(item: Item) -> Any:
    """The image that asks for the item: a second one, or another view of the only one."""
    return item.images[1] if len(item.images) > 1 else other_view(load_image(item.images[0]))


def contents(items: Sequence[Item]) -> tuple[dict[str, list[Content]], dict[str, list[Content]]]:
    """What asks and what is asked, each by modality."""
    views = [asking_image(item) for item in items]
    texts = [Content(item.title) for item in items]
    asks = {
        "t": texts,
        "i": [Content(image=view) for view in views],
        "mm": [Content(item.title, view) for item, view in zip(items, views, strict=True)],
    }
    gallery = {
        "t": texts,
        "i": [Content(image=item.images[0]) for item in items],
        "mm": [item.content for item in items],
    }
    return asks, gallery


def positives(items: Sequence[Item]) -> npt.NDArray[np.bool_]:
    """(N, N): an item is right for itself and for every item of the same title."""
    titles = np.array([" ".join(item.title.lower().split()) for item in items])
    return np.asarray(titles[:, None] == titles[None])


def directions(
    encoder: Embeds,
    asks: Mapping[str, Sequence[Content]],
    gallery: Mapping[str, Sequence[Content]],
    right: npt.NDArray[np.bool_],
    wanted: Sequence[tuple[str, str]] = DIRECTIONS,
) -> dict[str, dict[str, float]]:
    """{"t->i": {"R@1", "R@5", "R@10", "gallery", "queries"}, ...} of one encoder."""
    asking = {one: encoder.encode(asks[one]) for one in {ask for ask, _ in wanted}}
    asked = {one: encoder.encode(gallery[one]) for one in {of for _, of in wanted}}
    found = {}
    for ask, of in wanted:
        rank = best_ranks(asking[ask] @ asked[of].T, right)
        found[f"{ask}->{of}"] = recalls(rank, len(asked[of]))
    return found


def categories(encoder: Embeds, items: Sequence[Item], asked: Sequence[Content]) -> float | None:
    """The share of contents nearest to their own category's name, none trained (zero-shot)."""
    names = sorted({item.category for item in items if item.category})
    if len(names) < 2:
        return None
    rows = [row for row, item in enumerate(items) if item.category]
    labels = encoder.encode([Content(name) for name in names])
    guess = (encoder.encode([asked[row] for row in rows]) @ labels.T).argmax(axis=1)
    return float(np.mean([names[g] == items[r].category for g, r in zip(guess, rows, strict=True)]))


def attributes(encoder: Embeds, items: Sequence[Item], asked: Sequence[Content]) -> float | None:
    """Attribute prediction: of an item's a attributes, how many are among its a nearest ones.

    The choice is between all attributes of all items (zero-shot), averaged over items.
    """
    names = sorted({word for item in items for word in item.attributes})
    rows = [row for row, item in enumerate(items) if item.attributes]
    if len(names) < 2:
        return None
    labels = encoder.encode([Content(name) for name in names])
    scores = encoder.encode([asked[row] for row in rows]) @ labels.T
    order = np.argsort(-scores, axis=1, kind="stable")
    shares = []
    for row, near in zip(rows, order, strict=True):
        own = set(items[row].attributes)
        shares.append(len(own & {names[place] for place in near[: len(own)]}) / len(own))
    return float(np.mean(shares))


def evaluate(
    encoder: Embeds, items: Sequence[Item], store: FeatureStore, beside: bool = True
) -> dict[str, Any]:
    """All figures of `encoder` on `items`, and of the baselines under "baselines"."""
    asks, gallery = contents(items)
    right = positives(items)
    found: dict[str, Any] = directions(encoder, asks, gallery, right)
    found["category"] = categories(encoder, items, gallery["i"])
    found["attribute"] = attributes(encoder, items, gallery["i"])
    if beside:
        found["baselines"] = {
            name: directions(
                one, asks, gallery, right, [pair for pair in DIRECTIONS if one.answers(*pair)]
            )
            for name, one in baselines(store).items()
        }
    return found
