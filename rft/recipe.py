"""A YAML recipe and `key=value` overrides in, a checked Recipe out; raises InputError."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from creative4u.errors import InputError
from creative4u.schema import Record

RECIPES = Path(__file__).parent / "recipes"


class Lora(Record):
    """A low-rank adapter on the language model; `connector` trains all of the connector too."""

    rank: int = Field(32, ge=1)
    alpha: int = Field(64, ge=1)
    connector: bool = True


class Stage(Record):
    """One run of the trainer: which rows, how many and how fast.

    `singles` and `pairs` are counts of rows drawn from the recipe's data, both orders of a pair
    counting as two and every file of pairs giving the same share; learning_rate is AdamW's
    peak, warm-up and cosine decay around it.
    """

    name: str
    singles: int = Field(0, ge=0)
    pairs: int = Field(0, ge=0)
    epochs: float = Field(1.0, gt=0)
    learning_rate: float = Field(gt=0)
    connector_learning_rate: float | None = Field(None, gt=0)
    batch_size: int = Field(8, ge=1)
    accumulation: int = Field(1, ge=1)
    checkpoint_steps: int = Field(100, ge=1)


class Recipe(Record):
    """One fine-tuning run, whole; paths are relative to the folder it is started in."""

    kind: Literal["sft"]
    base: str
    out: Path
    features: Path = Path("runs/features")  # cached vision features, shared by runs
    singles: Path | None = None
    pairs: tuple[Path, ...] = ()
    judge: dict[str, Any] = Field(default_factory=dict)  # overrides of selector.config.JudgeConfig
    seed: int = 7
    lora: Lora = Lora()
    stages: tuple[Stage, ...] = Field(min_length=1)


def load_recipe(name: str, overrides: tuple[str, ...] = ()) -> Recipe:
    """`name` is a shipped recipe's name or a YAML file; overrides are `key=value`, dots descend.

    A number descends into a list: `stages.0.singles=32`.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"
    if not path.exists():
        shipped = ", ".join(sorted(p.stem for p in RECIPES.glob("*.yaml")))
        raise InputError(f"no recipe {name!r}; shipped are {shipped}, or give a .yaml file")
    content = yaml.safe_load(path.read_text("utf-8"))
    for override in overrides:
        _override(content, override)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{path.name}: {where}: got {first['input']!r}; {first['msg']}") from None


def _override(content: Any, override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals:
        raise InputError(f"got {override!r}; an override is key=value")
    *parents, last = [int(part) if part.isdigit() else part for part in key.split(".")]
    try:
        for part in parents:
            content = content.setdefault(part, {}) if isinstance(content, dict) else content[part]
        content[last] = yaml.safe_load(value)
    except (IndexError, KeyError, TypeError):
        raise InputError(f"got {override!r}; the recipe has no {key!r}") from None
