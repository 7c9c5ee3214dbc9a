"""GRPO: a recipe in, an adapter out. Run: creative4u rft grpo grpo-160m [--set NAME=VALUE]

DeepSeekMath's GRPO (arXiv 2402.03300) on TRL's trainer, from the adapter of CoT-SFT. Every step
takes whole pairs, both orders of each. Killed and started again, a run goes on from its last
checkpoint: draws depend on seed and step alone, so it ends with the same steps and the same loss.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers.trainer_utils import get_last_checkpoint
from trl import GRPOConfig, GRPOTrainer

from creative4u.errors import Creative4UError, InputError
from creative4u.files.origin import is_made_from, note_origin, value_hash, whole_file
from creative4u.selector.config import FILE_NAME, JudgeConfig
from creative4u.selector.decoding.batch_invariant import invariant
from creative4u.selector.loading import judge_of
from rft.recipe import Grpo, Recipe, judge_config
from rft.training import rewards
from rft.training.coherence_weights import learn_weights
from rft.training.grpo_monitor import Watch
from rft.training.grpo_rows import grpo_rows, training_pairs
from rft.training.metrics_file import reporters
from rft.training.policy import (
    cached_vision,
    checkpoints,
    half_precision_pays,
    load_base,
    policy,
    save_adapter,
)
from rft.training.rewards import Reward
from rft.training.rollout import GuidedRollout, Rollout
from rft.training.rows import Row, as_dataset
from rft.training.vllm_prompts import shortening

log = logging.getLogger(__name__)
DONE = "done.json"
WEIGHTS = "coherence.json"


class CollapseError(Creative4UError):
    """The reward fell apart; the checkpoints stay, no adapter is written."""

    code = "collapsed"


def main(recipe: Recipe) -> Path:
    """Train by the recipe; the folder of its adapter. Raises CollapseError."""
    if recipe.grpo is None:
        raise InputError("this recipe is of kind sft; run it with `creative4u rft sft`")
    if (recipe.out / DONE).exists():
        return recipe.out
    torch.manual_seed(recipe.seed)
    model, processor = load_base(recipe.base)
    config = judge_config(recipe)
    with PartialState().main_process_first():
        rows = grpo_rows(recipe, judge_of(model, processor, "training", config))
    paid = reward_functions(recipe)
    cached_vision(model, recipe.features)
    trained = policy(model, recipe.lora, recipe.adapter)
    rollout = None
    if recipe.grpo.rollout == "guided":
        copy, _ = load_base(recipe.base)
        cached_vision(copy, recipe.features)
        rollout = GuidedRollout(invariant(copy), processor, recipe.grpo.temperature, recipe.seed)
    done = train(
        trained, processor, rows, recipe.out, recipe.grpo, config, paid, recipe.seed, rollout
    )
    if PartialState().is_main_process:
        save_adapter(trained, recipe.out, recipe.base)
        (recipe.out / FILE_NAME).write_text(config.model_dump_json(indent=2) + "\n", "utf-8")
        (recipe.out / DONE).write_text(
            json.dumps(done | {"rows": len(rows)}, indent=2) + "\n", "utf-8"
        )
    log.info("grpo: %s", done)
    return recipe.out


def reward_functions(recipe: Recipe) -> dict[str, Reward]:
    """The rewards that the recipe pays for, by name; coherence is learnt from training labels."""
    assert recipe.grpo is not None
    known: dict[str, Reward] = {
        "format": rewards.format,
        "accuracy": rewards.accuracy,
        "answers": rewards.answers,
        "fairness": rewards.fairness,
    }
    paid = {name: weight for name, weight in recipe.grpo.weights if weight}
    if "coherence" in paid:
        path = recipe.out / WEIGHTS
        with PartialState().main_process_first():
            pairs = [pair for pair, _ in training_pairs(recipe)]
            origin = {"pairs": value_hash([pair.model_dump(mode="json") for pair in pairs])}
            if not is_made_from(path, origin):
                with whole_file(path) as file:
                    file.write(json.dumps(learn_weights(pairs), indent=2) + "\n")
                note_origin(path, origin)
        known["coherence"] = rewards.coherence_with(json.loads(path.read_text("utf-8")))
    return {name: known[name] for name in paid}


def train(
    policy: Any,
    processor: Any,
    rows: list[Row],
    folder: Path,
    grpo: Grpo,
    config: JudgeConfig,
    paid: dict[str, Reward],
    seed: int,
    rollout: Rollout | None,
) -> dict[str, Any]:
    """One run on TRL's GRPOTrainer; resumes from the folder's last checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    watch = Watch(folder, grpo.sample_steps, grpo.collapse)
    trainer = GRPOTrainer(
        model=policy,
        reward_funcs=watch.watched(paid),
        args=arguments(
            folder, grpo, processor, seed, [dict(grpo.weights)[name] for name in paid],
            checkpoints(policy),
        ),
        train_dataset=as_dataset(rows, config.image_side),
        processing_class=processor,
        callbacks=[watch],
        rollout_func=rollout,
    )
    if grpo.rollout == "vllm":
        engine = trainer.vllm_generation.llm
        engine.generate = shortening(engine.generate, processor.image_token_id)
    outcome = trainer.train(resume_from_checkpoint=get_last_checkpoint(str(folder)))
    if watch.collapsed:
        raise CollapseError(f"stopped at step {outcome.global_step}: {watch.collapsed}")
    return {
        "steps": outcome.global_step,
        "loss": outcome.training_loss,
        "reward_first": watch.rewards[0],
        "reward_last": watch.rewards[-1],
    }


def arguments(
    folder: Path, grpo: Grpo, processor: Any, seed: int, reward_weights: list[float],
    large: bool = False,
) -> GRPOConfig:
    """TRL's settings of a recipe on this machine; raises InputError where they do not divide."""
    gpu = torch.cuda.is_available()
    at_once = grpo.micro_batch * PartialState().num_processes
    if grpo.completions_per_step % at_once:
        raise InputError(
            f"grpo: a step has {grpo.completions_per_step} completions (2 x pairs_per_step x "
            f"generations); micro_batch x processes, {at_once}, must divide them"
        )
    vllm = grpo.rollout == "vllm"
    if vllm and "idefics3" in type(processor).__name__.lower():
        raise InputError("grpo.rollout: got vllm for Idefics3, whose images stand as more than one "
                         "kind of token; allowed are guided and transformers")
    hidden = vision_tokens(processor)
    masked: dict[str, Any] = (
        {"logit_bias": dict.fromkeys(hidden, -100.0)} if vllm else {"suppress_tokens": hidden}
    )
    engine: dict[str, Any] = {}
    if vllm:
        engine = {
            "use_vllm": True,
            "vllm_mode": "colocate",
            "vllm_gpu_memory_utilization": grpo.vllm_memory,
            "vllm_max_model_length": grpo.vllm_length,
            "vllm_enable_sleep_mode": True,
        }
    return GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=grpo.micro_batch,
        gradient_accumulation_steps=grpo.completions_per_step // at_once,
        num_train_epochs=grpo.epochs,
        learning_rate=grpo.learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=2,
        num_generations=grpo.generations,
        max_completion_length=grpo.max_completion,
        temperature=grpo.temperature,
        beta=grpo.beta,
        loss_type=grpo.loss,
        scale_rewards=grpo.scale,
        epsilon_high=grpo.clip_high,
        reward_weights=reward_weights,
        generation_kwargs=masked,
        shuffle_dataset=False,  # the orders of a pair stay together
        logging_steps=1,
        save_steps=grpo.checkpoint_steps,
        save_total_limit=2,
        seed=seed,
        data_seed=seed,
        # plain rollouts run in the trainer's type, and a small model's logits tie in bfloat16
        bf16=large if gpu else half_precision_pays(),
        gradient_checkpointing=large,
        report_to=reporters(),
        max_grad_norm=1.0,
        use_cpu=not gpu,
        **engine,
    )


def vision_tokens(processor: Any) -> list[int]:
    """Ids that stand for pictures and other control tokens: a model may never write them.

    The tokens that end a completion stay allowed.
    """
    tokenizer = processor.tokenizer
    ends = {tokenizer.eos_token_id, tokenizer.pad_token_id}
    special = {
        number for number, token in tokenizer.added_tokens_decoder.items() if token.special
    } | {processor.image_token_id}
    return sorted(special - ends)
