"""Define the verbs of `creative4u rft`: training a judge by a recipe (Reason-to-Select RFT)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from creative4u.cli.console import (
    Dtype,
    SettingsCommand,
    answer,
    print_json,
    say,
    verbs,
    working,
)

Recipe = Annotated[str, typer.Argument(help="A shipped recipe's name, or a .yaml file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Change one field of the recipe; repeatable. Dots descend: lora.rank=16.",
    ),
]
Model = Annotated[Path, typer.Option(help="A folder with an adapter or a model.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

app = verbs("Train a judge: CoT-SFT, then GRPO.")


@app.callback()
def rft() -> None:
    """Train a judge: CoT-SFT, then GRPO."""


@app.command(cls=SettingsCommand)
def sft(recipe: Recipe, settings: Overrides = None, json: Json = False) -> None:
    """Fine-tune on reasoning by a recipe; started again, a killed run goes on.

    Example: `creative4u rft sft smoke --set stages.0.singles=32`
    """
    with working():
        from rft.recipe import load_recipe

        loaded = load_recipe(recipe, tuple(settings or ()))
        from rft.training.sft import main

        folder = main(loaded)
    _done(folder, json)


@app.command(cls=SettingsCommand)
def grpo(recipe: Recipe, settings: Overrides = None, json: Json = False) -> None:
    """Train by reinforcement from the adapter of `rft sft`; started again, a killed run goes on.

    Example: `creative4u rft grpo grpo-160m --set grpo.pairs=40`
    """
    with working():
        from rft.recipe import load_recipe

        loaded = load_recipe(recipe, tuple(settings or ()))
        from rft.training.grpo import main

        folder = main(loaded)
    _done(folder, json)


@app.command(cls=SettingsCommand)
def memory(
    recipe: Recipe,
    settings: Overrides = None,
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
        from rft.recipe import load_recipe
        from rft.tools.memory import estimate

        loaded = load_recipe(recipe, tuple(settings or ()))
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
        from rft.training.merge import main

        report = main(adapter, out)
    answer(report, json)


@app.command()
def probe(
    singles: Annotated[Path, typer.Option(help="A singles.jsonl with both splits.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder that gets the probe.")],
    pairs: Annotated[
        list[Path] | None, typer.Option(help="A pairs.jsonl with facts.jsonl beside; repeatable.")
    ] = None,
    train: Annotated[int, typer.Option(min=50, help="How many training singles.")] = 3800,
    test: Annotated[int, typer.Option(min=20, help="How many held-out singles.")] = 500,
    cache: Annotated[Path | None, typer.Option(help="An .npz that keeps what was seen.")] = None,
    json: Json = False,
) -> None:
    """Fit the linear probe that rates single images, and say how well it sees held-out ones.

    Example: `creative4u rft probe --singles singles.jsonl --out creative4u/selector/weights`
    """
    with working():
        from rft.evidence.fit_probe import main

        report = main(singles, out, train, test, pairs or (), cache)
    _tell(report, json)


@app.command()
def weigh(
    pairs: Annotated[list[Path], typer.Argument(help="Files of labelled pairs.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .json file that gets the weights.")],
    json: Json = False,
) -> None:
    """Learn how much each observed degree counts for the choice, from training labels.

    Example: `creative4u rft weigh seen/pairs.jsonl defects/pairs.jsonl --out runs/weights.json`
    """
    with working():
        from creative4u.selector.loading import load_asker
        from rft.evidence.fit_weights import weigh as fit

        figures = fit(pairs, load_asker(), out, say)
    answer(figures, json)


@app.command()
def observe(
    model: Model,
    singles: Annotated[Path, typer.Option(help="A singles.jsonl; its test split is used.")],
    limit: Annotated[int, typer.Option(min=1, help="How many images.")] = 300,
    dtype: Dtype = "auto",
    json: Json = False,
) -> None:
    """Say how well a model sees each property of held-out single images.

    Example: `creative4u rft observe --model runs/sft-160m/0-singles --singles singles.jsonl`
    """
    with working():
        from creative4u.selector.loading import load_judge
        from rft.evidence.observation_report import observation_report

        report = observation_report(load_judge(str(model), dtype=dtype), singles, limit)
    _tell(report, json)


@app.command()
def calibrate(
    verdicts: Annotated[list[Path], typer.Argument(help="Labelled verdicts of held-out pairs.")],
    model: Model,
    json: Json = False,
) -> None:
    """Fit how a model's confidence is read and keep it beside its weights.

    Example: `creative4u rft calibrate verdicts.jsonl --model runs/sft-160m/1-pairs`
    """
    with working():
        from creative4u.files.verdict_file import read_verdicts
        from rft.evidence.calibrate import calibrate as fit

        first, *more = (read_verdicts(file) for file in verdicts)
        figures = fit(first, model, *more)
    answer(figures, json)


@app.command()
def evaluate(
    out: Annotated[Path, typer.Argument(help="The folder that keeps verdicts and figures.")],
    pairs: Annotated[Path, typer.Option(help="A pairs.jsonl with labels and splits.")],
    model: Annotated[
        str | None, typer.Option(help="As for `judge`; by default the embedded model.")
    ] = None,
    split: Annotated[str, typer.Option(help="Which split is judged.")] = "test",
    limit: Annotated[int | None, typer.Option(min=1, help="How many pairs of it.")] = None,
    validation: Annotated[
        int, typer.Option(min=0, help="Validation pairs to refit the calibration on; 0: none.")
    ] = 0,
    before: Annotated[
        Path | None, typer.Option(help="Another model's verdicts on the same pairs.")
    ] = None,
    rankers: Annotated[
        Path | None, typer.Option(help="What `creative4u data ceiling` wrote.")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="Only pairs with this tag.")] = None,
    queries: Annotated[bool, typer.Option(help="Whether the judge is told the queries.")] = True,
    card: Annotated[Path | None, typer.Option(help="The model card to write.")] = None,
    dtype: Dtype = "auto",
    json: Json = False,
) -> None:
    """Judge a split and say all that is known of the judge; with --card, write its model card.

    Example: `creative4u rft evaluate runs/card --pairs pairs.jsonl --card docs/model-card.md`
    """
    with working():
        from data.creative_pair.facts import FACTS, read_facts
        from data.creative_pair.reasoning.claim_accuracy import BorneOut
        from rft.report.evaluate import Asked, main

        known = read_facts(pairs.parent) if (pairs.parent / FACTS).is_file() else None
        checks = None if known is None else partial(BorneOut, known)
        asked = Asked(
            pairs, model, split, limit, validation, before, rankers, tag, queries, dtype=dtype
        )
        found = main(out, asked, checks, card, _command())
    if json:
        print_json(found)
        return
    for name in ("AA", "CA", "consistent"):
        low, high = found[name]["interval"]
        say(f"{name}: {found[name]['value']:.3f} ({low:.3f} to {high:.3f})")
    say(f"parse rate: {found['parse_rate']:.4f}; all figures: {out / 'figures.json'}")


def _command() -> str:
    """The words that this verb was called with, without the machine's paths to it."""
    import shlex
    import sys

    return shlex.join(["creative4u", *sys.argv[1:]])


def _done(folder: Path, json: bool) -> None:
    if json:
        print_json({"folder": str(folder)})
    else:
        say(f"done: {folder}")


def _tell(report: dict[str, Any], json: bool) -> None:
    if json:
        print_json(report)
        return
    for name, figures in report.items():
        say(f"{name}: " + ", ".join(f"{key} {value:.3g}" for key, value in figures.items()))
