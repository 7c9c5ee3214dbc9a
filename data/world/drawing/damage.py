"""Damage an image in one of several ways at a strength from 0 to 1.

Pure functions; `rng` picks among the ways in which real pictures go wrong. Lengths are measured
on the picture as a 224-pixel model sees it, so a strength means the same at any size.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from data.world.drawing.typefaces import Typefaces

MODEL_SIDE = 224
STRIPS = (
    (214, 28, 40),
    (250, 205, 50),
    (20, 20, 24),
    (255, 255, 255),
    (30, 90, 220),
    (20, 150, 80),
)
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels


def _unit(image: Image.Image) -> float:
    """Pixels of this picture to one pixel of the model's."""
    return float(np.sqrt(image.width * image.height)) / MODEL_SIDE


def blur(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Out of focus or moved; standard deviation 0.6 (weak) to 4 (strong) model pixels."""
    if strength <= 0:
        return image
    sigma = (0.6 + 3.4 * strength) * _unit(image)
    way = rng.random()
    if way < 0.6:
        return image.filter(ImageFilter.GaussianBlur(sigma))
    if way < 0.8:  # a box twice, as a cheap defocus: variance (w^2 / 12) * 2 = sigma^2
        return image.filter(ImageFilter.BoxBlur(sigma * 1.1)).filter(
            ImageFilter.BoxBlur(sigma * 1.1)
        )
    steps = 9  # motion: the mean of shifted copies, a little longer than the blur it stands for
    angle = rng.uniform(0, np.pi)
    reach = sigma * 2.2
    total = np.zeros((image.height, image.width, 3), np.float32)
    for t in np.linspace(-1, 1, steps):
        move = (1, 0, t * reach * np.cos(angle), 0, 1, t * reach * np.sin(angle))
        total += np.asarray(
            image.transform(image.size, Image.AFFINE, move, Image.BILINEAR), np.float32
        )
    moved = Image.fromarray((total / steps).astype(np.uint8), "RGB")
    margin = int(np.ceil(reach)) + 1  # what came from outside the picture
    inner = moved.crop((margin, margin, image.width - margin, image.height - margin))
    return inner.resize(image.size, Image.BILINEAR)


def low_resolution(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Shrunk to 1/1.6 (weak) ... 1/7.5 (strong) of the model's pixels and blown up again."""
    if strength <= 0:
        return image
    factor = (1.6 + 5.9 * strength) * _unit(image)
    small = image.resize(
        (max(8, round(image.width / factor)), max(8, round(image.height / factor))), Image.BOX
    )
    if rng.random() < 0.4:
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=int(rng.integers(25, 60)))
        small = Image.open(buffer).convert("RGB")
    return small.resize(image.size, Image.NEAREST if rng.random() < 0.2 else Image.BICUBIC)


def dark(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Underexposed: a middle grey falls to 0.9 (weak) ... 0.18 (strong) of its level."""
    if strength <= 0:
        return image
    keep = 0.9 - 0.72 * strength
    share = rng.uniform(0.35, 1.0)  # how much of it is gain, the rest is gamma
    gain = keep**share
    gamma = 1 + np.log2(1 / keep ** (1 - share))
    ramp = 255 * gain * (np.arange(256) / 255) ** gamma
    table = np.clip(ramp, 0, 255).astype(np.uint8).tolist()
    return image.point(table * 3)


def bright(image: Image.Image, strength: float) -> Image.Image:
    """Overexposed: light tones run out into white."""
    if strength <= 0:
        return image
    ramp = np.arange(256) * (1 + 1.1 * strength) + 45 * strength
    return image.point(np.clip(ramp, 0, 255).astype(np.uint8).tolist() * 3)


def noise(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Sensor noise of a standard deviation up to 38 grey levels."""
    if strength <= 0:
        return image
    grain = rng.normal(0, 3 + 35 * strength, (image.height, image.width, 1)).astype(np.float32)
    pixels = np.asarray(image, np.float32) + grain
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")


def shape_sticker(side: int, rng: np.random.Generator) -> Image.Image:
    """A loud RGBA shape: disc, ring, star, bar or triangle, at most `side` pixels."""
    image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    colour = (*(int(c) for c in rng.integers(0, 256, 3)), 255)
    kind = int(rng.integers(5))
    if kind == 0:
        draw.ellipse([0, 0, side - 1, side - 1], fill=colour)
    elif kind == 1:
        draw.ellipse([1, 1, side - 2, side - 2], outline=colour, width=max(2, side // 6))
    elif kind == 2:
        turns = np.linspace(0, 2 * np.pi, 20, endpoint=False)
        radii = np.where(np.arange(20) % 2, 0.34, 0.5) * side
        points = [
            (side / 2 + r * np.cos(a), side / 2 + r * np.sin(a))
            for a, r in zip(turns, radii, strict=True)
        ]
        draw.polygon(points, fill=colour)
    elif kind == 3:
        draw.rounded_rectangle([0, side * 0.3, side - 1, side * 0.7], radius=side // 8, fill=colour)
    else:
        draw.polygon([(side / 2, 0), (side - 1, side - 1), (0, side - 1)], fill=colour)
    return image


def clutter(
    image: Image.Image,
    strength: float,
    rng: np.random.Generator,
    stickers: Sequence[Image.Image] = (),
    mask: Image.Image | None = None,
) -> Image.Image:
    """Two (weak) to thirteen (strong) foreign things strewn over the picture.

    stickers: RGBA things to strew; without them, and for a third of the things with them, loud
    shapes. mask: an L image of the same size that is painted white wherever something landed.
    """
    if strength <= 0:
        return image
    canvas = image.copy()
    side = min(image.size)
    for _ in range(round(2 + 11 * strength)):
        length = int(side * rng.uniform(0.1, 0.2 + 0.14 * strength))
        if len(stickers) and rng.random() < 0.7:
            sticker = stickers[int(rng.integers(len(stickers)))]
            ratio = length / max(sticker.size)
            sticker = sticker.resize(
                (max(2, round(sticker.width * ratio)), max(2, round(sticker.height * ratio))),
                Image.BILINEAR, reducing_gap=2.0,
            )  # fmt: skip
        else:
            sticker = shape_sticker(length, rng)
        sticker = sticker.rotate(rng.uniform(-180, 180), Image.BILINEAR, expand=True)
        at = (
            int(rng.uniform(-0.3 * length, image.width - 0.7 * length)),
            int(rng.uniform(-0.3 * length, image.height - 0.7 * length)),
        )
        canvas.paste(sticker, at, sticker)
        if mask is not None:
            mask.paste(255, (at[0], at[1], at[0] + sticker.width, at[1] + sticker.height),
                       sticker.getchannel("A"))  # fmt: skip
    return canvas


def cut_off(
    image: Image.Image, strength: float, rng: np.random.Generator, subject: Box
) -> Image.Image:
    """A crop that loses 0.15 (weak) to 0.6 (strong) of the subject's box over one edge.

    The crop keeps the picture's shape and is blown up to its size; nothing is invented.
    """
    width, height = image.size
    left, top, right, bottom = subject
    lost = 0.15 + 0.45 * strength
    edge = int(rng.integers(4))
    x0, y0, x1, y1 = 0.0, 0.0, float(width), float(height)
    if edge == 0:
        x0 = left + lost * (right - left)
    elif edge == 1:
        x1 = right - lost * (right - left)
    elif edge == 2:
        y0 = top + lost * (bottom - top)
    else:
        y1 = bottom - lost * (bottom - top)
    share = max(min((x1 - x0) / width, (y1 - y0) / height), 0.2)
    crop_width, crop_height = width * share, height * share
    if edge < 2:  # the other direction: round the subject's middle
        x0 = x0 if edge == 0 else x1 - crop_width
        y0 = min(max((top + bottom - crop_height) / 2, 0), height - crop_height)
    else:
        y0 = y0 if edge == 2 else y1 - crop_height
        x0 = min(max((left + right - crop_width) / 2, 0), width - crop_width)
    x0 = min(max(x0, 0.0), width - crop_width)
    y0 = min(max(y0, 0.0), height - crop_height)
    box = (x0, y0, min(x0 + crop_width, width), min(y0 + crop_height, height))
    return image.resize(image.size, Image.BICUBIC, box=box)


def text_banner(
    image: Image.Image,
    strength: float,
    rng: np.random.Generator,
    subject: Box,
    words: str,
    typefaces: Typefaces,
) -> Image.Image:
    """A filled strip with words over the subject's middle, 0.14 to 0.36 of the picture high.

    It is as wide as the picture or a little wider than the subject.
    """
    width, height = image.size
    left, top, right, bottom = subject
    tall = int(height * (0.14 + 0.22 * strength))
    centre = int((top + bottom) / 2 + rng.uniform(-0.12, 0.12) * (bottom - top))
    y0 = min(max(centre - tall // 2, 0), height - tall)
    x0, x1 = 0, width
    if rng.random() < 0.5:
        spread = int((right - left) * rng.uniform(0.05, 0.2))
        x0, x1 = max(left - spread, 0), min(right + spread, width)
    ground = STRIPS[int(rng.integers(len(STRIPS)))]
    ink = (255, 255, 255) if sum(ground) < 400 else (25, 25, 30)
    out = image.copy()
    draw = ImageDraw.Draw(out)
    draw.rectangle([x0, y0, x1 - 1, y0 + tall - 1], fill=ground)
    chinese = any(ord(letter) > 0x2E80 for letter in words)
    pick = float(rng.random())
    size = tall * 0.62
    font = typefaces.font(pick, int(size), chinese)
    wide = draw.textlength(words, font=font)
    if wide > 0.92 * (x1 - x0):
        font = typefaces.font(pick, int(size * 0.92 * (x1 - x0) / wide), chinese)
    draw.text(((x0 + x1) / 2, y0 + tall / 2), words, font=font, fill=ink, anchor="mm")
    return out
