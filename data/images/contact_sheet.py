"""Arrange images in one picture; draw the sheet of what the world renders.

python -m data.images.contact_sheet docs/contact-sheet.jpg --seed 7
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from data.world.drawing.creative_spec import draw_creative
from data.world.drawing.photographs import find_photographs
from data.world.drawing.render import Stock, at_size, render
from data.world.drawing.typefaces import find_typefaces
from data.world.products.catalogue import draw_catalogue
from data.world.products.cutouts import Cutouts, fetch_renders


def contact_sheet(images: Iterable[Image.Image], columns: int = 10, side: int = 128) -> Image.Image:
    """The images, each fitted into a cell of `side` pixels, row by row on white."""
    cells = []
    for image in images:
        cell = image.convert("RGB")
        cell.thumbnail((side - 4, side - 4), Image.Resampling.LANCZOS)
        cells.append(cell)
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * side, max(rows, 1) * side), (255, 255, 255))
    for i, cell in enumerate(cells):
        x = i % columns * side + (side - cell.width) // 2
        y = i // columns * side + (side - cell.height) // 2
        sheet.paste(cell, (x, y))
    return sheet


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=90)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args(arguments)
    catalogue = draw_catalogue(given.count, given.seed)
    stock = Stock(Cutouts(fetch_renders()), catalogue, find_photographs(), find_typefaces())
    rng = np.random.default_rng([given.seed, 61])
    shown = (
        render(at_size(draw_creative(rng), 256), product, stock).image for product in catalogue
    )
    given.out.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(shown).save(given.out, "JPEG", quality=80)


if __name__ == "__main__":
    main()
