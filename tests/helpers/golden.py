"""Draw the golden pairs, and write what the shipped judge says of them beside this file.

    .venv/bin/python tests/helpers/golden.py
"""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from creative4u.selector.judge import PairRequest

FILE = Path(__file__).with_name("golden.json")
SIDE = 300
GROUND, INK = (238, 238, 242), (30, 30, 36)
COLOURS = {"red": (200, 40, 40), "green": (30, 140, 70), "blue": (40, 70, 200)}
PRODUCTS = ("mug", "lamp", "boot", "bag")
WAYS = ("small", "dark", "bare", "cut off", "cluttered", "covered")


def draw(product: str, colour: str, way: str = "") -> Image.Image:
    """A plain product on a light ground under its name; `way` is what is worse about it."""
    image = Image.new("RGB", (SIDE, SIDE), GROUND)
    pen = ImageDraw.Draw(image)
    scale = 0.45 if way == "small" else 1.0
    left, top = 250 if way == "cut off" else 150, 170

    def box(x0: float, y0: float, x1: float, y1: float) -> tuple[float, float, float, float]:
        return left + scale * x0, top + scale * y0, left + scale * x1, top + scale * y1

    fill = COLOURS[colour]
    if way == "cluttered":
        for place in range(24):
            x, y = 37 * place % SIDE, 61 * place % SIDE
            pen.ellipse((x, y, x + 30, y + 30), fill=(40 * place % 255, 90 * place % 255, 120))
    if product == "mug":
        pen.rectangle(box(-70, -70, 50, 90), fill=fill)
        pen.arc(box(20, -40, 100, 50), 270, 90, fill=fill, width=round(16 * scale))
    elif product == "lamp":
        foot, tip = box(-80, 0, 80, 0), box(0, -90, 0, 0)
        pen.polygon([foot[:2], foot[2:], tip[:2]], fill=fill)
        pen.rectangle(box(-8, 0, 8, 90), fill=INK)
        pen.ellipse(box(-50, 80, 50, 100), fill=INK)
    elif product == "boot":
        pen.rectangle(box(-60, -80, 0, 60), fill=fill)
        pen.ellipse(box(-60, 20, 90, 90), fill=fill)
        pen.rectangle(box(-62, 76, 92, 92), fill=INK)
    else:
        pen.arc(box(-40, -110, 40, 0), 180, 0, fill=INK, width=round(10 * scale))
        pen.rounded_rectangle(box(-90, -50, 90, 90), radius=18 * scale, fill=fill)
    if way != "bare":
        pen.text((16, 14), f"{colour.title()} {product}", INK, ImageFont.load_default(30))
    if way == "covered":
        pen.rectangle((60, 150, 240, 210), fill=(250, 220, 40))
        pen.text((70, 160), "SALE SALE", INK, ImageFont.load_default(34))
    return image.point([value // 4 for value in range(256)] * 3) if way == "dark" else image


def golden_pairs() -> list[PairRequest]:
    """24 pairs: four products, each beside six worse pictures of itself, on either side."""
    pairs = []
    for number, product in enumerate(PRODUCTS):
        for place, way in enumerate(WAYS):
            colour = tuple(COLOURS)[(number + place) % len(COLOURS)]
            images = draw(product, colour), draw(product, colour, way)
            queries = (product, f"{colour} {product}")[: 1 + place % 2]
            title = f"{colour.title()} {product}, made to last"
            pairs.append(PairRequest(*images[:: 1 - 2 * ((number + place) % 2)], title, queries))
    return pairs


def main() -> None:
    from creative4u.schema import Verdict
    from creative4u.selector.loading import load_judge

    rows = []
    for told in load_judge().select_many(golden_pairs()):
        assert isinstance(told, Verdict), told
        rows.append({"choice": told.choice, "probability_a": round(told.probability_a, 4)})
    FILE.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n", "utf-8")


if __name__ == "__main__":
    main()
