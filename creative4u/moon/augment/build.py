"""A shop's training items in, a folder of augmented views with enriched titles out, filtered.

    creative4u moon augment --world DIR --out VIEWS --writer rules
    creative4u moon posttrain world=DIR views=VIEWS

    VIEWS/images/*.jpg, VIEWS/metadata.jsonl (file_name, item_id, title)

Image-text co-augmentation (MOON2.0, arXiv 2511.12449), made ahead of training because looking at an
image costs more than a step. Images in two steps as the paper has them: the product is cut out of
its main image (clean), then put on another background at another scale, place and hand (expand).
What the current encoder finds too far from the original is dropped. Test items stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from creative4u.backbone.saliency import saliency
from creative4u.errors import InputError
from creative4u.files.json_rows import strict_rows
from creative4u.images import load_image
from creative4u.moon.augment.views import Writer, consistent, enriched, new_view
from creative4u.moon.catalogue.items import Item
from creative4u.moon.encoder.baselines import Embeds
from creative4u.moon.encoder.content import Content

SIDE = 384
CHUNK = 16


@dataclass(frozen=True)
class Counts:
    """How many views were made and how many the filter kept."""

    made: int
    kept: int


def backdrop(random: np.random.Generator, side: int = SIDE) -> Image.Image:
    """A background drawn from nothing: a gradient between two tones with soft spots."""
    tones = random.integers(60, 250, (2, 3))
    ramp = np.linspace(0, 1, side)[:, None, None]
    if random.random() < 0.5:
        ramp = ramp.transpose(1, 0, 2)
    plain = np.broadcast_to(tones[0] * (1 - ramp) + tones[1] * ramp, (side, side, 3))
    spots = random.normal(0, 40, (6, 6, 1)) * np.ones(3)
    cloud = Image.fromarray(np.clip(128 + spots, 0, 255).astype(np.uint8)).resize((side, side))
    soft = np.asarray(cloud.filter(ImageFilter.GaussianBlur(side / 12)), float) - 128
    return Image.fromarray(np.clip(plain + soft, 0, 255).astype(np.uint8))


def augment(
    items: Sequence[Item],
    encoder: Embeds,
    writer: Writer,
    out: Path,
    views: int = 1,
    least: float = 0.5,
    seed: int = 7,
    look: Callable[[Sequence[Image.Image]], np.ndarray] = saliency,
) -> Counts:
    """Write the folder; raises InputError where there is no training item with an image."""
    chosen = [item for item in items if item.split != "test" and item.images]
    if not chosen:
        raise InputError("no training item with an image to augment")
    (out / "images").mkdir(parents=True, exist_ok=True)
    rows: list[str] = []
    made = 0
    for start in range(0, len(chosen), CHUNK):
        some = chosen[start : start + CHUNK]
        random = np.random.default_rng([seed, start])
        titles = enriched(some, writer, lambda t: encoder.encode([Content(x) for x in t]), random)
        for item, title, image in _kept(some, titles, encoder, random, views, least, look):
            name = f"images/{item.item_id}-{len(rows):05d}.jpg"
            image.save(out / name, "JPEG", quality=90)
            rows.append(json.dumps({"file_name": name, "item_id": item.item_id, "title": title}))
        made += views * len(some)
    part = out / "metadata.part"
    part.write_text("".join(f"{row}\n" for row in rows), "utf-8")
    part.replace(out / "metadata.jsonl")
    return Counts(made, len(rows))


def _kept(
    items: Sequence[Item],
    titles: Sequence[str],
    encoder: Embeds,
    random: np.random.Generator,
    views: int,
    least: float,
    look: Callable[[Sequence[Image.Image]], np.ndarray],
) -> Iterator[tuple[Item, str, Image.Image]]:
    """The views that the encoder finds consistent with the main image."""
    images = [load_image(item.images[0]) for item in items]
    maps = look(images)
    original = encoder.encode([item.content.only_image for item in items])
    for _ in range(views):
        fresh = [
            new_view(image, one, backdrop(random), random, SIDE)
            for image, one in zip(images, maps, strict=True)
        ]
        near = consistent(original, encoder.encode([Content(image=view) for view in fresh]), least)
        for item, title, view, keep in zip(items, titles, fresh, near, strict=True):
            if keep:
                yield item, title, view


def with_views(items: Sequence[Item], folder: Path, shown: int) -> tuple[list[Item], int]:
    """Training items with their views after their first `shown` images, and how many to read.

    Raises InputError where `folder` holds no views.
    """
    file = folder / "metadata.jsonl"
    if not file.is_file():
        raise InputError(f"no views at {folder}; make them with `creative4u moon augment`")
    views: dict[str, list[Path]] = {}
    for row in strict_rows(file):
        views.setdefault(row["item_id"], []).append(folder / row["file_name"])
    told = [
        replace(item, images=(*item.images[:shown], *views.get(item.item_id, ())))
        if item.split != "test"
        else item
        for item in items
    ]
    return told, shown + max((len(some) for some in views.values()), default=0)
