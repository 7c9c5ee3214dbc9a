"""An item in, richer titles and further views of it out, for training only.

Image-text co-augmentation (MOON2.0, arXiv 2511.12449). Text: a writer enriches the title from title
and attributes, by rule or by a language model (`writers`). Images: the product, cut out by its
saliency, on new backgrounds, at new scales and views. A filter drops what the current encoder finds
inconsistent. Nothing is augmented at test time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from creative4u.moon.catalogue.items import Item

Floats = npt.NDArray[np.float32]


class Writer(Protocol):
    """Something that enriches an item's title."""

    def __call__(self, item: Item, random: np.random.Generator) -> str: ...


def rule_writer(item: Item, random: np.random.Generator) -> str:
    """The title told anew from what is known: the thing, some attributes, its category."""
    thing = f"{item.colour} {item.name or item.title}".strip()
    kept = [word for word in item.attributes if random.random() < 0.7]
    forms = (
        thing,
        f"{thing} with {', '.join(kept)}" if kept else thing,
        f"{' '.join(kept)} {thing}".strip(),
        f"{item.brand} {thing}".strip(),
        f"{item.category}: {thing}" if item.category else thing,
        item.title or thing,
    )
    return str(forms[int(random.integers(len(forms)))])


def new_view(
    image: Image.Image,
    saliency: npt.NDArray[np.float32],
    background: Image.Image,
    random: np.random.Generator,
    side: int = 384,
) -> Image.Image:
    """The product of `image` on `background`: scaled, moved, sometimes mirrored.

    `saliency` (H, W) in 0..1 is the mask, stretched to the image and sharpened around one half of
    its maximum.
    """
    sharp = np.clip((saliency / max(float(saliency.max()), 1e-6) - 0.35) / 0.3, 0, 1)
    mask = Image.fromarray((sharp * 255).astype(np.uint8)).resize(image.size)
    box = mask.point(lambda value: 255 if value > 127 else 0).getbbox()
    if box is None:
        return ImageOps.fit(image, (side, side))
    product, alpha = image.crop(box), mask.crop(box)
    if random.random() < 0.5:
        product, alpha = ImageOps.mirror(product), ImageOps.mirror(alpha)
    scale = side * float(random.uniform(0.45, 0.95)) / max(product.size)
    size = (max(1, round(product.width * scale)), max(1, round(product.height * scale)))
    canvas = ImageOps.fit(background.convert("RGB"), (side, side))
    left = int(random.integers(0, max(1, side - size[0] + 1)))
    top = int(random.integers(0, max(1, side - size[1] + 1)))
    canvas.paste(product.resize(size), (left, top), alpha.resize(size))
    return canvas


def consistent(original: Floats, augmented: Floats, least: float = 0.5) -> npt.NDArray[np.bool_]:
    """(N,) whether each augmented view's unit vector stays within a cosine of its original's."""
    return np.asarray((original * augmented).sum(axis=1) >= least)


def enriched(
    items: Sequence[Item],
    writer: Writer,
    encode: Callable[[Sequence[str]], Floats],
    random: np.random.Generator,
    least: float = 0.5,
) -> list[str]:
    """A new title for each item; where it is inconsistent with the old one, the old one stays."""
    told = [writer(item, random) for item in items]
    old = [item.title or item.name for item in items]
    kept = consistent(encode(old), encode(told), least)
    return [new if keep else was for new, was, keep in zip(told, old, kept, strict=True)]
