"""Define more verbs of `creative4u ctr`: import logs, export rates, time and compare models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from creative4u.cli.console import answer, print_json, say, working
from creative4u.cli.log_format import Column, DateFormat, From, log_format

World = Annotated[Path, typer.Argument(help="A folder with log/, images/ and queries.parquet.")]
Model = Annotated[Path, typer.Argument(help="A folder that `ctr train` wrote.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def import_(
    log: Annotated[Path, typer.Argument(help="CSV or Parquet, one row an impression.")],
    images: Annotated[Path, typer.Option(help="The folder of the creatives' images.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The shop's folder to write.")],
    from_: From = None,
    column: Column = None,
    date_format: DateFormat = None,
    json: Json = False,
) -> None:
    """Turn a log with other column names into a shop's folder that every verb here reads.

    Example: `creative4u ctr import clicks.csv --images images --out shop --column click=is_clk`
    """
    with working():
        from creative4u.ctr.log.importer import import_log

        found = import_log(log, images, out, log_format(from_, column, date_format, None))
    answer(
        {"shop": found.shop, "rows": found.rows, "days": found.days,
         "first_day": found.first_day, "last_day": found.last_day,
         "creatives": found.creatives, "creatives without an image": found.missing_images,
         "queries": found.queries, "rejected": found.rejected, "columns": found.columns},
        json,
    )  # fmt: skip


def rates(
    model: Model,
    world: World,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A JSONL file.")] = None,
    days: Annotated[tuple[int, int], typer.Option(help="Whose queries count.")] = (0, 30),
    json: Json = False,
) -> None:
    """The pCTR of every creative of a shop, with the interval of the impressions behind it.

    Example: `creative4u ctr rates runs/ctr world --out rates.jsonl`
    """
    with working():
        from json import dumps

        from creative4u.ctr.log.shop import read_shop
        from creative4u.ctr.model.predictor import load_predictor
        from creative4u.ctr.model.shop_pctr import shop_rates

        rows = shop_rates(load_predictor(model), read_shop(world), days)
        if out is not None:
            out.write_text("".join(dumps(row) + "\n" for row in rows), "utf-8")
    if json:
        print_json({"rates": rows})
        return
    for row in rows if out is None else ():
        low, high = row["interval"]
        print(f"{row['pctr']:7.2%}  ({low:.2%} to {high:.2%})  {row['impressions']:8d} impressions"
              f"  {row['creative_id']}")  # fmt: skip
    if out is not None:
        print(f"{len(rows)} creatives: {out}")


def bench(
    model: Model,
    candidates: Annotated[int, typer.Option(min=1, help="Creatives a request.")] = 500,
    calls: Annotated[int, typer.Option(min=1, help="Requests.")] = 300,
    json: Json = False,
) -> None:
    """How long one request takes that rates many candidates, embeddings at hand.

    Example: `creative4u ctr bench runs/ctr --candidates 500`
    """
    with working():
        from creative4u.ctr.model.predictor import load_predictor
        from creative4u.ctr.model.rank_candidates import latency

        found = latency(load_predictor(model), candidates, calls)
    answer(found, json)


def peers(
    world: World,
    out: Annotated[Path, typer.Option("--out", "-o", help="A JSON file to write.")],
    embeddings: Annotated[
        Path | None, typer.Option(help="Visual vectors, for ours with images.")
    ] = None,
    days: Annotated[tuple[int, int], typer.Option(help="Training days.")] = (0, 24),
    keep: Annotated[float, typer.Option(min=0, max=1, help="Share of the training rows.")] = 0.1,
    batch: Annotated[int, typer.Option(min=1)] = 4096,
    rows: Annotated[int, typer.Option(min=1, help="Rows of the test.")] = 200_000,
    passes: Annotated[int, typer.Option(min=1, help="Over the training rows.")] = 1,
    seed: Annotated[int, typer.Option(help="Of weights and order.")] = 7,
    json: Json = False,
) -> None:
    """Train FuxiCTR's DIN and DCNv2 and torch-rechub's DIN on the same rows, and compare.

    Needs `pip install "creative4u[peers]"`.
    Example: `creative4u ctr peers world --out peers.json --keep 0.1`
    """
    with working():
        from creative4u.ctr.log.shop import read_shop
        from creative4u.ctr.studies.peers import PeersConfig, compare_peers, show
        from creative4u.ctr.visual.embeddings import load_embeddings

        vectors = load_embeddings(embeddings) if embeddings else None
        config = PeersConfig(days, keep, batch, rows, passes, seed=seed)
        found = compare_peers(read_shop(world), vectors, config, out, say)
    if json:
        print_json(found)
        return
    print(show(found))


def sample(
    world: World,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")],
    users: Annotated[float, typer.Option(help="The share of shoppers to keep.")] = 0.125,
    seed: Annotated[int, typer.Option(help="Which shoppers.")] = 7,
    json: Json = False,
) -> None:
    """The same shop with a share of its shoppers, behaviour whole: for studies on small machines.

    Example: `creative4u ctr sample world --users 0.125 --out small`
    """
    with working():
        from creative4u.ctr.log.fields import read_fields
        from creative4u.ctr.log.subsample import sample_users

        rows = sample_users(world, out, read_fields(), users, seed)
    answer({"shop": out, "rows": rows}, json)


def pairs(
    world: World,
    out: Annotated[Path, typer.Option("--out", "-o", help="A JSONL file to write.")],
    products: Annotated[int, typer.Option(min=1, help="Of the held-out ones.")] = 5,
    taught: Annotated[
        Path | None, typer.Option(help="The judge's own pairs: products of their test split only.")
    ] = None,
    days: Annotated[tuple[int, int], typer.Option(help="Whose queries count.")] = (0, 30),
    seed: Annotated[int, typer.Option(help="The scorer's: which products are held out.")] = 7,
    json: Json = False,
) -> None:
    """Pairs of held-out products for `creative4u judge`; its verdicts are `ctr simulate`'s prior.

    Example: `creative4u ctr pairs world --out pairs.jsonl --taught world/pairs/pairs.jsonl`
    """
    with working():
        from json import dumps

        from creative4u.ctr.log.fields import read_fields
        from creative4u.ctr.log.shop import read_shop
        from creative4u.ctr.policies.judge_pairs import pairs_to_judge, taught_products

        known = taught_products(taught) if taught else set()
        out.parent.mkdir(parents=True, exist_ok=True)
        shop, fields = read_shop(world), read_fields()
        rows = pairs_to_judge(shop, fields, days, products, out.parent, seed, known)
        out.write_text("".join(dumps(row) + "\n" for row in rows), "utf-8")
    answer({"pairs": out, "rows": len(rows)}, json)


def checkpoints(
    world: World,
    moon: Annotated[Path, typer.Option(help="A folder of folders that `moon apply` wrote.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="What to write.")],
    keep: Annotated[float, typer.Option(min=0, max=1, help="Share of the training rows.")] = 1.0,
    epochs: Annotated[int, typer.Option(min=1)] = 1,
    seed: Annotated[int, typer.Option(help="Of weights, order and hidden creatives.")] = 7,
    runs: Annotated[int, typer.Option(min=1, help="Models of each folder, by seeds.")] = 1,
    json: Json = False,
) -> None:
    """The same CTR model over the vectors of each checkpoint, for `moon study exchange`.

    Example: `creative4u ctr checkpoints world --moon vectors --out clicks`
    """
    with working():
        from creative4u.cli.ctr.world import checkpoints as fitted

        rows = fitted(world, moon, out, keep, epochs, seed, runs)
    if json:
        print_json({"rungs": rows})
        return
    from creative4u.ctr.studies.ablation import show

    print(show(rows))


VERBS = (import_, rates, bench, peers, sample, pairs, checkpoints)
