"""Define the verbs of `creative4u data` that make data: a shop, single images, damaged pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from creative4u.cli import data_pairs
from creative4u.cli.console import answer, say, verbs, working

Out = Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same data.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that render.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

app = verbs("Make data: a shop that shows and clicks, pairs from a log, images to teach and test.")


@app.command()
def sanity(
    samples: Annotated[Path, typer.Argument(help="A folder with metadata.jsonl and its images.")],
    out: Out,
    seed: Seed = 7,
    per_image: Annotated[
        int | None, typer.Option(help="Damages an image, 1 to 6; all by default.")
    ] = None,
    json: Json = False,
) -> None:
    """Pair real images with their damaged selves: what no judge should miss. Never train on them.

    Example: `creative4u data sanity samples --out sanity`, then
    `creative4u judge sanity/pairs.jsonl -o sanity/verdicts.jsonl`
    """
    with working():
        from data.images.damaged_pairs import sanity as make

        pairs = make(samples, out, seed, per_image)
    answer({"pairs": pairs}, json)


@app.command()
def defects(
    out: Out,
    count: Annotated[int, typer.Option(min=1, help="How many pairs to try.")] = 900,
    seed: Annotated[int, typer.Option(help="The same seed gives the same data.")] = 11,
    json: Json = False,
) -> None:
    """Pair rendered creatives with themselves under one defect, with reasons; for training.

    Example: `creative4u data defects --out defects --count 900`
    """
    with working():
        from data.creative_pair.reasoning.defect_pairs import defect_pairs

        pairs = defect_pairs(out, count, seed)
    answer({"pairs": pairs}, json)


@app.command()
def singles(
    out: Out,
    count: Annotated[int, typer.Option(min=1, help="How many images.")] = 8000,
    seed: Seed = 7,
    workers: Workers = 2,
    json: Json = False,
) -> None:
    """Render single images whose properties are known in degrees, to teach the eyes first.

    Example: `creative4u data singles --out singles --count 2000`
    """
    with working():
        from data.images.single_images import build_singles

        rows = build_singles(out, count, seed, workers)
    answer({"singles": rows}, json)


@app.command()
def world(
    out: Out,
    seed: Seed = 7,
    products: Annotated[int, typer.Option(min=2, help="Products in the catalogue.")] = 400,
    users: Annotated[int, typer.Option(min=1, help="Shoppers.")] = 50_000,
    impressions: Annotated[int, typer.Option(min=1, help="Rows of the log.")] = 12_000_000,
    creatives: Annotated[int, typer.Option(min=2, help="Creatives of each product.")] = 13,
    days: Annotated[int, typer.Option(min=1, help="Days of the log.")] = 30,
    workers: Workers = 2,
    json: Json = False,
) -> None:
    """Build a shop with its creatives, shoppers and log; its truth is kept apart.

    Example: `creative4u data world --out world --products 40 --impressions 200000`
    """
    with working():
        from data.world.build import build_world

        counts = build_world(
            out, seed, products, users, impressions, creatives, days, workers, progress=say
        )
    answer(dict(counts), json)


for verb in data_pairs.VERBS:
    app.command(verb.__name__.rstrip("_"))(verb)
