"""Define the verbs of `creative4u moon study`: ablations, scaling, speed and others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from creative4u.cli.console import Settings, SettingsCommand, print_json, verbs, working

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
EncoderFile = Annotated[
    Path | None, typer.Option("--encoder", help="The encoder's file; by default the shipped one.")
]
Features = Annotated[
    Path | None, typer.Option("--features", help="Cache folder for image and text features.")
]
World = Annotated[Path, typer.Option("--world", help="A shop's folder with its log.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="The study's folder; runs/moon/STUDY by default."),
]

app = verbs("Studies of MOON: each writes a table and a plot, and resumes a stopped run.")


@app.command(cls=SettingsCommand)
def ablations(
    world: World,
    out: Out = None,
    views: Annotated[
        Path | None, typer.Option("--views", help="The folder that `moon augment` wrote.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, help="Runs of each variant; 2 by default.")
    ] = None,
    features: Features = None,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Measure what each part of the method is worth, with its interval.

    Example: `creative4u moon study ablations --world world --out runs/moon/ablations --seeds 3`
    """
    with working():
        from creative4u.moon.studies.ablations import AblationConfig, main
        from creative4u.overrides import configured

        config = configured(
            AblationConfig(), settings,
            world=world, out=out, views=views, seeds=seeds, features=features,
        )  # fmt: skip
        found = main(config)
    _print_study(found, Path(config.out), ("ablations",), json)


@app.command(cls=SettingsCommand)
def exchange(
    world: World,
    out: Out = None,
    clicks: Annotated[
        Path | None,
        typer.Option("--clicks", help="rungs.jsonl of `ctr checkpoints`: use the CTR model's AUC."),
    ] = None,
    features: Features = None,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Measure how far gains in image search turn into gains in click AUC, over checkpoints.

    Example: `creative4u moon study exchange --world world --out runs/moon/exchange`
    """
    with working():
        from creative4u.moon.studies.exchange_rate import ExchangeConfig, main
        from creative4u.overrides import configured

        config = configured(
            ExchangeConfig(), settings, world=world, out=out, clicks=clicks, features=features
        )
        found = main(config)
    _print_study(found, Path(config.out), (config.name,), json)


@app.command(cls=SettingsCommand)
def scaling(
    world: World,
    out: Out = None,
    features: Features = None,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Fit power laws of losses over samples, negatives and behaviour; predict a held-out point.

    Example: `creative4u moon study scaling --world world --out runs/moon/scaling`
    """
    with working():
        from creative4u.moon.studies.scaling import ScalingConfig, main
        from creative4u.overrides import configured

        config = configured(ScalingConfig(), settings, world=world, out=out, features=features)
        found = main(config)
    _print_study(found, Path(config.out), ("samples", "negatives", "behaviour"), json)


@app.command()
def heatmaps(
    world: Annotated[
        Path, typer.Option("--world", help="A shop's folder; its test items are used.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The study's folder.")],
    figures: Annotated[
        int, typer.Option(min=0, help="How many items to draw; half a minute each.")
    ] = 3,
    encoder: EncoderFile = None,
    features: Features = None,
    json: Json = False,
) -> None:
    """Attribute an item's similarity to patches and words, before and after training.

    Example: `creative4u moon study heatmaps --world world --out heat --figures 3`
    """
    with working():
        from creative4u.moon.encoder.feature_store import FeatureStore
        from creative4u.moon.studies.heatmap_study import study_heatmaps

        found = study_heatmaps(world, out, encoder, FeatureStore(features), figures)
    _print_study(found, out, ("heatmaps",), json)


@app.command()
def throughput(
    images: Annotated[int, typer.Option(min=8, help="How many images to embed.")] = 32,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements; their median counts.")] = 3,
    json: Json = False,
) -> None:
    """Measure embedding speed as a share of this machine's matrix product speed.

    Example: `creative4u moon study throughput --images 64 --json`
    """
    with working():
        from creative4u.moon.index.bench import bench_embedding

        found = bench_embedding(images, rounds)
    _print_figures(found, json)


@app.command("search-speed")
def search_speed(
    vectors: Annotated[int, typer.Option(min=1000, help="How many vectors.")] = 1_000_000,
    dim: Annotated[int, typer.Option(min=8, help="Dimensions of a vector.")] = 384,
    queries: Annotated[int, typer.Option(min=1, help="Queries in a call.")] = 64,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements; their median counts.")] = 5,
    json: Json = False,
) -> None:
    """Measure search speed as a share of bare FAISS's on the same vectors.

    Example: `creative4u moon study search-speed --vectors 1000000 --json`
    """
    with working():
        from creative4u.moon.index.bench import bench_search

        found = bench_search(vectors, dim, queries, rounds)
    _print_figures(found, json)


def _print_study(found: dict[str, Any], out: Path, names: tuple[str, ...], json: bool) -> None:
    """Print the study's tables, or its JSON."""
    if json:
        print_json(found)
        return
    for name in names:
        print((out / f"{name}.md").read_text("utf-8"), flush=True)
        print(f"plot: {out / name}.png", flush=True)


def _print_figures(found: dict[str, Any], json: bool) -> None:
    if json:
        print_json(found)
        return
    for name, value in found.items():
        print(f"{name}: {value}", flush=True)
