"""The verbs that make data: a shop and its log, pairs from a log, images to teach and test."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from creative4u.cli_door import print_json, say, verbs, working

Out = Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same data.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that render.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

app = verbs("Make data: a shop that shows and clicks, pairs from a log, images to teach and test.")


def answer(found: dict[str, Any], json: bool) -> None:
    """What was made, for programs or for people."""
    if json:
        print_json({key: str(x) if isinstance(x, Path) else x for key, x in found.items()})
    else:
        for key, value in found.items():
            said = ", ".join(f"{k} {v}" for k, v in value.items()) if type(value) is dict else value
            if said not in ("", (), None):
                print(f"{key.replace('_', ' ')}: {said}")


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
        from data.sanity import sanity as make

        pairs = make(samples, out, seed, per_image)
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
        from data.singles import build_singles

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


@app.command()
def pairs(
    log: Annotated[list[str], typer.Option(help="Parquet or CSV: files, folders or globs.")],
    images: Annotated[Path, typer.Option(help="The image folder with metadata.jsonl.")],
    out: Out,
    min_impressions: Annotated[int, typer.Option(min=1, help="Of each creative.")] = 1000,
    min_gap: Annotated[float, typer.Option(min=0, help="Of the CTRs, to the lower one.")] = 0.6,
    queries: Annotated[Path | None, typer.Option(help="A table that names query ids.")] = None,
    seed: Seed = 7,
    json: Json = False,
) -> None:
    """Mine creative pairs from an impression log of any size.

    Example: `creative4u data pairs --log world/log --images world/images --out world/pairs`
    """
    with working():
        from data.creative_pair.mine import MineConfig, mine

        config = MineConfig(queries=queries, seed=seed)
        report = mine(log, images, out, min_impressions, min_gap, config)
    answer(asdict(report), json)


@app.command()
def pack(
    pairs: Annotated[Path, typer.Option(help="The folder that holds pairs.jsonl.")],
    out: Out,
    json: Json = False,
) -> None:
    """Write pairs with their images inside, as a Hugging Face data set.

    Example: `creative4u data pack --pairs world/pairs --out world/dataset`
    """
    with working():
        from data.creative_pair.dataset import write_dataset

        counts = write_dataset(pairs, out)
    answer(dict(counts), json)


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="A folder of pairs, or a packed data set.")],
    json: Json = False,
) -> None:
    """Look for every reason not to trust a set of pairs; exit code 1 where there is one.

    Example: `creative4u data check world/pairs`
    """
    with working():
        from data.creative_pair.check import check as inspect

        report = inspect(folder)
    answer(asdict(report), json)
    if not report.ok:
        raise typer.Exit(1)
