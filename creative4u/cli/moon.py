"""Define the verbs of `creative4u moon`: evaluation, relevance, index, search, embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from creative4u.cli import moon_study, moon_train
from creative4u.cli.console import (
    SettingsCommand,
    answer,
    print_json,
    say,
    verbs,
    working,
)
from creative4u.errors import InputError

EncoderFile = Annotated[
    Path | None, typer.Option("--encoder", help="The encoder's file; by default the shipped one.")
]
Features = Annotated[
    Path | None, typer.Option("--features", help="Cache folder for image and text features.")
]
Text = Annotated[str | None, typer.Option("--text", help="A title or a query.")]
Picture = Annotated[Path | None, typer.Option("--image", help="An image file.")]
Ray = Annotated[
    str | None,
    typer.Option("--ray", help="Hold the shards on Ray: a cluster's address, auto or local."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
app = verbs("Embed products: train in three stages, evaluate, index, search.")
app.add_typer(moon_study.app, name="study")
app.command(cls=SettingsCommand)(moon_train.pretrain)
app.command(cls=SettingsCommand)(moon_train.posttrain)
app.command("apply", cls=SettingsCommand)(moon_train.apply_)
app.command()(moon_train.augment)
app.command()(moon_train.blend)


@app.command()
def evaluate(
    items: Annotated[
        Path | None,
        typer.Option("--items", help="A metadata.jsonl, table, ABO folder or Product1M .txt."),
    ] = None,
    columns: Annotated[
        str, typer.Option("--columns", help="The table's columns: title=NAME,image=NAME,...")
    ] = "",
    images: Annotated[
        Path | None,
        typer.Option(
            "--images", help="Product1M's image folder; images beside the .txt by default."
        ),
    ] = None,
    world: Annotated[
        Path | None, typer.Option("--world", help="A shop's folder; its test items are used.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Keep only rows of this kind, e.g. product photo.")
    ] = None,
    encoder: EncoderFile = None,
    features: Features = None,
    baselines: Annotated[bool, typer.Option(help="Evaluate the baselines too.")] = True,
    validation: Annotated[
        bool, typer.Option(help="Use a cut of the training items, to choose settings.")
    ] = False,
    json: Json = False,
) -> None:
    """Evaluate an encoder: retrieval between modalities, zero-shot categories and attributes.

    On a shop: over a gallery of listings, also with a two-tower model trained on its purchases.

    Example: `creative4u moon evaluate --items metadata.jsonl --json`
    """
    with working():
        from creative4u.moon.benchmark.items import evaluate as measure
        from creative4u.moon.benchmark.shop import evaluate_shop
        from creative4u.moon.catalogue.readers import read_source
        from creative4u.moon.encoder.encoder import load_encoder
        from creative4u.moon.encoder.feature_store import FeatureStore

        if (items is None) == (world is None):
            raise InputError(
                f"got {'both' if items else 'neither'} of --items and --world; give exactly one"
            )
        store = FeatureStore(features)
        model = load_encoder(encoder, store)
        if items is not None:
            found = measure(model, read_source(items, kind, columns, images), store, baselines)
        else:
            assert world is not None
            found = evaluate_shop(model, world, store, baselines, validation)
    if json:
        print_json(found)
    elif items is not None:
        _table(found)
    else:
        _listings(found)


@app.command()
def relevance(
    world: Annotated[Path, typer.Option("--world", help="A shop's folder with its log.")],
    encoder: EncoderFile = None,
    features: Features = None,
    truth: Annotated[
        bool, typer.Option(help="Evaluate against the simulated shop's truth too.")
    ] = True,
    json: Json = False,
) -> None:
    """Fit the query-item relevance on training products and evaluate it on test products.

    Example: `creative4u moon relevance --world world --json`
    """
    with working():
        from creative4u.moon.encoder.encoder import load_encoder
        from creative4u.moon.encoder.feature_store import FeatureStore
        from creative4u.moon.studies.relevance_study import study_relevance

        store = FeatureStore(features)
        answers = _truth(world) if truth else None
        found = study_relevance(world, load_encoder(encoder, store), store, answers)
    if json:
        print_json(found)
        return
    for name, figures in found.items():
        for how, row in figures.items():
            print(f"{name}, {how}: " + "  ".join(f"{k} {v}" for k, v in row.items()), flush=True)


@app.command()
def index(
    items: Annotated[Path, typer.Argument(help="A metadata.jsonl or a shop's folder.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The index folder; an existing index grows.")
    ],
    kind: Annotated[str, typer.Option("--kind", help="The index: exact or hnsw.")] = "exact",
    shards: Annotated[int, typer.Option(min=1, help="The number of shards.")] = 1,
    ray: Ray = None,
    encoder: EncoderFile = None,
    features: Features = None,
    json: Json = False,
) -> None:
    """Embed items and add them to an index; indexed items are skipped.

    Example: `creative4u moon index metadata.jsonl --out catalogue`
    """
    with working():
        from creative4u.moon.catalogue.items import read_items, read_world
        from creative4u.moon.encoder.encoder import load_encoder
        from creative4u.moon.encoder.feature_store import FeatureStore
        from creative4u.moon.index.catalogue_index import open_catalogue
        from creative4u.moon.index.faiss_index import IndexConfig

        if kind not in ("exact", "hnsw"):
            raise InputError(f"got --kind {kind}; exact and hnsw are allowed")
        model = load_encoder(encoder, FeatureStore(features))
        settings = IndexConfig("hnsw" if kind == "hnsw" else "exact", model.config.dim)
        catalogue = open_catalogue(out, settings, shards, ray)
        added = catalogue.add(read_world(items) if items.is_dir() else read_items(items), model)
        catalogue.save(out)
    answer({"added": added, "items": len(catalogue), "index": out}, json)


@app.command()
def search(
    index: Annotated[Path, typer.Argument(help="The folder that `moon index` wrote.")],
    text: Text = None,
    image: Picture = None,
    top: Annotated[int, typer.Option("--top", "-k", min=1, help="How many items.")] = 10,
    ray: Ray = None,
    encoder: EncoderFile = None,
    json: Json = False,
) -> None:
    """Find the nearest items to a text, an image, or both.

    Example: `creative4u moon search catalogue --text "trail running shoes"`
    """
    with working():
        from creative4u.moon.encoder.content import Content
        from creative4u.moon.encoder.encoder import load_encoder
        from creative4u.moon.index.catalogue_index import open_catalogue

        query, catalogue = Content(text, image), open_catalogue(index, ray=ray)
        hits = catalogue.nearest(load_encoder(encoder).encode([query]), top)[0]
    rows = [{"item_id": hit.card.item_id, "score": hit.score, "title": hit.card.title,
             "image": str(hit.card.image) if hit.card.image else None} for hit in hits]  # fmt: skip
    if json:
        print_json({"hits": rows})
    else:
        for row in rows:
            print(f"{row['score']:.3f}  {row['item_id']}  {row['title']}", flush=True)


@app.command()
def embed(
    text: Text = None,
    image: Picture = None,
    dim: Annotated[
        int | None, typer.Option(min=1, help="Keep the first dimensions; all by default.")
    ] = None,
    encoder: EncoderFile = None,
    json: Json = False,
) -> None:
    """Print the vector of a text, an image, or both.

    Example: `creative4u moon embed --text "trail running shoes" --image shoe.jpg --json`
    """
    with working():
        from creative4u.moon.encoder.content import Content
        from creative4u.moon.encoder.encoder import load_encoder

        vector = load_encoder(encoder).encode([Content(text, image)], dim)[0]
    numbers = [round(float(number), 6) for number in vector]
    if json:
        print_json({"vector": numbers})
    else:
        print(" ".join(map(str, numbers)), flush=True)


def _table(found: dict[str, Any]) -> None:
    """Print a line for each direction and encoder: the recalls."""
    beside = found.get("baselines", {})
    for direction, figures in found.items():
        if not isinstance(figures, dict) or direction == "baselines":
            continue
        say(f"{direction}  (gallery {figures['gallery']}, queries {figures['queries']})")
        rows = {"moon": figures} | {n: d[direction] for n, d in beside.items() if direction in d}
        for name, row in rows.items():
            values = "  ".join(f"{key} {row[key]:.3f}" for key in ("R@1", "R@5", "R@10"))
            print(f"{direction:>7}  {name:<7} {values}", flush=True)
    for name in ("category", "attribute"):
        if found.get(name) is not None:
            print(f"{name:>9}  {found[name]:.3f}", flush=True)


def _listings(found: dict[str, Any]) -> None:
    """Print a line for each direction and encoder: R@1, R@10 with its interval, the lead."""
    for direction, row in found.items():
        if not isinstance(row, dict):
            print(f"{direction}  {row:.3f}", flush=True)
            continue
        say(f"{direction}  (gallery {row['gallery']}, queries {row['queries']})")
        for name, figures in row.items():
            if isinstance(figures, dict):
                line = "  ".join(f"{key} {value}" for key, value in figures.items())
                print(f"{direction:>7}  {name:<10} {line}", flush=True)


def _truth(world: Path) -> Any:
    """Which product answers which query, from the shop's truth; for evaluation only."""
    import numpy as np
    import pyarrow.parquet as pq

    from creative4u.moon.studies.relevance_study import true_answers
    from data.world.market.truth import read_truth

    rates = read_truth(world / "truth", "queries", "evaluation")
    owners = read_truth(world / "truth", "creatives", "evaluation")
    product_of = np.zeros(len(owners), np.int64)
    product_of[owners["creative_id"].to_numpy()] = owners["product"].to_numpy()
    count = pq.read_metadata(world / "queries.parquet").num_rows
    return true_answers(
        rates["creative_id"].to_numpy().astype(np.int64),
        rates["query_id"].to_numpy().astype(np.int64),
        rates["unbiased_ctr"].to_numpy().astype(float),
        product_of,
        (count, int(product_of.max()) + 1),
    )
