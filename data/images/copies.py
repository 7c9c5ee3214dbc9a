"""Measure how often copies are taken for one picture, and small changes too.

Run: python -m data.images.copies FOLDER --count 500

FOLDER holds images. Copies are each image re-saved (JPEG of quality 60 to 95) and half its size;
changes are a price sticker, another price, a crop of a tenth, a blur, less light. Prints a
Markdown table of the share taken for one picture (`selector.same_picture`): all copies should be,
no change.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont
from PIL.Image import Resampling
from tqdm import tqdm

from creative4u.images import encode, load_image
from creative4u.selector.same_picture import likeness

Change = Callable[[Image.Image, random.Random], Image.Image]
Pair = Callable[[Image.Image, random.Random], tuple[Image.Image, Image.Image]]
COLOURS = ("#dc1e1e", "#fad228", "#ffffff", "#141414")
FORMATS = {".jpg", ".jpeg", ".png", ".webp"}


def resaved(quality: int) -> Change:
    """The image as JPEG and back."""
    return lambda image, _: load_image(encode(image, max(image.size), quality))


def halved(how: Resampling, quality: int | None = None) -> Change:
    """Half its size; as JPEG and back where there is a quality."""

    def change(image: Image.Image, rng: random.Random) -> Image.Image:
        small = image.resize((image.width // 2, image.height // 2), how)
        return small if quality is None else resaved(quality)(small, rng)

    return change


def sticker(share: float, price: str = "$19.99") -> Change:
    """A price on a plate of `share` of the image's width and half as high, anywhere."""

    def change(image: Image.Image, rng: random.Random) -> Image.Image:
        drawn = image.copy()
        wide = int(share * image.width)
        high = min(wide // 2, image.height)
        x, y = rng.randint(0, image.width - wide), rng.randint(0, image.height - high)
        pen = ImageDraw.Draw(drawn)
        pen.rectangle((x, y, x + wide, y + high), fill=rng.choice(COLOURS), outline="#5a5a5a")
        font = ImageFont.load_default(max(8, high // 2))
        pen.text((x + 3, y + high // 4), price, fill="#808080", font=font)
        return drawn

    return change


def crop(left: float, top: float, right: float, bottom: float) -> Change:
    """Cut shares of width and height off."""
    return lambda image, _: image.crop((
        int(left * image.width), int(top * image.height),
        int((1 - right) * image.width), int((1 - bottom) * image.height),
    ))  # fmt: skip


def blur(percent: float) -> Change:
    """A Gaussian of `percent` of the longer side."""
    return lambda image, _: image.filter(
        ImageFilter.GaussianBlur(percent / 100 * max(image.size))
    )


def other_price(share: float) -> Pair:
    """The same plate with one price and with another."""

    def pair(image: Image.Image, rng: random.Random) -> tuple[Image.Image, Image.Image]:
        state = rng.getstate()
        one = sticker(share)(image, rng)
        rng.setstate(state)
        return one, sticker(share, "$14.49")(image, rng)

    return pair


COPIES: dict[str, Change] = {
    "the same file": lambda image, _: image.copy(),
    **{f"JPEG {quality}": resaved(quality) for quality in (60, 75, 85, 95)},
    **{f"half, {how.name.lower()}": halved(how)
       for how in (Resampling.BOX, Resampling.BILINEAR, Resampling.BICUBIC, Resampling.LANCZOS)},
    "half, nearest": halved(Resampling.NEAREST),
    "half, JPEG 75": halved(Resampling.LANCZOS, 75),
    "half, JPEG 60": halved(Resampling.BICUBIC, 60),
}  # fmt: skip
CHANGES: dict[str, Change] = {
    **{f"sticker of {share:.0%} of the width": sticker(share) for share in (0.10, 0.15, 0.20)},
    "crop, a tenth off the right": crop(0, 0, 0.1, 0),
    "crop, a twentieth off each side": crop(0.05, 0.05, 0.05, 0.05),
    **{f"blur of {percent} % of the longer side": blur(percent) for percent in (0.2, 0.3, 0.5, 1)},
    "a tenth darker": lambda image, _: ImageEnhance.Brightness(image).enhance(0.9),
}


REPLACED: dict[str, Pair] = {
    f"another price on the same sticker, {share:.0%} of the width": other_price(share)
    for share in (0.15, 0.20, 0.30)
}


def rates(files: list[Path], changes: Mapping[str, Pair], seed: int = 0) -> dict[str, float]:
    """By change, the share of pairs that are taken for one picture."""
    rng = random.Random(seed)
    found = dict.fromkeys(changes, 0)
    for file in tqdm(files):
        image = load_image(file)
        for name, change in changes.items():
            found[name] += likeness(*change(image, rng)) is not None
    return {name: count / len(files) for name, count in found.items()}


def beside(changes: Mapping[str, Change]) -> dict[str, Pair]:
    """Each change as a pair: an image as it is, and changed."""

    def pair(change: Change) -> Pair:
        return lambda image, rng: (image, change(image, rng))

    return {name: pair(change) for name, change in changes.items()}


def lines(files: list[Path]) -> Iterator[str]:
    """The table."""
    yield "| pair of a picture and | taken for one picture | should be |\n|---|---|---|"
    for changes, due in ((beside(COPIES), "1"), (beside(CHANGES) | REPLACED, "0")):
        for name, share in rates(files, changes).items():
            yield f"| {name} | {share:.3f} | {due} |"
    different = pairwise(files)
    taken = [likeness(load_image(a), load_image(b)) is not None for a, b in different]
    yield f"| another picture | {sum(taken) / max(1, len(taken)):.3f} | 0 |"


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("folder", type=Path)
    asked.add_argument("--count", type=int, default=500)
    asked.add_argument("--seed", type=int, default=1, help="which images are drawn")
    told = asked.parse_args()
    every = sorted(path for path in told.folder.rglob("*") if path.suffix.lower() in FORMATS)
    drawn = random.Random(told.seed).sample(every, min(told.count, len(every)))
    print("\n".join(lines(drawn)))
