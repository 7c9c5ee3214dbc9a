"""The verbs of Reason-to-Select RFT: a recipe and overrides in, a training run's folder out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from creative4u.cli_door import answer, print_json, say, verbs, working

Recipe = Annotated[str, typer.Argument(help="A shipped recipe's name, or a .yaml file.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes, dots descend.")
]
Model = Annotated[Path, typer.Option(help="A folder with an adapter or a model.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

app = verbs("Train a judge: CoT-SFT, then GRPO.")


@app.callback()
def rft() -> None:
    """Train a judge: CoT-SFT, then GRPO."""


@app.command()
def sft(recipe: Recipe, overrides: Overrides = None, json: Json = False) -> None:
    """Fine-tune on reasoning by a recipe; started again, a killed run goes on.

    Example: `creative4u rft sft smoke stages.0.singles=32`
    """
    with working():
        from rft.recipe import load_recipe

        loaded = load_recipe(recipe, tuple(overrides or ()))
        from rft.sft import main

        folder = main(loaded)
    if json:
        print_json({"folder": str(folder)})
    else:
        say(f"done: {folder}")


@app.command()
def grpo(recipe: Recipe, overrides: Overrides = None, json: Json = False) -> None:
    """Train by reinforcement from the adapter of `rft sft`; started again, a killed run goes on.

    Example: `creative4u rft grpo grpo-160m grpo.pairs=40`
    """
    with working():
        from rft.recipe import load_recipe

        loaded = load_recipe(recipe, tuple(overrides or ()))
        from rft.grpo import main

        folder = main(loaded)
    if json:
        print_json({"folder": str(folder)})
    else:
        say(f"done: {folder}")


@app.command()
def memory(
    recipe: Recipe,
    overrides: Overrides = None,
    gpu: Annotated[
        bool | None, typer.Option(help="A GPU or a CPU; by default as the recipe is meant.")
    ] = None,
    devices: Annotated[int, typer.Option(min=1, help="How many share a step.")] = 1,
    json: Json = False,
) -> None:
    """Estimate the memory that a recipe needs on each device; nothing is downloaded.

    Example: `creative4u rft memory grpo-qwen2.5-vl-7b --devices 8`
    """
    with working():
        from creative4u.backbone.names import BASES
        from rft.memory import estimate
        from rft.recipe import load_recipe

        loaded = load_recipe(recipe, tuple(overrides or ()))
        told = estimate(loaded, loaded.base not in BASES if gpu is None else gpu, devices).told()
    answer(told, json)


@app.command()
def merge(
    adapter: Annotated[Path, typer.Argument(help="A folder with an adapter.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")],
    json: Json = False,
) -> None:
    """Write base and adapter as one model, after checking that it says the same.

    Example: `creative4u rft merge runs/sft-160m/1-pairs --out runs/merged`
    """
    with working():
        from rft.merge import main

        report = main(adapter, out)
    answer(report, json)


@app.command()
def probe(
    singles: Annotated[Path, typer.Option(help="A singles.jsonl with both splits.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder that gets the probe.")],
    train: Annotated[int, typer.Option(min=50, help="How many training images.")] = 1900,
    test: Annotated[int, typer.Option(min=20, help="How many held-out images.")] = 250,
    json: Json = False,
) -> None:
    """Fit the linear probe that rates single images, and say how well it sees held-out ones.

    Example: `creative4u rft probe --singles singles.jsonl --out creative4u/selector/weights`
    """
    with working():
        from rft.probe import main

        report = main(singles, out, train, test)
    _tell(report, json)


@app.command()
def observe(
    model: Model,
    singles: Annotated[Path, typer.Option(help="A singles.jsonl; its test split is used.")],
    limit: Annotated[int, typer.Option(min=1, help="How many images.")] = 300,
    json: Json = False,
) -> None:
    """Say how well a model sees each property of held-out single images.

    Example: `creative4u rft observe --model runs/sft-160m/0-singles --singles singles.jsonl`
    """
    with working():
        from creative4u.selector.load import load_judge
        from rft.observe import observation_report

        report = observation_report(load_judge(str(model)), singles, limit)
    _tell(report, json)


@app.command()
def calibrate(
    verdicts: Annotated[Path, typer.Argument(help="Labelled verdicts of a held-out split.")],
    model: Model,
    json: Json = False,
) -> None:
    """Fit the temperature of a model's confidence and keep it beside its weights.

    Example: `creative4u rft calibrate verdicts.jsonl --model runs/sft-160m/1-pairs`
    """
    with working():
        from creative4u.serving.evaluate import read_verdicts
        from rft.calibrate import calibrate as fit

        figures = fit(read_verdicts(verdicts), model)
    answer(figures, json)


def _tell(report: dict[str, Any], json: bool) -> None:
    if json:
        print_json(report)
        return
    for name, figures in report.items():
        say(f"{name}: " + ", ".join(f"{key} {value:.3g}" for key, value in figures.items()))
