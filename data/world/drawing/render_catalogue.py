"""Render every product's creatives as JPEG files with metadata and facts.

About a third of a product's creatives are a variant of another with one factor changed. A product
is done when its own facts file is there, so a killed run goes on with the next product.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.creative_pair.facts import FACTS, Facts, Text
from data.creative_pair.rows import METADATA
from data.world.drawing.creative_spec import CreativeSpec, draw_creative, variant
from data.world.drawing.photographs import find_photographs
from data.world.drawing.provenance import claim_stock
from data.world.drawing.render import Rendered, Stock, render
from data.world.drawing.typefaces import find_typefaces
from data.world.market.intents import intents_of
from data.world.products.catalogue import Product
from data.world.products.cutouts import PACKAGE, Cutouts, fetch_renders

VARIED = {
    "size": 4,
    "backdrop": 4,
    "text": 4,
    "cut": 3,
    "cover": 3,
    "clutter": 3,
    "dark": 3,
    "blur": 3,
    "wrong": 2,
    "props": 2,
    "frame": 2,
    "inset": 1,
    "place": 1,
    "angle": 1,
    "quantity": 1,
    "low_resolution": 1,
}  # factor of a variant -> how often, our choice
VARIANTS = 1 / 3

_stock: Stock | None = None  # a worker process's own


def draw_specs(product: int, count: int, seed: int) -> list[tuple[CreativeSpec, int, str]]:
    """A product's layouts: (spec, which one it varies or -1, by which factor or "")."""
    rng = np.random.default_rng([seed, 41, product])
    originals = max(1, count - round(count * VARIANTS))
    made = [(draw_creative(rng), -1, "") for _ in range(originals)]
    weights = np.array(list(VARIED.values())) / sum(VARIED.values())
    while len(made) < count:
        source = int(rng.integers(originals))
        factor = str(rng.choice(list(VARIED), p=weights))
        made.append((variant(made[source][0], factor, rng), source, factor))
    return made


def open_stock(catalogue: Sequence[Product]) -> Stock:
    """The packages' renders, photographs and typefaces; raises AssetError."""
    return Stock(Cutouts(fetch_renders()), tuple(catalogue), find_photographs(), find_typefaces())


def shoot(
    images: Path,
    catalogue: Sequence[Product],
    count: int,
    seed: int,
    workers: int,
    stock: Stock | None,
    progress: Callable[[str], None],
) -> None:
    """Render `count` creatives of each product and write metadata.jsonl and facts.jsonl."""
    jobs = [
        (images, row, product, count, seed)
        for row, product in enumerate(catalogue)
        if not _facts_file(images, product).exists()
    ]
    if jobs and stock is None:
        fetch_renders()  # once, before the workers ask for it
        claim_stock(images.parent, PACKAGE, progress)
    for done, _ in enumerate(_work(jobs, catalogue, workers, stock), 1):
        if done % 10 == 0 or done == len(jobs):
            progress(f"creatives: {done} of {len(jobs)} products")
    metadata, facts = [], []
    for row, product in enumerate(catalogue):
        for k, entry in enumerate(json.loads(_facts_file(images, product).read_text("utf-8"))):
            source = entry["variant_of"]
            metadata.append(
                json.dumps(
                    {
                        "file_name": entry["facts"]["image"],
                        "creative_id": row * count + k,
                        "product_id": product.product_id,
                        "title": product.title,
                        "variant_of": row * count + source if source >= 0 else "",
                        "factor": entry["factor"],
                        "category": product.category,
                    },
                    ensure_ascii=False,
                )
            )
            facts.append(json.dumps(entry["facts"], ensure_ascii=False))
    _write(images / METADATA, "\n".join(metadata) + "\n")
    _write(images / FACTS, "\n".join(facts) + "\n")


def _work(
    jobs: list[tuple[Any, ...]], catalogue: Sequence[Product], workers: int, stock: Stock | None
) -> Iterator[None]:
    if stock is not None or not jobs:
        for job in jobs:
            yield shoot_product(job, stock)
        return
    with multiprocessing.get_context("spawn").Pool(workers, _start, (tuple(catalogue),)) as pool:
        yield from pool.imap_unordered(shoot_product, jobs)


def _start(catalogue: tuple[Product, ...]) -> None:
    global _stock
    _stock = open_stock(catalogue)


def shoot_product(job: tuple[Path, int, Product, int, int], stock: Stock | None = None) -> None:
    """Render one product: (image folder, row, product, creatives, seed)."""
    images, row, product, count, seed = job
    stock = stock or _stock
    assert stock is not None
    folder = images / product.product_id
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for k, (spec, source, factor) in enumerate(draw_specs(row, count, seed)):
        shot = render(spec, product, stock)
        name = f"{product.product_id}/{k:02d}.jpg"
        part = folder / f"{k:02d}.part"
        part.write_bytes(shot.jpeg(spec.quality))
        os.replace(part, images / name)
        entries.append(
            {
                "facts": facts_of(name, spec, product, shot).model_dump(),
                "variant_of": source,
                "factor": factor,
            }
        )
    _write(_facts_file(images, product), json.dumps(entries, ensure_ascii=False))


def facts_of(image: str, spec: CreativeSpec, product: Product, shot: Rendered) -> Facts:
    """What the picture shows, as reasoning may state it."""
    words, numbers = shot.words, {**shot.numbers}
    texts = tuple(
        Text(words=said, role=block.role, legible=block.legible, over=block.place == "over")
        for said, block in zip(words["text"], spec.text, strict=True)
    )
    backdrop = str(words["background"])
    legible = [(text.role, text.words) for text in texts if text.legible]
    return Facts(
        image=image,
        product=product.name,
        shown=str(words["shown_product"]),
        backdrop=backdrop,
        texts=texts,
        intents=tuple(sorted(intents_of(legible, product.attributes, backdrop))),
        **{name: numbers[name] for name in Facts.model_fields if name in numbers},
    )


def _facts_file(images: Path, product: Product) -> Path:
    return images / product.product_id / "facts.json"


def _write(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, "utf-8")
    os.replace(part, path)
