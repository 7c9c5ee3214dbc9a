"""Attribute the similarity of an item's title and image to words and patches.

Attribution by occlusion (our choice: it needs only vectors, so it is the same for every backbone):
the drop of the cosine when a patch is painted in the image's mean colour, or a word is left out.
Words are product words (what the catalogue knows of the item: name, colour, brand, attributes,
category) or filler. MOON2.0 shows attention moving from filler to product words (arXiv 2511.12449);
our number is the share of all positive drops that falls on product words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from creative4u.moon.catalogue.items import Item
from creative4u.moon.encoder.baselines import Embedder
from creative4u.moon.encoder.content import Content

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WordDrops:
    """The words of a title, the cosine's drop without each, and which are product words."""

    words: tuple[str, ...]
    drops: tuple[float, ...]
    product: tuple[bool, ...]

    @property
    def share(self) -> float:
        """The share of positive drops on product words; nan without any positive drop."""
        positive = np.maximum(self.drops, 0.0)
        total = float(positive.sum())
        return float(positive[list(self.product)].sum()) / total if total > 0 else float("nan")


def product_words(item: Item) -> frozenset[str]:
    """The words, in lower case, that the catalogue knows of the item."""
    known = (item.name, item.colour, item.brand, item.category, *item.attributes)
    return frozenset(word for one in known for word in _words(one))


def word_drops(
    encoder: Embedder, titles: Sequence[str], against: Sequence[Content], items: Sequence[Item]
) -> list[WordDrops]:
    """The drops of each title's words, in the cosine with its content of `against`."""
    texts: list[str] = []
    spans = []
    for title in titles:
        words = title.split()
        start = len(texts)
        texts.append(title)
        texts += [" ".join(words[:n] + words[n + 1 :]) or "." for n in range(len(words))]
        spans.append((start, words))
    vectors = encoder.encode([Content(text) for text in texts])
    other = encoder.encode(list(against))
    found = []
    for (start, words), vector, item in zip(spans, other, items, strict=True):
        cosines = vectors[start : start + 1 + len(words)] @ vector
        known = product_words(item)
        found.append(
            WordDrops(
                tuple(words),
                tuple(float(cosines[0] - one) for one in cosines[1:]),
                tuple(any(part in known for part in _words(word)) for word in words),
            )
        )
    return found


def patch_drops(encoder: Embedder, image: Image.Image, against: Content, grid: int = 6) -> Floats:
    """The drops (grid, grid) of the cosine when a patch is painted over; rows from the top."""
    pixels = np.asarray(image.convert("RGB"))
    mean = tuple(int(one) for one in pixels.mean(axis=(0, 1)))
    height, width = pixels.shape[:2]
    rows = [round(height * one / grid) for one in range(grid + 1)]
    columns = [round(width * one / grid) for one in range(grid + 1)]
    views = [image.convert("RGB")]
    for row in range(grid):
        for column in range(grid):
            view = views[0].copy()
            box = (columns[column], rows[row], columns[column + 1], rows[row + 1])
            view.paste(mean, box)
            views.append(view)
    vectors = encoder.encode([Content(image=view) for view in views])
    cosines = vectors @ encoder.encode([against])[0]
    return np.asarray(cosines[0] - cosines[1:].reshape(grid, grid), np.float64)


def share_on_mask(drops: Floats, mask: npt.NDArray[Any]) -> float:
    """The share of positive patch drops on `mask` (H, W) in 0..1; nan without any."""
    grid = len(drops)
    height, width = mask.shape
    weight = np.array(
        [
            [
                mask[
                    height * r // grid : height * (r + 1) // grid,
                    width * c // grid : width * (c + 1) // grid,
                ].mean()
                for c in range(grid)
            ]
            for r in range(grid)
        ]
    )
    positive = np.maximum(drops, 0)
    total = float(positive.sum())
    return float((positive * weight).sum()) / total if total > 0 else float("nan")


def draw_heatmap(
    image: Image.Image, drops: Floats, words: WordDrops, file: Any, caption: str = ""
) -> None:
    """Draw the image, its patches' drops beside and the words' drops below, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=110)
    FigureCanvasAgg(figure)
    left, right = figure.add_subplot(2, 2, 1), figure.add_subplot(2, 2, 2)
    below = figure.add_subplot(2, 1, 2)
    extent = (0, image.width, image.height, 0)
    left.imshow(image)
    right.imshow(image, alpha=0.55)
    right.imshow(np.maximum(drops, 0), alpha=0.6, extent=extent, cmap="magma")
    for axes in (left, right):
        axes.set_axis_off()
    colours = ["#0f766e" if product else "#9aa8b8" for product in words.product]
    below.bar(range(len(words.words)), words.drops, color=colours)
    below.set_xticks(range(len(words.words)), words.words, rotation=30, ha="right", fontsize=8)
    below.set_ylabel("drop of the cosine")
    below.set_title(f"{caption} product words (dark) {words.share:.0%}", fontsize=9)
    figure.tight_layout()
    figure.savefig(file)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())
