"""CoT-SFT: a recipe in, an adapter out. Run: creative4u rft sft sft-160m [--set NAME=VALUE]

Stages follow each other on one adapter: single images and their degrees first,
then pairs whose prompts hold what the model itself observed, single images still mixed in.
Killed and started again, a run goes on from its last checkpoint and ends with the same steps done.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from tqdm import tqdm
from transformers import get_cosine_schedule_with_warmup
from transformers.trainer_utils import get_last_checkpoint
from trl import SFTConfig, SFTTrainer

from creative4u.errors import InputError
from creative4u.files.origin import (
    file_hash,
    is_made_otherwise,
    kept_rows,
    tree_hash,
    value_hash,
)
from creative4u.files.pairs_file import PairRow, good_pairs
from creative4u.selector.config import JudgeConfig
from creative4u.selector.decoding.speculation import write_usual_lines
from creative4u.selector.loading import evidence_hash, judge_of
from rft.recipe import Recipe, Stage, judge_config
from rft.training.metrics_file import MetricsFile, reporters
from rft.training.policy import (
    cached_vision,
    checkpoints,
    half_precision_pays,
    load_base,
    loaders,
    policy,
    save_adapter,
)
from rft.training.rows import (
    Row,
    as_dataset,
    completion_text,
    draw,
    pair_rows,
    read_singles,
    single_rows,
)

log = logging.getLogger(__name__)
DONE = "done.json"
SPARE = 2  # pairs drawn for a row, as some are left out


def main(recipe: Recipe) -> Path:
    """Train every stage that is not done yet; the folder of the last stage's adapter."""
    for stage in recipe.stages:  # before anything slow is loaded
        check_stage(recipe, stage)
    torch.manual_seed(recipe.seed)
    model, processor = load_base(recipe.base)
    vision = cached_vision(model, recipe.features)
    model = policy(model, recipe.lora, recipe.adapter)
    config = judge_config(recipe)
    folder = recipe.out
    for number, stage in enumerate(recipe.stages):
        folder = recipe.out / f"{number}-{stage.name}"
        check_begun(recipe, stage, number, config)
        if (folder / DONE).exists():
            load_adapter(model, folder)
            continue
        with PartialState().main_process_first():
            rows = stage_rows(recipe, stage, number, model, processor, config)
        done = train(model, processor, rows, folder, stage, config, recipe.seed + number)
        if not PartialState().is_main_process:
            continue
        save_adapter(model, folder, recipe.base)
        (folder / "creative4u.json").write_text(config.model_dump_json(indent=2) + "\n", "utf-8")
        write_usual_lines(map(completion_text, rows), folder)
        (folder / DONE).write_text(json.dumps(done | {"rows": len(rows)}, indent=2) + "\n", "utf-8")
        seen = f"{vision.hits} hits, {vision.misses} misses" if vision else "none"
        log.info("stage %s: %s; vision cache: %s", stage.name, done, seen)
    return folder


def load_adapter(model: Any, folder: Path) -> None:
    """Put a saved stage's adapter into the model that is being trained."""
    model.load_adapter(str(folder), adapter_name="default", is_trainable=True)


def stage_rows(
    recipe: Recipe, stage: Stage, number: int, model: Any, processor: Any, config: JudgeConfig
) -> list[Row]:
    """The stage's rows in training order, from a file if they were made of the same before.

    Raises InputError where nothing comes of the recipe's data.
    """
    path = rows_file(recipe, stage, number)

    def made() -> Iterator[Row]:
        rows: list[Row] = []
        if stage.singles:
            assert recipe.singles is not None
            rows += draw(single_rows(recipe.singles), stage.singles, recipe.seed)
        if stage.pairs:
            rows += made_pairs(recipe, stage.pairs, model, processor, config)
        yield from draw(rows, len(rows), number)

    rows = kept_rows(path, origin_of(recipe, stage, number, config), made)
    if not rows:
        raise InputError(f"stage {stage.name!r}: its counts give no row; two are needed for a pair")
    return rows


def rows_file(recipe: Recipe, stage: Stage, number: int) -> Path:
    """Where a stage's rows are kept."""
    return recipe.out / f"{number}-{stage.name}.rows.jsonl"


def check_begun(recipe: Recipe, stage: Stage, number: int, config: JudgeConfig) -> None:
    """Whether what was trained of a stage was trained on these rows; raises InputError."""
    folder = recipe.out / f"{number}-{stage.name}"
    begun = (folder / DONE).exists() or (folder.exists() and get_last_checkpoint(str(folder)))
    origin = origin_of(recipe, stage, number, config)
    if begun and is_made_otherwise(rows_file(recipe, stage, number), origin):
        raise InputError(
            f"{folder} was trained on other rows than the recipe gives now; delete it or choose "
            "another out=FOLDER"
        )


def check_stage(recipe: Recipe, stage: Stage) -> None:
    """Whether the recipe's data has what the stage draws; raises InputError."""
    if not stage.singles and not stage.pairs:
        raise InputError(f"stage {stage.name!r} draws neither singles nor pairs")
    if stage.singles:
        if recipe.singles is None:
            raise InputError(
                f"stage {stage.name!r} draws {stage.singles} single images and the recipe names "
                "no file of them; add singles=DIR/singles.jsonl (`creative4u data singles`)"
            )
        if not any(row["split"] == "train" for row in read_singles(recipe.singles)):
            raise InputError(f"{recipe.singles}: no row is of split 'train'")
    if stage.pairs:
        if not recipe.pairs:
            raise InputError(
                f"stage {stage.name!r} draws pairs and the recipe names no file of them; add "
                "pairs=[DIR/pairs.jsonl] (`creative4u data reason`)"
            )
        for path in recipe.pairs:
            training_pairs(path)


def training_pairs(path: Path) -> list[PairRow]:
    """The reasoned, labelled pairs of the training split; raises InputError where there are none.

    A pair without a label or answers teaches nothing, and neither does one of another split.
    """
    rows = list(good_pairs(path))
    found = [row for row in rows if row.split == "train" and row.reasoning
             and row.answers is not None and row.label]  # fmt: skip
    if not found:
        splits = ", ".join(sorted({row.split or "none" for row in rows})) or "no rows at all"
        lacks = {
            name: sum(getattr(row, name) is None for row in rows)
            for name in ("label", "answers", "reasoning")
        }
        without = ", ".join(f"{count} without {name}" for name, count in lacks.items() if count)
        raise InputError(
            f"{path}: no pair to train on; each needs split 'train', a label, answers and "
            f"reasoning. Its {len(rows)} rows have the split: {splits}"
            + (f"; {without}" if without else "")
        )
    return found


def origin_of(recipe: Recipe, stage: Stage, number: int, config: JudgeConfig) -> dict[str, Any]:
    """What a stage's rows are made of, by content: files, their images, counts, the judge."""
    singles = stage.singles and recipe.singles
    return {
        "base": recipe.base,
        "seed": recipe.seed,
        "number": number,
        "counts": [stage.singles, stage.pairs],
        "judge": value_hash([config.model_dump(mode="json"), evidence_hash()]),
        "before": own_model(recipe, number) if config.observe == "model" else None,
        "adapter": tree_hash(recipe.adapter) if recipe.adapter else None,
        "singles": [str(singles), file_hash(singles)] if singles else None,
        "pairs": [
            [str(path), file_hash(path), value_hash([r.content(path.parent) for r in rows])]
            for path in recipe.pairs
            for rows in [training_pairs(path)]
        ] if stage.pairs else None,
    }  # fmt: skip


def own_model(recipe: Recipe, number: int) -> str | None:
    """What names the model that observes: the adapter of the stage before."""
    if not number:
        return None
    before = recipe.out / f"{number - 1}-{recipe.stages[number - 1].name}"
    return file_hash(before / "adapter_model.safetensors")


def made_pairs(
    recipe: Recipe, count: int, model: Any, processor: Any, config: JudgeConfig
) -> list[Row]:
    """`count` rows, both orders of count/2 pairs, the model's own observations in the prompt."""
    judge = judge_of(model, processor, "training", config)
    rows: list[Row] = []
    share = count // 2 // len(recipe.pairs) * 2
    for path in recipe.pairs:
        drawn = draw(training_pairs(path), SPARE * share, recipe.seed)
        made = islice(pair_rows(drawn, path.parent, judge), share)
        rows += tqdm(made, total=share, desc=f"observing {path.parent.name}", unit="row")
    model.train()
    return rows


def train(
    model: Any,
    processor: Any,
    rows: list[Row],
    folder: Path,
    stage: Stage,
    config: JudgeConfig,
    seed: int,
) -> dict[str, float]:
    """One stage on TRL's SFTTrainer; resumes from the folder's last checkpoint."""
    args = SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=stage.batch_size,
        gradient_accumulation_steps=stage.accumulation,
        num_train_epochs=stage.epochs,
        learning_rate=stage.learning_rate,
        max_length=None,
        logging_steps=10,
        save_steps=stage.checkpoint_steps,
        save_total_limit=1,
        seed=seed,
        data_seed=seed,
        bf16=half_precision_pays(),
        gradient_checkpointing=checkpoints(model),
        dataloader_num_workers=loaders(),
        report_to=reporters(),
        remove_unused_columns=False,
        max_grad_norm=1.0,
        use_cpu=not torch.cuda.is_available(),
    )
    steps = -(-len(rows) // (stage.batch_size * stage.accumulation)) * stage.epochs
    connector = [p for n, p in model.named_parameters() if p.requires_grad and "connector" in n]
    rest = [p for n, p in model.named_parameters() if p.requires_grad and "connector" not in n]
    groups = [
        {"params": rest, "lr": stage.learning_rate},
        {"params": connector, "lr": stage.connector_learning_rate or stage.learning_rate},
    ]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], weight_decay=0.0)
    schedule = get_cosine_schedule_with_warmup(optimizer, round(0.05 * steps) + 1, round(steps) + 1)
    trainer = SFTTrainer(
        model=model,
        args=args,
        processing_class=processor,
        train_dataset=as_dataset(rows, config.image_side),
        optimizers=(optimizer, schedule),
        callbacks=[MetricsFile(folder)],
    )
    last = get_last_checkpoint(str(folder)) if folder.exists() else None
    outcome = trainer.train(resume_from_checkpoint=last)
    return {"steps": outcome.global_step, "loss": outcome.training_loss}
