"""Draw text blocks onto a picture and onto a mask of the area they take."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from data.world.drawing.creative_spec import TextBlock
from data.world.drawing.phrases import call_to_action, price_tag, selling_point
from data.world.drawing.typefaces import Font, Typefaces
from data.world.products.catalogue import Product

Box = tuple[int, int, int, int]
BADGES = ((214, 28, 40), (240, 120, 20), (250, 210, 40), (20, 20, 24), (255, 255, 255),
          (30, 90, 220), (20, 150, 80), (230, 60, 130), (120, 50, 200))  # fmt: skip


@dataclass
class _Room:
    """How far the lines at the top and at the bottom have come, in pixels."""

    top: float
    bottom: float


def write(
    block: TextBlock, product: Product, rng: np.random.Generator, typefaces: Typefaces
) -> str:
    """What a block says; English where no Chinese typeface is installed."""
    chinese = block.chinese and bool(typefaces.chinese)
    match block.role:
        case "price":
            return price_tag(product, chinese, rng)
        case "call":
            return call_to_action(chinese, rng)
    return selling_point(product, chinese, rng)


def draw_blocks(
    image: Image.Image,
    mask: Image.Image,
    blocks: tuple[TextBlock, ...],
    product: Product,
    subject: Box,
    typefaces: Typefaces,
    seed: int,
) -> tuple[str, ...]:
    """Draws every block; `mask` (L, the same size) gets white under text and panels.

    subject: the product's box, for blocks that lie over it. Returns the strings, in order.
    """
    room = _Room(image.height * 0.035, image.height * 0.965)
    strings = []
    accent = BADGES[int(np.random.default_rng([seed, 29]).integers(len(BADGES)))]
    for number, block in enumerate(blocks):
        rng = np.random.default_rng([seed, 31, number])
        chinese = block.chinese and bool(typefaces.chinese)
        text = write(block, product, rng, typefaces)
        font, size = _fit(text, block, image.size, typefaces, chinese)
        box = _place(block, size, image.size, subject, room, rng)
        _draw(image, mask, text, font, size, box, block, accent, rng)
        strings.append(text)
    return tuple(strings)


def _fit(
    text: str, block: TextBlock, size: tuple[int, int], typefaces: Typefaces, chinese: bool
) -> tuple[Font, tuple[int, int]]:
    """The largest font, up to the block's height, at which the line fits the picture."""
    pixels = block.height * size[1] * (1.0 if block.legible else 0.6)
    limit = size[0] * (0.4 if block.place == "corner" else 0.9)
    font = typefaces.font(block.typeface, int(pixels * 0.8), chinese)
    left, top, right, bottom = font.getbbox(text)
    if right - left > limit:
        font = typefaces.font(block.typeface, int(pixels * 0.8 * limit / (right - left)), chinese)
        left, top, right, bottom = font.getbbox(text)
    return font, (int(right - left), int(bottom - top))


def _place(
    block: TextBlock, text: tuple[int, int], size: tuple[int, int], subject: Box, room: _Room,
    rng: np.random.Generator,
) -> Box:  # fmt: skip
    """The panel's box; padding a third of the line."""
    width = size[0]
    pad = max(3, text[1] // 3)
    w, h = text[0] + 2 * pad, text[1] + 2 * pad
    x = (width - w) // 2
    if block.place in {"top", "bottom"} and rng.random() < 0.3:
        x = int(width * 0.04) if rng.random() < 0.7 else int(width * 0.96 - w)
    if block.place == "top":
        y = int(room.top)
        room.top += h + 3
    elif block.place == "bottom":
        y = int(room.bottom - h)
        room.bottom -= h + 3
    elif block.place == "corner":
        x = int(width * 0.03) if rng.random() < 0.5 else int(width * 0.97 - w)
        y = int(room.top) if rng.random() < 0.5 else int(room.bottom - h)
    else:
        x = int((subject[0] + subject[2] - w) / 2)
        y = int(subject[1] + rng.uniform(0.3, 0.7) * (subject[3] - subject[1]) - h / 2)
        x = min(max(x, 0), max(width - w, 0))
    return (x, y, x + w, y + h)


def _draw(
    image: Image.Image, mask: Image.Image, text: str, font: Font, size: tuple[int, int], box: Box,
    block: TextBlock, accent: tuple[int, int, int], rng: np.random.Generator,
) -> None:  # fmt: skip
    """Most panels of a creative share its accent colour."""
    draw = ImageDraw.Draw(image)
    x0, y0, x1, y1 = box
    under = image.crop((max(x0, 0), max(y0, 0), max(x1, 1), max(y1, 1))).resize((1, 1), Image.BOX)
    ground = under.getpixel((0, 0))
    assert isinstance(ground, tuple)
    if block.panel:
        ground = accent if rng.random() < 0.7 else BADGES[int(rng.integers(len(BADGES)))]
        wide = block.place in {"top", "bottom", "over"} and rng.random() < 0.35
        panel = (0, y0, image.width, y1) if wide else box
        if block.place == "corner" and rng.random() < 0.5:
            grow = (x1 - x0) // 2
            centre = (y0 + y1) // 2
            panel = (x0, centre - grow, x1, centre + grow)
            draw.ellipse(panel, fill=ground)
            ImageDraw.Draw(mask).ellipse(panel, fill=255)
        elif rng.random() < 0.5:
            draw.rounded_rectangle(panel, radius=(y1 - y0) // 2, fill=ground)
            mask.paste(255, panel)
        else:
            draw.rectangle(panel, fill=ground)
            mask.paste(255, panel)
    light = ground[0] * 0.3 + ground[1] * 0.59 + ground[2] * 0.11
    if not block.legible:  # barely off the ground
        ink = tuple(int(min(max(c + (22 if light < 128 else -22), 0), 255)) for c in ground)
    elif rng.random() < 0.6:
        ink = (255, 255, 255) if light < 140 else (24, 24, 28)
    else:
        hue = rng.random()
        value = (1.0, 0.55) if light < 140 else (0.45, 0.9)
        ink = tuple(int(c * 255) for c in colorsys.hsv_to_rgb(hue, value[1], value[0]))
    at = ((x0 + x1) / 2, (y0 + y1) / 2)
    left, top, right, bottom = font.getbbox(text)
    corner = (at[0] - (left + right) / 2, at[1] - (top + bottom) / 2)
    if not block.panel and block.legible and rng.random() < 0.6:
        stroke = (0, 0, 0) if sum(ink) > 380 else (255, 255, 255)
        draw.text(
            corner,
            text,
            font=font,
            fill=ink,
            stroke_width=max(1, size[1] // 14),
            stroke_fill=stroke,
        )
    else:
        draw.text(corner, text, font=font, fill=ink)
    if not block.panel:
        mask.paste(255, (x0, y0, x1, y1))
