"""Load a YAML recipe with `--set NAME=VALUE` settings as a checked Recipe; raises InputError."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from creative4u.errors import InputError
from creative4u.files.table_text import read_text
from creative4u.overrides import apply_setting, first_problem
from creative4u.schema import Record
from creative4u.selector.config import JudgeConfig
from creative4u.user_paths import is_file, short_name

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


class Weights(Record):
    """How much each reward of `rft.training.rewards` counts (our choice; 0 leaves it out)."""

    format: float = Field(0.2, ge=0)
    accuracy: float = Field(1.0, ge=0)
    coherence: float = Field(0.2, ge=0)
    answers: float = Field(0.3, ge=0)
    fairness: float = Field(0.5, ge=0)


class Collapse(Record):
    """When GRPO is stopped: the mean reward of `window` steps falls under `share` of its best."""

    window: int = Field(8, ge=1)
    share: float = Field(0.5, ge=0, le=1)


class Grpo(Record):
    """GRPO on pairs: what a step draws, how it generates and what it is paid for (our choices).

    A step takes `pairs_per_step` pairs, both orders of each, and `generations` completions of every
    order. `rollout` writes them: `guided` (the protocol's keys are fed, a prompt is read once; for
    one-dimensional rotary positions: Idefics3), `transformers` (plain), or `vllm` (colocated, GPU).
    `hard` is a file of verdicts on training pairs: only those are drawn whose orders disagreed, or
    whose probability lay within `hard_margin` of one half, or which were wrong.
    """

    pairs: int = Field(ge=1)
    epochs: float = Field(1.0, gt=0)
    pairs_per_step: int = Field(2, ge=1)
    generations: int = Field(4, ge=2)
    micro_batch: int = Field(4, ge=1)  # completions of one forward and backward pass, a device
    learning_rate: float = Field(gt=0)
    temperature: float = Field(1.0, gt=0)
    beta: float = Field(0.0, ge=0)  # weight of the KL to the model that GRPO starts from
    loss: Literal["grpo", "dr_grpo", "dapo", "bnpo"] = "dapo"
    scale: Literal["group", "batch", "none"] = "group"  # what the advantages are divided by
    clip_high: float = Field(0.28, gt=0)  # DAPO's clip-higher
    max_completion: int = Field(448, ge=8)  # tokens
    rollout: Literal["guided", "transformers", "vllm"] = "guided"
    vllm_memory: float = Field(0.35, gt=0, lt=1)  # share of the GPU
    vllm_length: int = Field(4096, ge=128)  # tokens of prompt and completion
    checkpoint_steps: int = Field(25, ge=1)
    sample_steps: int = Field(10, ge=1)
    hard: Path | None = None
    hard_margin: float = Field(0.25, ge=0, le=0.5)
    weights: Weights = Weights()
    collapse: Collapse = Collapse()

    @property
    def completions_per_step(self) -> int:
        return 2 * self.pairs_per_step * self.generations


class Recipe(Record):
    """One fine-tuning run, whole; paths are relative to the folder it is started in.

    `adapter` is the adapter that training starts from, on the same base; none starts a fresh one.
    """

    kind: Literal["sft", "grpo"]
    base: str
    adapter: Path | None = None
    out: Path
    features: Path = Path("runs/features")  # cached vision features, shared by runs
    singles: Path | None = None
    pairs: tuple[Path, ...] = ()
    weights: Path | None = None  # what `creative4u rft weigh` wrote, for the judge's config
    judge: dict[str, Any] = Field(default_factory=dict)  # overrides of selector.config.JudgeConfig
    seed: int = 7
    lora: Lora = Lora()
    stages: tuple[Stage, ...] = ()  # of sft
    grpo: Grpo | None = None

    @model_validator(mode="after")
    def _has_its_part(self) -> Recipe:
        if self.kind == "sft" and not self.stages:
            raise ValueError("a recipe of kind sft needs stages")
        if self.kind == "grpo" and (self.grpo is None or not self.pairs):
            raise ValueError("a recipe of kind grpo needs grpo and pairs")
        return self


def judge_config(recipe: Recipe) -> JudgeConfig:
    """How the recipe's model is judged with; raises InputError where its weights are missing."""
    found: dict[str, Any] = {}
    if recipe.weights is not None:
        if not is_file(recipe.weights):
            raise InputError(f"no {recipe.weights}; make it with `creative4u rft weigh`")
        try:
            found["evidence_curves"] = json.loads(read_text(recipe.weights))
        except ValueError as error:
            raise InputError(f"{recipe.weights}: not what `rft weigh` wrote: {error}") from None
    return JudgeConfig.model_validate(found | recipe.judge)


def load_recipe(name: str, settings: tuple[str, ...] = ()) -> Recipe:
    """Load a shipped recipe by name, or a YAML file, with settings applied.

    Settings are `NAME=VALUE`: dots descend, a number into a list (`stages.0.singles=32`).
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"
    if not is_file(path):
        shipped = ", ".join(sorted(p.stem for p in RECIPES.glob("*.yaml")))
        name = short_name(name)
        raise InputError(f"no recipe {name!r}; shipped are {shipped}, or give a .yaml file")
    try:
        content = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise InputError(f"{short_name(path)}: not YAML: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{short_name(path)}: got {type(content).__name__}; a recipe has keys")
    for setting in settings:
        apply_setting(content, setting, new_keys=True)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path.name}: {first_problem(error)}") from None
