"""Pair each real image of a folder with damaged copies of itself, for measuring only.

A person sees at once which side is the better one; so should a selector. The pairs are for
measuring only, never for training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from creative4u.errors import InputError
from creative4u.files.json_rows import json_rows
from creative4u.images import load_image
from creative4u.schema import CreativePair, Side
from data.subject_box import subject_box
from data.world.drawing import damage
from data.world.drawing.typefaces import Typefaces, find_typefaces

DAMAGES = ("blurred", "dark", "cluttered", "cut off", "other product", "text over subject")
SIDE = 384  # pixels, the longer side of what is written
SOURCE_SIDE = 768  # pixels, what a crop is taken from, so that cutting off blurs little
QUALITY = 90
WORDS = (
    "SUPER SALE",
    "HOT DEAL!!!",
    "50% OFF TODAY",
    "CLICK HERE NOW",
    "限时特价",
    "清仓大甩卖",
    "全场包邮",
)


@dataclass(frozen=True)
class Sample:
    """One row of metadata.jsonl with its image, SIDE pixels long, and its larger source."""

    name: str  # unique, from the file's
    image: Image.Image
    source: Image.Image
    title: str
    category: str


def read_samples(folder: Path) -> tuple[Sample, ...]:
    """The rows of FOLDER/metadata.jsonl (file_name, title, optional category).

    Raises InputError for a missing or empty file or a row without these names, ImageError for an
    image that breaks the rules.
    """
    path = folder / "metadata.jsonl"
    if not path.is_file():
        raise InputError(f"{folder}: no metadata.jsonl; rows with file_name and title are needed")
    samples: dict[str, Sample] = {}
    for number, cells in enumerate(json_rows(path), 1):
        row = _row(cells, f"{path}:{number}")
        image = load_image(folder / row["file_name"])
        name = Path(row["file_name"]).stem
        if name in samples:
            raise InputError(f"{path}:{number}: a second image of the name {name!r}")
        image.thumbnail((SOURCE_SIDE, SOURCE_SIDE), Image.Resampling.LANCZOS)
        samples[name] = Sample(name, _scaled(image), image, row["title"], row.get("category") or "")
    if len(samples) < 2:
        raise InputError(f"{path}: {len(samples)} images; at least 2 are needed")
    return tuple(samples.values())


def _scaled(image: Image.Image) -> Image.Image:
    scale = SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _row(row: Mapping[str, Any] | str, where: str) -> Mapping[str, Any]:
    if isinstance(row, str):
        raise InputError(f"{where}: {row}")
    if not row.get("file_name") or not row.get("title"):
        raise InputError(f"{where}: a row needs file_name and title")
    return row


def queries_of(sample: Sample) -> tuple[str, ...]:
    """One or two short queries: the title's last words, and the category where it adds one."""
    head = sample.title.split(" with ")[0].split(",")[0].lower()
    words = [word for word in head.split() if not any(letter.isdigit() for letter in word)]
    first = " ".join(words[-2:]) or head
    category = sample.category.lower()
    if category and category not in first:
        return (first, category)
    return (first,)


def _clutter(sample: Sample, others: Sequence[Sample], rng: np.random.Generator) -> Image.Image:
    """Round and square cuttings of other samples, and loud shapes, strewn over the image."""
    stickers = []
    for i in rng.choice(len(others), size=min(4, len(others)), replace=False):
        cutting = others[int(i)].image.crop(subject_box(others[int(i)].image)).convert("RGBA")
        mask = Image.new("L", cutting.size, 0)
        paint = (
            ImageDraw.Draw(mask).ellipse if rng.random() < 0.5 else ImageDraw.Draw(mask).rectangle
        )
        paint([0, 0, cutting.width - 1, cutting.height - 1], fill=255)
        cutting.putalpha(mask)
        stickers.append(cutting)
    return damage.clutter(sample.image, float(rng.uniform(0.4, 0.75)), rng, stickers)


def _other_product(
    sample: Sample, others: Sequence[Sample], rng: np.random.Generator
) -> Image.Image:
    """Another sample's image, of another category and the nearest shape, cut to the same size."""
    far = [other for other in others if other.category != sample.category] or list(others)
    shape = sample.image.width / sample.image.height
    gap = [abs(np.log(other.image.width / other.image.height / shape)) for other in far]
    near = [other for other, g in zip(far, gap, strict=True) if g <= min(gap) + 0.02]
    image = near[int(rng.integers(len(near)))].source
    share = min(image.width / sample.image.width, image.height / sample.image.height)
    width, height = sample.image.width * share, sample.image.height * share
    left, top = (image.width - width) / 2, (image.height - height) / 2
    box = (left, top, left + width, top + height)
    return image.resize(sample.image.size, Image.Resampling.BICUBIC, box=box)


def spoil(
    name: str,
    sample: Sample,
    others: Sequence[Sample],
    typefaces: Typefaces,
    rng: np.random.Generator,
) -> Image.Image:
    """The sample's image with the damage `name`, in a strength that is plain but not absurd."""
    image = sample.image
    words = [word for word in WORDS if word.isascii() or typefaces.chinese]
    ways: dict[str, Callable[[], Image.Image]] = {
        "blurred": lambda: damage.blur(image, float(rng.uniform(0.45, 0.8)), rng),
        "dark": lambda: damage.dark(image, float(rng.uniform(0.6, 0.85)), rng),
        "cluttered": lambda: _clutter(sample, others, rng),
        "cut off": lambda: damage.cut_off(
            sample.source, float(rng.uniform(0.55, 0.9)), rng, subject_box(sample.source)
        ).resize(image.size, Image.Resampling.LANCZOS),
        "other product": lambda: _other_product(sample, others, rng),
        "text over subject": lambda: damage.text_banner(
            image,
            float(rng.uniform(0.4, 1)),
            rng,
            subject_box(image),
            str(rng.choice(words)),
            typefaces,
        ),
    }
    return ways[name]()


def sanity(
    samples: Path,
    out: Path,
    seed: int = 7,
    per_image: int | None = None,
    typefaces: Typefaces | None = None,
) -> Path:
    """Write OUT/images and OUT/pairs.jsonl (CreativePair rows), whose path is returned.

    Both images of a pair have the same size and were encoded alike. The undamaged one is the
    label; it is side A in half of each damage's pairs, as near as can be, in all of them too.
    per_image: how many of the six damages each image gets, drawn per image; all by default.
    The same samples, seed and typefaces give the same bytes.
    """
    if per_image is not None and not 1 <= per_image <= len(DAMAGES):
        raise InputError(f"per_image is {per_image}; 1 to {len(DAMAGES)} are allowed")
    stock = read_samples(samples)
    typefaces = typefaces or find_typefaces()
    (out / "images").mkdir(parents=True, exist_ok=True)
    jobs = _jobs(stock, per_image or len(DAMAGES), seed)
    sides = _sides([name for _, name in jobs], seed)
    rows = []
    for (i, name), side in zip(jobs, sides, strict=True):
        sample = stock[i]
        rng = np.random.default_rng([seed, 53, i, DAMAGES.index(name)])
        others = stock[:i] + stock[i + 1 :]
        whole = Path("images") / f"{sample.name}.jpg"
        broken = Path("images") / f"{sample.name}-{name.replace(' ', '-')}.jpg"
        sample.image.save(out / whole, "JPEG", quality=QUALITY)
        spoil(name, sample, others, typefaces, rng).save(out / broken, "JPEG", quality=QUALITY)
        pair = CreativePair(
            pair_id=f"{sample.name}-{name.replace(' ', '-')}",
            product_id=sample.name,
            product_title=sample.title,
            queries=queries_of(sample),
            image_a=whole if side == "A" else broken,
            image_b=broken if side == "A" else whole,
            label=side,
            split="test",
            tags=(name,),
        )
        rows.append(pair.model_dump_json(exclude_none=True))
    path = out / "pairs.jsonl"
    path.write_text("".join(f"{row}\n" for row in rows), "utf-8")
    return path


def _jobs(stock: Sequence[Sample], each: int, seed: int) -> list[tuple[int, str]]:
    rng = np.random.default_rng([seed, 57])
    return [
        (i, DAMAGES[int(j)])
        for i in range(len(stock))
        for j in sorted(rng.permutation(len(DAMAGES))[:each].tolist())
    ]


def _sides(names: Sequence[str], seed: int) -> list[Side]:
    """Half A and half B within each damage; the odd ones out take turns."""
    rng = np.random.default_rng([seed, 59])
    sides: list[Side] = ["A"] * len(names)
    turn = 0
    for damage_name in DAMAGES:
        places = [i for i, name in enumerate(names) if name == damage_name]
        order = rng.permutation(len(places)).tolist()
        count = len(places) // 2
        if len(places) % 2:
            count += turn
            turn = 1 - turn
        for k in order[:count]:
            sides[places[k]] = "B"
    return sides
