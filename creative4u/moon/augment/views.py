"""Augment items for training: enriched titles and further views of the product.

Image-text co-augmentation (MOON2.0, arXiv 2511.12449). Text: a writer enriches the title from title
and attributes, by rule or by a language model (`title_writers`). Images: the product, cut out by
its saliency, on new backgrounds, at new scales and places. A filter drops what the current encoder
finds inconsistent. Nothing is augmented at test time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from creative4u.moon.catalogue.items import Item

Floats = npt.NDArray[np.float32]


class TitleWriter(Protocol):
    """Enriches an item's title."""

    def __call__(self, item: Item, rng: np.random.Generator) -> str: ...


def rule_writer(item: Item, rng: np.random.Generator) -> str:
    """Compose a title from known facts by rule: name, some attributes, brand or category."""
    product = f"{item.colour} {item.name or item.title}".strip()
    kept = [word for word in item.attributes if rng.random() < 0.7]
    forms = (
        product,
        f"{product} with {', '.join(kept)}" if kept else product,
        f"{' '.join(kept)} {product}".strip(),
        f"{item.brand} {product}".strip(),
        f"{item.category}: {product}" if item.category else product,
        item.title or product,
    )
    return str(forms[int(rng.integers(len(forms)))])


def new_view(
    image: Image.Image,
    saliency: npt.NDArray[np.float32],
    background: Image.Image,
    rng: np.random.Generator,
    side: int = 384,
) -> Image.Image:
    """Paste the product of `image` on `background`: scaled, moved, mirrored half of the time.

    The mask is `saliency` (H, W) in 0..1, stretched to the image, with a soft step around half of
    its maximum.
    """
    sharp = np.clip((saliency / max(float(saliency.max()), 1e-6) - 0.35) / 0.3, 0, 1)
    mask = Image.fromarray((sharp * 255).astype(np.uint8)).resize(image.size)
    box = mask.point(lambda value: 255 if value > 127 else 0).getbbox()
    if box is None:
        return ImageOps.fit(image, (side, side))
    product, alpha = image.crop(box), mask.crop(box)
    if rng.random() < 0.5:
        product, alpha = ImageOps.mirror(product), ImageOps.mirror(alpha)
    scale = side * float(rng.uniform(0.45, 0.95)) / max(product.size)
    size = (max(1, round(product.width * scale)), max(1, round(product.height * scale)))
    canvas = ImageOps.fit(background.convert("RGB"), (side, side))
    left = int(rng.integers(0, max(1, side - size[0] + 1)))
    top = int(rng.integers(0, max(1, side - size[1] + 1)))
    canvas.paste(product.resize(size), (left, top), alpha.resize(size))
    return canvas


def is_consistent(
    original: Floats, augmented: Floats, min_cosine: float = 0.5
) -> npt.NDArray[np.bool_]:
    """(N,) whether the cosine of original and augmented unit vectors is at least `min_cosine`."""
    return np.asarray((original * augmented).sum(axis=1) >= min_cosine)


def enrich_titles(
    items: Sequence[Item],
    writer: TitleWriter,
    encode: Callable[[Sequence[str]], Floats],
    rng: np.random.Generator,
    min_cosine: float = 0.5,
) -> list[str]:
    """Write a new title for each item; keep the old one where the new one is inconsistent."""
    written = [writer(item, rng) for item in items]
    old = [item.title or item.name for item in items]
    kept = is_consistent(encode(old), encode(written), min_cosine)
    return [new if keep else was for new, was, keep in zip(written, old, kept, strict=True)]
