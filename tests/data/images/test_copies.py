"""The measure of copies: whole shares on pictures whose copies and changes are plain."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from data.images.copies import CHANGES, COPIES, REPLACED, beside, lines, rates


def drawn(folder: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    files = []
    for number, colour in enumerate(("#1f5fa8", "#a83a1f")):
        light = np.linspace(90, 240, 300)[None, :, None] + rng.normal(0, 3, (260, 300, 3))
        image = Image.fromarray(light.clip(0, 255).astype(np.uint8))
        ImageDraw.Draw(image).ellipse((60 + 40 * number, 50, 190, 210), colour, "black", 5)
        files.append(folder / f"{number}.png")
        image.save(files[-1])
    return files


def test_plain_copies_and_changes_are_told_apart(tmp_path: Path) -> None:
    files = drawn(tmp_path)
    copies, changes = rates(files, beside(COPIES)), rates(files, beside(CHANGES) | REPLACED)
    assert {name for name, share in copies.items() if share < 1} <= {"half, nearest"}
    assert {name for name, share in changes.items() if share > 0} <= {
        "blur of 0.2 % of the longer side",
        "another price on the same sticker, 15% of the width",  # digits of five pixels
    }


def test_the_table_ends_with_two_different_pictures(tmp_path: Path) -> None:
    table = "\n".join(lines(drawn(tmp_path))).split("\n")
    assert table[-1] == "| another picture | 0.000 | 0 |"
    assert len(table) == 2 + len(COPIES) + len(CHANGES) + len(REPLACED) + 1
