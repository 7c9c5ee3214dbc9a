"""CoT-SFT: a recipe in, an adapter out. Run: creative4u rft sft sft-160m [--set NAME=VALUE]

Stages follow each other on one adapter: single images and their degrees first,
then pairs whose prompts hold what the model itself observed, single images still mixed in.
Killed and started again, a run goes on from its last checkpoint and ends with the same steps done.
"""

from __future__ import annotations

import json
import logging
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
from creative4u.schema import CreativePair
from creative4u.selector.config import JudgeConfig
from creative4u.selector.decoding.speculation import write_usual_lines
from creative4u.selector.loading import judge_of
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
    read_jsonl,
    single_rows,
)

log = logging.getLogger(__name__)
DONE = "done.json"
SPARE = 2  # pairs drawn for a row, as some are left out


def main(recipe: Recipe) -> Path:
    """Train every stage that is not done yet; the folder of the last stage's adapter."""
    torch.manual_seed(recipe.seed)
    model, processor = load_base(recipe.base)
    vision = cached_vision(model, recipe.features)
    model = policy(model, recipe.lora, recipe.adapter)
    config = judge_config(recipe)
    folder = recipe.out
    for number, stage in enumerate(recipe.stages):
        folder = recipe.out / f"{number}-{stage.name}"
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
    """The stage's rows in training order, from a file if they were made before."""
    path = recipe.out / f"{number}-{stage.name}.rows.jsonl"
    if not path.exists():
        rows: list[Row] = []
        if stage.singles and recipe.singles is not None:
            rows += draw(single_rows(recipe.singles), stage.singles, recipe.seed)
        if stage.pairs:
            rows += made_pairs(recipe, stage.pairs, model, processor, config)
        part = path.with_suffix(".part")
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(
            "".join(json.dumps(row) + "\n" for row in draw(rows, len(rows), number)), "utf-8"
        )
        part.rename(path)
    return list(read_jsonl(path))


def made_pairs(
    recipe: Recipe, count: int, model: Any, processor: Any, config: JudgeConfig
) -> list[Row]:
    """`count` rows, both orders of count/2 pairs, the model's own observations in the prompt."""
    judge = judge_of(model, processor, "training", config)
    rows: list[Row] = []
    share = count // 2 // len(recipe.pairs) * 2
    for path in recipe.pairs:
        known = [pair for pair in read_pairs(path) if pair.split == "train" and pair.reasoning]
        drawn = draw(known, SPARE * share, recipe.seed)
        made = islice(pair_rows(drawn, path.parent, judge), share)
        rows += tqdm(made, total=share, desc=f"observing {path.parent.name}", unit="row")
    model.train()
    return rows


def read_pairs(path: Path) -> list[CreativePair]:
    """The pairs of a JSONL file; raises InputError where it is not there."""
    if not path.is_file():
        raise InputError(f"no creative pairs at {path}; make them with `creative4u data`")
    return [CreativePair.model_validate(row) for row in read_jsonl(path)]


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
