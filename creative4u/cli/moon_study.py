"""The verbs `creative4u moon study`: ablations, exchange rate, scaling laws, heat maps, benches."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from creative4u.cli.console import print_json, verbs, working

Settings = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings, dots descend.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
EncoderFile = Annotated[
    Path | None, typer.Option("--encoder", help="An encoder's file; the shipped one by default.")
]
Features = Annotated[
    Path | None, typer.Option("--features", help="A folder that keeps what was once looked at.")
]

app = verbs("Studies of MOON: each ends in a table and a plot, and goes on where it was stopped.")


@app.command()
def ablations(settings: Settings = None, json: Json = False) -> None:
    """What each part of the method is worth, with its interval.

    Example: `creative4u moon study ablations world=world out=runs/moon/ablations seeds=3`
    """
    with working():
        from creative4u.moon.studies.ablations import AblationConfig, main
        from creative4u.moon.training.overrides import with_overrides

        config = with_overrides(AblationConfig(), settings or ())
        found = main(config)
    _tell(found, Path(config.out), ("ablations",), json)


@app.command()
def exchange(settings: Settings = None, json: Json = False) -> None:
    """How far image search recall turns into click AUC, over a run's checkpoints.

    Example: `creative4u moon study exchange world=world out=runs/moon/exchange`. Again with
    `clicks=clicks/rungs.jsonl`, of `creative4u ctr checkpoints`, the CTR model's AUC counts.
    """
    with working():
        from creative4u.moon.studies.exchange_rate import ExchangeConfig, main
        from creative4u.moon.training.overrides import with_overrides

        config = with_overrides(ExchangeConfig(), settings or ())
        found = main(config)
    _tell(found, Path(config.out), (config.name,), json)


@app.command()
def scaling(settings: Settings = None, json: Json = False) -> None:
    """How losses fall with samples, negatives and behaviour: power laws that predict a point.

    Example: `creative4u moon study scaling world=world out=runs/moon/scaling`
    """
    with working():
        from creative4u.moon.studies.scaling import ScalingConfig, main
        from creative4u.moon.training.overrides import with_overrides

        config = with_overrides(ScalingConfig(), settings or ())
        found = main(config)
    _tell(found, Path(config.out), ("samples", "negatives", "behaviour"), json)


@app.command()
def heatmaps(
    world: Annotated[Path, typer.Option("--world", help="A shop; its test items.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A folder for figures and the table.")],
    figures: Annotated[int, typer.Option(min=0, help="Items to draw; half a minute each.")] = 3,
    encoder: EncoderFile = None,
    features: Features = None,
    json: Json = False,
) -> None:
    """Which patches and words make an item's similarity, before and after training.

    Example: `creative4u moon study heatmaps --world world --out heat --figures 3`
    """
    with working():
        from creative4u.moon.encoder.feature_store import FeatureStore
        from creative4u.moon.studies.heatmap_study import study_heatmaps

        found = study_heatmaps(world, out, encoder, FeatureStore(features), figures)
    _tell(found, out, ("heatmaps",), json)


@app.command()
def throughput(
    images: Annotated[int, typer.Option(min=8, help="How many images to embed.")] = 32,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements; the middle one counts.")] = 3,
    json: Json = False,
) -> None:
    """Embedding speed as a share of what this machine's matrix products reach in the same run.

    Example: `creative4u moon study throughput --images 64 --json`
    """
    with working():
        from creative4u.moon.index.bench import bench_embedding

        found = bench_embedding(images, rounds)
    _lines(found, json)


@app.command("search-speed")
def search_speed(
    vectors: Annotated[int, typer.Option(min=1000, help="How many vectors.")] = 1_000_000,
    dim: Annotated[int, typer.Option(min=8, help="Numbers a vector.")] = 384,
    queries: Annotated[int, typer.Option(min=1, help="Queries a batch.")] = 64,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements; the middle one counts.")] = 5,
    json: Json = False,
) -> None:
    """Search through `moon.index` against bare FAISS on the same vectors, in one run.

    Example: `creative4u moon study search-speed --vectors 1000000 --json`
    """
    with working():
        from creative4u.moon.index.bench import bench_search

        found = bench_search(vectors, dim, queries, rounds)
    _lines(found, json)


def _tell(found: dict[str, Any], out: Path, names: tuple[str, ...], json: bool) -> None:
    """The study's tables, or its JSON."""
    if json:
        print_json(found)
        return
    for name in names:
        print((out / f"{name}.md").read_text("utf-8"), flush=True)
        print(f"plot: {out / name}.png", flush=True)


def _lines(found: dict[str, Any], json: bool) -> None:
    if json:
        print_json(found)
        return
    for name, value in found.items():
        print(f"{name}: {value}", flush=True)
