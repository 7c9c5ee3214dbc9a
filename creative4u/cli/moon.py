"""The verbs of MOON: three training stages, the benchmark, the index and single embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from creative4u.cli import moon_data, moon_study
from creative4u.cli.console import answer, print_json, say, verbs, working
from creative4u.errors import InputError

Settings = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings, dots descend.")
]
EncoderFile = Annotated[
    Path | None, typer.Option("--encoder", help="An encoder's file; the shipped one by default.")
]
Features = Annotated[
    Path | None, typer.Option("--features", help="A folder that keeps what was once looked at.")
]
Text = Annotated[str | None, typer.Option("--text", help="A title or a query.")]
Picture = Annotated[Path | None, typer.Option("--image", help="An image file.")]
Ray = Annotated[
    str | None, typer.Option("--ray", help="Shards on Ray: a cluster's address, auto or local.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

app = verbs("Embed products: train in three stages, measure, index, search.")
app.add_typer(moon_study.app, name="study")
app.command()(moon_data.relevance)
app.command()(moon_data.augment)
app.command()(moon_data.blend)


@app.command()
def pretrain(settings: Settings = None, json: Json = False) -> None:
    """Learn the names of things from pictures and the ConSE bridge.

    Example: `creative4u moon pretrain pictures=pictures worlds=world out=runs/moon/pretrain`
    """
    with working():
        from creative4u.moon.training.overrides import with_overrides
        from creative4u.moon.training.pretrain import PretrainConfig, main

        file = main(with_overrides(PretrainConfig(), settings or ()))
    answer({"encoder": file}, json)


@app.command()
def posttrain(settings: Settings = None, json: Json = False) -> None:
    """Learn from a shop's purchases: nine pairs first, then hard negatives and the queue.

    Example: `creative4u moon posttrain world=world start=runs/moon/pretrain/encoder.safetensors`
    """
    with working():
        from creative4u.moon.training.overrides import with_overrides
        from creative4u.moon.training.posttrain import main
        from creative4u.moon.training.posttrain_config import PosttrainConfig

        file = main(with_overrides(PosttrainConfig(), settings or ()))
    answer({"encoder": file}, json)


@app.command("apply")
def apply_(settings: Settings = None, json: Json = False) -> None:
    """Write embeddings of a shop's items and queries as Parquet, for the CTR model.

    Example: `creative4u moon apply world=world out=embeddings`
    """
    with working():
        from creative4u.moon.training.export_embeddings import ApplicationConfig, main
        from creative4u.moon.training.overrides import with_overrides

        counts = main(with_overrides(ApplicationConfig(), settings or ()))
    answer(dict(counts), json)


@app.command()
def evaluate(
    items: Annotated[
        Path | None, typer.Option("--items", help="A metadata.jsonl, a table, ABO or Product1M.")
    ] = None,
    columns: Annotated[
        str, typer.Option("--columns", help="A table's columns: title=NAME,image=NAME,...")
    ] = "",
    images: Annotated[
        Path | None, typer.Option("--images", help="Product1M's images; beside it by default.")
    ] = None,
    world: Annotated[Path | None, typer.Option("--world", help="A shop; its test items.")] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Only rows whose `kind` says this.")
    ] = None,
    encoder: EncoderFile = None,
    features: Features = None,
    baselines: Annotated[bool, typer.Option(help="Measure the baselines beside it.")] = True,
    validation: Annotated[
        bool, typer.Option(help="A shop: ask for a cut of its training things, to choose by.")
    ] = False,
    json: Json = False,
) -> None:
    """Retrieval between modalities, categories and attributes, with the baselines beside it.

    A shop is measured over a gallery of listings, with a two-tower trained on the same purchases.

    Example: `creative4u moon evaluate --items metadata.jsonl --json`
    """
    with working():
        from creative4u.moon.benchmark.items import evaluate as measure
        from creative4u.moon.benchmark.shop import evaluate_shop
        from creative4u.moon.catalogue.readers import read_source
        from creative4u.moon.encoder.encoder import load_encoder
        from creative4u.moon.encoder.feature_store import FeatureStore

        if (items is None) == (world is None):
            raise InputError("give --items METADATA.jsonl or --world DIR")
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
def index(
    items: Annotated[Path, typer.Argument(help="A metadata.jsonl, or a shop's folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The index; grown if it is there.")],
    kind: Annotated[str, typer.Option("--kind", help="exact or hnsw.")] = "exact",
    shards: Annotated[int, typer.Option(min=1, help="Parts to spread the vectors over.")] = 1,
    ray: Ray = None,
    encoder: EncoderFile = None,
    features: Features = None,
    json: Json = False,
) -> None:
    """Embed items and put them into an index; items that are there already are left alone.

    Example: `creative4u moon index metadata.jsonl --out shelf`
    """
    with working():
        from creative4u.moon.catalogue.items import read_items, read_world
        from creative4u.moon.encoder.encoder import load_encoder
        from creative4u.moon.encoder.feature_store import FeatureStore
        from creative4u.moon.index.catalogue_index import open_shelf
        from creative4u.moon.index.faiss_index import IndexConfig

        if kind not in ("exact", "hnsw"):
            raise InputError(f"--kind is exact or hnsw, not {kind!r}")
        model = load_encoder(encoder, FeatureStore(features))
        settings = IndexConfig("hnsw" if kind == "hnsw" else "exact", model.config.dim)
        shelf = open_shelf(out, settings, shards, ray)
        added = shelf.add(read_world(items) if items.is_dir() else read_items(items), model)
        shelf.save(out)
    answer({"added": added, "items": len(shelf), "index": out}, json)


@app.command()
def search(
    shelf: Annotated[Path, typer.Argument(metavar="INDEX", help="What `moon index` wrote.")],
    text: Text = None,
    image: Picture = None,
    top: Annotated[int, typer.Option("--top", "-k", min=1, help="How many.")] = 10,
    ray: Ray = None,
    encoder: EncoderFile = None,
    json: Json = False,
) -> None:
    """The nearest items to a text, an image, or both.

    Example: `creative4u moon search shelf --text "trail running shoes"`
    """
    with working():
        from creative4u.moon.encoder.content import Content
        from creative4u.moon.encoder.encoder import load_encoder
        from creative4u.moon.index.catalogue_index import open_shelf

        asked, opened = Content(text, image), open_shelf(shelf, ray=ray)
        hits = opened.near(load_encoder(encoder).encode([asked]), top)[0]
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
    dim: Annotated[int | None, typer.Option(min=1, help="The first so many numbers.")] = None,
    encoder: EncoderFile = None,
    json: Json = False,
) -> None:
    """The vector of a text, an image, or both.

    Example: `creative4u moon embed --text "trail running shoes" --image shoe.jpg --json`
    """
    with working():
        from creative4u.moon.encoder.content import Content
        from creative4u.moon.encoder.encoder import load_encoder

        asked = Content(text, image)
        vector = load_encoder(encoder).encode([asked], dim)[0]
    numbers = [round(float(number), 6) for number in vector]
    if json:
        print_json({"vector": numbers})
    else:
        print(" ".join(map(str, numbers)), flush=True)


def _table(found: dict[str, Any]) -> None:
    """A line for each direction: the encoder's figures, then each baseline's."""
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
    """A line for each direction and encoder: R@1, R@10 with its interval, and the lead."""
    for direction, row in found.items():
        if not isinstance(row, dict):
            print(f"{direction}  {row:.3f}", flush=True)
            continue
        say(f"{direction}  (gallery {row['gallery']}, queries {row['queries']})")
        for name, figures in row.items():
            if isinstance(figures, dict):
                said = "  ".join(f"{key} {value}" for key, value in figures.items())
                print(f"{direction:>7}  {name:<10} {said}", flush=True)
