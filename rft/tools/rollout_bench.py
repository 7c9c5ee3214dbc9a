"""Time plain against guided generation of rollouts in CPU seconds.

Run: python -m rft.tools.rollout_bench grpo-160m --set adapter=DIR --set grpo.pairs=1

Plain is what TRL's trainer does without a `rollout_func`: `generate` of the policy, every prompt of
a group read for itself, every token written one by one. Both draw at the same temperature for the
same batch, by turns in one process. Seconds are the process's CPU time, which other processes on
the machine do not stretch as they do the clock's; set OMP_NUM_THREADS=1 for one core's.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import torch

from creative4u.selector.decoding.batch_invariant import invariant
from rft.recipe import Recipe, judge_config, load_recipe
from rft.training.grpo import vision_tokens
from rft.training.grpo_rows import order_rows, training_pairs
from rft.training.merge import write_merged
from rft.training.policy import cached_vision, load_base, policy
from rft.training.rewards import answers_of
from rft.training.rollout import GuidedRollout, draw_with, images_of
from rft.training.rows import as_dataset, draw


def prompts_of(recipe: Recipe, model: Any, processor: Any) -> list[Any]:
    """A step's prompts as the trainer hands them over: images inside, repeated for a group."""
    from creative4u.selector.loading import judge_of

    assert recipe.grpo is not None
    config = judge_config(recipe)
    judge = judge_of(model, processor, "bench", config)
    rows = list(order_rows(draw(training_pairs(recipe), recipe.grpo.pairs, recipe.seed), judge))
    prompts = []
    for row in as_dataset(rows, config.image_side):
        shown = iter(row["images"])
        content = [
            {"type": "image", "image": next(shown)} if part["type"] == "image" else part
            for part in row["prompt"][0]["content"]
        ]
        prompts += [[{"role": "user", "content": content}]] * recipe.grpo.generations
    return prompts


def plain(policy: Any, processor: Any, prompts: list[Any], recipe: Recipe) -> list[list[int]]:
    """TRL's own path."""
    assert recipe.grpo is not None
    texts = [processor.apply_chat_template(p, add_generation_prompt=True) for p in prompts]
    inputs = processor(
        text=texts, images=[images_of(p) for p in prompts], padding=True, padding_side="left",
        return_tensors="pt",
    )  # fmt: skip
    with torch.no_grad():
        ids = policy.generate(
            **inputs, do_sample=True, temperature=recipe.grpo.temperature, top_k=0, top_p=1.0,
            max_new_tokens=recipe.grpo.max_completion, suppress_tokens=vision_tokens(processor),
        )  # fmt: skip
    written: list[list[int]] = ids[:, inputs["input_ids"].shape[1] :].tolist()
    pad = processor.tokenizer.pad_token_id
    return [[token for token in row if token != pad] for row in written]


def main(recipe: Recipe, rounds: int) -> dict[str, Any]:
    """Each way `rounds` times by turns; means of CPU seconds, tokens and what parses."""
    assert recipe.grpo is not None
    model, processor = load_base(recipe.base)
    prompts = prompts_of(recipe, model, processor)
    cached_vision(model, recipe.features)
    trained = policy(model, recipe.lora, recipe.adapter).eval()
    ways: dict[str, Callable[[], list[list[int]]]] = {
        "plain": lambda: plain(trained, processor, prompts, recipe)
    }
    for name in ("guided, float32", "guided, as the judge reads"):
        copy, _ = load_base(recipe.base)
        cached_vision(copy, recipe.features)
        if name != "guided, float32":
            copy = invariant(copy)
        write_merged(trained, copy)
        rollout = GuidedRollout(copy, processor, recipe.grpo.temperature, recipe.seed)
        pick = draw_with(recipe.grpo.temperature, torch.Generator().manual_seed(recipe.seed))
        ways[name] = lambda r=rollout, p=pick: r.write(prompts, p)["completion_ids"]  # type: ignore[misc]
    told: dict[str, Any] = {name: {"cpu_seconds": [], "tokens": [], "parsed": []} for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.process_time()
            written = way()
            told[name]["cpu_seconds"].append(round(time.process_time() - began, 2))
            told[name]["tokens"].append(sum(map(len, written)))
            texts = processor.batch_decode(written, skip_special_tokens=True)
            told[name]["parsed"].append(
                sum(answers_of([{"content": text}]) is not None for text in texts)
            )
    base = sum(told["plain"]["cpu_seconds"])
    for row in told.values():
        row["times_plain"] = round(base / sum(row["cpu_seconds"]), 2)
    return {"completions": len(prompts), **told}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    print(json.dumps(main(load_recipe(given.recipe, tuple(given.set)), given.rounds)))
