"""The verbs of Reason-to-Select RFT: a recipe and overrides in, a training run's folder out."""

from __future__ import annotations

from typing import Annotated

import typer

from creative4u.cli_door import print_json, say, verbs, working

Recipe = Annotated[str, typer.Argument(help="A shipped recipe's name, or a .yaml file.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes, dots descend.")
]
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
