"""Paint a background of one kind that suits the product's colour, drawn or a photograph."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from data.world.drawing.creative_spec import Backdrop
from data.world.drawing.photographs import open_photograph

Floats = NDArray[np.float32]
Colour = tuple[float, float, float]  # RGB, 0..255


def hsv(hue: float, saturation: float, value: float) -> Colour:
    r, g, b = colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0), 1), min(max(value, 0), 1))
    return (r * 255, g * 255, b * 255)


def base_colour(product: Colour, harmony: str, rng: np.random.Generator) -> Colour:
    """A background colour that goes with the product's mean colour in the way `harmony` says."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(c / 255 for c in product))
    if harmony == "neutral":
        return hsv(rng.random(), rng.uniform(0, 0.08), rng.choice([0.97, 0.93, 0.88, 0.8, 0.22]))
    if harmony == "similar":
        return hsv(hue + rng.normal(0, 0.03), saturation * rng.uniform(0.5, 1), value)
    if harmony == "contrast":
        value = rng.uniform(0.15, 0.35) if value > 0.6 else rng.uniform(0.8, 0.98)
        return hsv(hue + 0.5 + rng.normal(0, 0.06), rng.uniform(0.3, 0.9), value)
    return hsv(rng.random(), rng.uniform(0.2, 0.95), rng.uniform(0.3, 1))


def _grid(width: int, height: int) -> tuple[Floats, Floats]:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return x / max(width - 1, 1), y / max(height - 1, 1)


def _mix(a: Colour, b: Colour, t: Floats) -> Floats:
    t = t[..., None].astype(np.float32)  # (H, W, 1)
    return np.asarray(a, np.float32) * (1 - t) + np.asarray(b, np.float32) * t


def _smooth(pixels: Floats, size: tuple[int, int]) -> Image.Image:
    small = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")
    return small.resize(size, Image.BICUBIC)


def _noise(size: tuple[int, int], cell: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Smooth noise in 0..1, (H, W); `cell` is its grain in pixels (x, y)."""
    width, height = size
    shape = (max(2, height // cell[1]), max(2, width // cell[0]))
    coarse = Image.fromarray((rng.random(shape) * 255).astype(np.uint8), "L")
    return np.asarray(coarse.resize(size, Image.BICUBIC), np.float32) / 255


def _studio(
    size: tuple[int, int], rng: np.random.Generator, warmth: float, ground: float
) -> Image.Image:
    x, y = _grid(96, 96)
    top, low = rng.uniform(0.82, 1.02), rng.uniform(0.84, 1.02)
    horizon = ground - rng.uniform(0.02, 0.3)
    soft = rng.uniform(0.02, 0.3)
    floor = 0.5 * (1 + np.tanh((y - horizon) / soft * 1.5))
    light = top * (1 - floor) + low * floor
    cx, cy = rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.7)
    light = light - rng.uniform(0, 0.22) * ((x - cx) ** 2 + (y - cy) ** 2)
    if rng.random() < 0.25:  # a light from one side
        light = light * (1 - rng.uniform(0.05, 0.25) * (x if rng.random() < 0.5 else 1 - x))
    if rng.random() < 0.12:  # a dark studio
        light = light * rng.uniform(0.15, 0.45)
    elif rng.random() < 0.25:  # plain white, as shops ask for
        light = np.full_like(light, rng.uniform(0.97, 1.0))
    tint = np.array([1 + 0.05 * warmth, 1.0, 1 - 0.06 * warmth], np.float32)
    return _smooth(light[..., None] * 250 * tint, size)


def _gradient(size: tuple[int, int], colour: Colour, rng: np.random.Generator) -> Image.Image:
    x, y = _grid(96, 96)
    angle = rng.uniform(0, 2 * np.pi)
    t = np.clip(0.5 + (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle), 0, 1)
    if rng.random() < 0.4:
        t = np.clip(np.hypot(x - 0.5, y - rng.uniform(0.3, 0.6)) * 1.5, 0, 1)
    hue, saturation, value = colorsys.rgb_to_hsv(*(c / 255 for c in colour))
    other = hsv(
        hue + rng.normal(0, 0.08), saturation * rng.uniform(0.4, 1.2), value * rng.uniform(0.4, 0.9)
    )
    return _smooth(_mix(colour, other, t), size)


def _shapes(size: tuple[int, int], colour: Colour, rng: np.random.Generator) -> Image.Image:
    width, height = size
    image = Image.new("RGB", size, tuple(int(c) for c in colour))
    draw = ImageDraw.Draw(image)
    hue = colorsys.rgb_to_hsv(*(c / 255 for c in colour))[0]
    for _ in range(int(rng.integers(1, 5))):
        near = rng.random() < 0.6
        fill = hsv(
            hue + (rng.normal(0, 0.04) if near else rng.random()),
            rng.uniform(0.1, 0.8),
            rng.uniform(0.6, 1),
        )
        fill_int = tuple(int(c) for c in fill)
        kind = rng.integers(4)
        if kind == 0:  # a split
            cut = rng.uniform(0.25, 0.75) * width
            lean = rng.uniform(-0.4, 0.4) * width
            draw.polygon(
                [(cut + lean, 0), (width, 0), (width, height), (cut - lean, height)], fill=fill_int
            )
        elif kind == 1:
            r = rng.uniform(0.15, 0.5) * width
            cx, cy = rng.uniform(0, width), rng.uniform(0, height)
            draw.ellipse([cx - r, cy - r, cx + r, cy + r], fill=fill_int)
        elif kind == 2:  # a plinth or a floor
            draw.rectangle([0, rng.uniform(0.6, 0.85) * height, width, height], fill=fill_int)
        else:
            inset = rng.uniform(0.05, 0.15) * width
            draw.rounded_rectangle(
                [inset, inset, width - inset, height - inset], radius=int(inset), fill=fill_int
            )
    return image


def _texture(size: tuple[int, int], colour: Colour, rng: np.random.Generator) -> Image.Image:
    kind = rng.integers(4)
    if kind == 0:  # wood: long fibres
        grain = 0.6 * _noise(size, (160, 5), rng) + 0.4 * _noise(size, (60, 2), rng)
        colour = hsv(rng.uniform(0.05, 0.1), rng.uniform(0.3, 0.65), rng.uniform(0.45, 0.85))
    elif kind == 1:  # cloth: two weaves
        x, y = _grid(*size)
        step = rng.uniform(0.3, 0.8) * size[0]
        grain = 0.25 * (2 + np.sin(x * step) + np.sin(y * step)) + 0.3 * _noise(size, (30, 30), rng)
    elif kind == 2:  # stone
        grain = (
            0.5 * _noise(size, (70, 60), rng)
            + 0.3 * _noise(size, (14, 14), rng)
            + 0.2 * _noise(size, (3, 3), rng)
        )
    else:  # paper
        grain = 0.7 + 0.3 * _noise(size, (2, 2), rng)
    strength = rng.uniform(0.2, 0.55)
    pixels = np.asarray(colour, np.float32) * (1 - strength + strength * grain)[..., None] * 1.1
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")


def _glow(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """A dark ground with out-of-focus lights, as gadgets are shown."""
    x, y = _grid(96, 96)
    hue = rng.random()
    pixels = _mix(hsv(hue, 0.8, 0.14), hsv(hue + 0.1, 0.7, 0.3), y)
    for _ in range(int(rng.integers(2, 9))):
        cx, cy, r = rng.random(), rng.random(), rng.uniform(0.03, 0.3)
        spot = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / r**2) * rng.uniform(0.2, 0.8)
        pixels = pixels + spot[..., None] * np.asarray(
            hsv(hue + rng.normal(0, 0.12), 0.7, 1.0), np.float32
        )
    return _smooth(pixels, size)


def _spotlight(size: tuple[int, int], colour: Colour, rng: np.random.Generator) -> Image.Image:
    x, y = _grid(96, 96)
    far = np.hypot(
        x - rng.uniform(0.35, 0.65), (y - rng.uniform(0.35, 0.6)) * rng.uniform(0.7, 1.2)
    )
    light = np.exp(-(far**2) / rng.uniform(0.08, 0.35))
    if rng.random() < 0.4:  # rays
        rays = np.sin(np.arctan2(y - 0.5, x - 0.5) * int(rng.integers(8, 24)))
        light = light * (1 + 0.25 * np.sign(rays))
    lit = tuple(min(c * 1.25 + 25, 255) for c in colour)
    return _smooth(_mix(tuple(c * 0.45 for c in colour), lit, np.clip(light, 0, 1)), size)  # type: ignore[arg-type]


def _podium(
    size: tuple[int, int], colour: Colour, rng: np.random.Generator, ground: float
) -> Image.Image:
    """A round plinth, lit from above, in front of a wall of its own colour."""
    width, height = size
    hue, saturation, value = colorsys.rgb_to_hsv(*(c / 255 for c in colour))
    x, y = _grid(96, 96)
    light = np.exp(-((x - 0.5) ** 2 + (y - 0.4) ** 2) / rng.uniform(0.2, 0.5))
    wall = _mix(hsv(hue, saturation, value * 0.65), hsv(hue, saturation * 0.8, value), light)
    image = _smooth(wall, size)
    draw = ImageDraw.Draw(image)
    half = width * rng.uniform(0.3, 0.48)
    flat = half * rng.uniform(0.16, 0.26)  # the ellipse's other half axis
    top = ground * height - flat * rng.uniform(0.2, 0.7)
    side = tuple(int(c) for c in hsv(hue, saturation * 0.9, value * 0.75))
    lid = tuple(int(c) for c in hsv(hue, saturation * 0.6, min(value * 1.12 + 0.05, 1)))
    left, right = width / 2 - half, width / 2 + half
    draw.rectangle([left, top + flat, right, max(height, top + flat)], fill=side)
    draw.ellipse([left, top, right, top + 2 * flat], fill=lid)
    if rng.random() < 0.5:
        rim = tuple(int(c) for c in hsv(hue + rng.normal(0, 0.1), 0.3, 1.0))
        draw.arc([left, top, right, top + 2 * flat], 0, 180, fill=rim, width=2)
    return image


def _shelf(
    size: tuple[int, int], colour: Colour, rng: np.random.Generator, ground: float
) -> Image.Image:
    """A wall and a table on which the product stands."""
    wall = _gradient(size, colour, rng) if rng.random() < 0.5 else _texture(size, colour, rng)
    top = int(size[1] * (ground - rng.uniform(0.03, 0.2)))
    table = _texture((size[0], size[1] - top), base_colour(colour, "free", rng), rng)
    wall = wall.filter(ImageFilter.GaussianBlur(2))
    wall.paste(table, (0, top))
    return wall


def crop_photograph(
    paths: Sequence[Path], pick: float, size: tuple[int, int], rng: np.random.Generator
) -> Image.Image:
    """A random crop (at least half of the shorter side) of the photograph at `pick` in 0..1."""
    photo = open_photograph(paths[min(int(pick * len(paths)), len(paths) - 1)])
    share = rng.uniform(0.5, 1.0) * min(photo.width / size[0], photo.height / size[1])
    width, height = int(size[0] * share), int(size[1] * share)
    left = int(rng.integers(photo.width - width + 1))
    top = int(rng.integers(photo.height - height + 1))
    box = (left, top, left + width, top + height)
    crop = photo.resize(size, Image.BILINEAR, box=box, reducing_gap=2.0)
    return crop.transpose(Image.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else crop


def paint(
    backdrop: Backdrop,
    product: Colour,
    size: tuple[int, int],
    photographs: Sequence[Path],
    seed: int,
    ground: float = 0.8,
) -> Image.Image:
    """The empty picture, RGB of `size` (width, height); the same arguments give the same pixels.

    ground: how far down the product stands, 0..1 of the height, for floors, tables and plinths.
    Without photographs their place is taken by textures and shelves.
    """
    rng = np.random.default_rng([seed, 11])
    colour = base_colour(product, backdrop.harmony, rng)
    kind = backdrop.kind
    if "photograph" in kind and not photographs:
        kind = "texture" if kind == "photograph" else "shelf"
    match kind:
        case "studio":
            return _studio(size, rng, backdrop.warmth, ground)
        case "flat":
            return Image.new("RGB", size, tuple(int(c) for c in colour))
        case "gradient":
            return _gradient(size, colour, rng)
        case "shapes":
            return _shapes(size, colour, rng)
        case "texture":
            return _texture(size, colour, rng)
        case "spotlight":
            return _spotlight(size, colour, rng)
        case "glow":
            return _glow(size, rng)
        case "shelf":
            return _shelf(size, colour, rng, ground)
        case "podium":
            return _podium(size, colour, rng, ground)
        case "photograph" | "soft photograph":
            photo = crop_photograph(photographs, backdrop.pick, size, rng)
            if kind == "soft photograph":
                photo = photo.filter(ImageFilter.GaussianBlur(float(rng.uniform(2, 7))))
            return photo
    raise ValueError(f"no backdrop {kind!r}; known: studio, flat, gradient, shapes, texture, "
                     "spotlight, glow, shelf, podium, photograph, soft photograph")  # fmt: skip
