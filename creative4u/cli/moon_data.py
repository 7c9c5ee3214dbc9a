"""Further verbs of `creative4u moon`: the relevance score, augmentation, blended weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from creative4u.cli.console import answer, print_json, working

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
EncoderFile = Annotated[
    Path | None, typer.Option("--encoder", help="An encoder's file; the shipped one by default.")
]
Features = Annotated[
    Path | None, typer.Option("--features", help="A folder that keeps what was once looked at.")
]


def relevance(
    world: Annotated[Path, typer.Option("--world", help="A shop with its log.")],
    encoder: EncoderFile = None,
    features: Features = None,
    truth: Annotated[bool, typer.Option(help="Judge it by the world's truth too.")] = True,
    json: Json = False,
) -> None:
    """Fit the query-item score on training products; judge it on test products, beside text alone.

    Example: `creative4u moon relevance --world world --json`
    """
    with working():
        from creative4u.moon.encoder.encoder import load_encoder
        from creative4u.moon.encoder.feature_store import FeatureStore
        from creative4u.moon.studies.relevance_study import study_relevance

        store = FeatureStore(features)
        right = _truth(world) if truth else None
        found = study_relevance(world, load_encoder(encoder, store), store, right)
    if json:
        print_json(found)
        return
    for name, figures in found.items():
        for how, row in figures.items():
            print(f"{name}, {how}: " + "  ".join(f"{k} {v}" for k, v in row.items()), flush=True)


def augment(
    world: Annotated[Path, typer.Option("--world", help="A shop; its training items.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of views.")],
    writer: Annotated[
        str, typer.Option("--writer", help="rules, embedded, or a server's URL.")
    ] = "rules",
    model: Annotated[str, typer.Option("--model", help="The model's name at the server.")] = "",
    views: Annotated[int, typer.Option(min=1, help="Views of each item.")] = 1,
    least: Annotated[
        float, typer.Option(min=-1, max=1, help="The cosine below which a view is dropped.")
    ] = 0.5,
    encoder: EncoderFile = None,
    features: Features = None,
    json: Json = False,
) -> None:
    """Make views and enriched titles of a shop's training items, filtered by the encoder.

    Example: `creative4u moon augment --world world --out views --writer embedded`
    """
    with working():
        from creative4u.moon.augment.build import augment as make
        from creative4u.moon.augment.title_writers import writer_of
        from creative4u.moon.catalogue.items import read_world
        from creative4u.moon.encoder.encoder import load_encoder
        from creative4u.moon.encoder.feature_store import FeatureStore

        pen = writer_of(writer, model)
        model_file = load_encoder(encoder, FeatureStore(features))
        counts = make(read_world(world), model_file, pen, out, views, least)
    answer({"made": counts.made, "kept": counts.kept, "views": out}, json)


def blend(
    trained: Annotated[Path, typer.Argument(help="A trained encoder's file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The blended encoder's file.")],
    share: Annotated[float, typer.Option(min=0, max=1, help="Of the trained weights.")] = 0.5,
    start: Annotated[
        Path | None, typer.Option(help="The encoder that training began with; ConSE by default.")
    ] = None,
    json: Json = False,
) -> None:
    """Weights between an encoder and its start: better on what training has not seen.

    Example: `creative4u moon blend encoder.safetensors --out blended.safetensors --share 0.5`
    """
    with working():
        from creative4u.moon.encoder.encoder import load_encoder
        from creative4u.moon.training.weight_interpolation import blend as mix

        begun = load_encoder(start) if start else None
        file = mix(load_encoder(trained), share, begun).save(out, half=True)
    answer({"encoder": file}, json)


def _truth(world: Path) -> Any:
    """Which product answers which query, from the world's truth: for evaluation only."""
    import numpy as np
    import pyarrow.parquet as pq

    from creative4u.moon.studies.relevance_study import answers_of
    from data.world.market.truth import read_truth

    rates = read_truth(world / "truth", "queries", "evaluation")
    owners = read_truth(world / "truth", "creatives", "evaluation")
    product_of = np.zeros(len(owners), np.int64)
    product_of[owners["creative_id"].to_numpy()] = owners["product"].to_numpy()
    count = pq.read_metadata(world / "queries.parquet").num_rows
    return answers_of(
        rates["creative_id"].to_numpy().astype(np.int64),
        rates["query_id"].to_numpy().astype(np.int64),
        rates["unbiased_ctr"].to_numpy().astype(float),
        product_of,
        (count, int(product_of.max()) + 1),
    )
