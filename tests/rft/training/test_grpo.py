"""GRPO's own parts on a tiny Idefics3: rollouts, folding LoRA in, resuming, rows, early stop."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from reasoning_lines import LINES
from tiny_models import picture_files, tiny_idefics3, tiny_qwen25

from creative4u.errors import InputError
from creative4u.schema import CreativePair
from creative4u.selector.backends.prompt_only import PromptsOnly
from creative4u.selector.config import JudgeConfig
from creative4u.selector.decoding import guided_decoder
from creative4u.selector.decoding.guided_decoder import greedy
from creative4u.selector.judge import Judge
from creative4u.selector.protocol.prompt import comparison_messages
from rft.recipe import Collapse, Grpo, Lora
from rft.training import grpo as grpo_run
from rft.training.grpo_monitor import fallen
from rft.training.grpo_rows import hard_pairs, order_rows
from rft.training.merge import told, write_merged
from rft.training.policy import with_lora
from rft.training.rollout import GuidedRollout, draw_with, grouped
from rft.training.rows import Row

CONFIG = JudgeConfig(observe=False, use_pixels=False, use_title_match=False, image_side=64)


@pytest.fixture(autouse=True)
def short_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A random model hardly ever ends a line: let it be cut early."""
    monkeypatch.setattr(guided_decoder, "LINE_TOKENS", 6)


def shaken(model: Any) -> Any:
    """A policy whose adapter and connector do something."""
    policy = with_lora(model, Lora(rank=2, alpha=4, connector=True))
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in policy.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return policy


@pytest.fixture
def asked(tmp_path: Path) -> list[Any]:
    """Two prompts as TRL hands them to a rollout, with their images inside."""
    images = [Image.open(path) for path in picture_files(tmp_path, 4)]
    prompts = []
    for number, title in enumerate(("Boot", "A longer title of another thing")):
        messages = comparison_messages(title, ("boots",))
        shown = iter(images[2 * number : 2 * number + 2])
        content = [
            {"type": "image", "image": next(shown)} if part["type"] == "image" else part
            for part in messages[0]["content"]
        ]
        prompts.append([{"role": "user", "content": content}])
    return prompts


def test_lora_folded_into_a_copy_says_what_the_policy_says() -> None:
    policy = shaken(tiny_idefics3()[0]).eval()
    copy, processor = tiny_idefics3()
    plain = told(copy.eval(), processor, 64)[0]
    for _ in range(3):  # written from scratch each time: nothing adds up
        write_merged(policy, copy)
    logits, text = told(copy, processor, 64)
    due, said = told(policy, processor, 64)
    assert (logits - due).abs().max() < 1e-5
    assert (plain - due).abs().max() > 1e-2
    assert text == said


def test_a_rollout_groups_equal_prompts_and_keeps_their_places(asked: list[Any]) -> None:
    model, processor = tiny_idefics3()
    rollout = GuidedRollout(model, processor, temperature=1.0, seed=0)
    first, second = asked
    assert [count for _, count in grouped([first, first, second, first])] == [2, 1, 1]
    told = rollout.write([first, first, second, first], greedy)
    assert told["completion_ids"][0] == told["completion_ids"][1] == told["completion_ids"][3]
    alone = rollout.write([second], greedy)
    assert told["completion_ids"][2] == alone["completion_ids"][0]
    assert told["prompt_ids"][2] == alone["prompt_ids"][0]
    assert told["prompt_ids"][0] == told["prompt_ids"][3] != told["prompt_ids"][2]
    assert [len(row) for row in told["env_mask"]] == [len(row) for row in told["completion_ids"]]


def test_drawing_follows_the_temperature_and_never_what_is_masked() -> None:
    logits = torch.log(torch.tensor([[0.8, 0.2, 0.0]])).repeat(20_000, 1)
    generator = torch.Generator().manual_seed(0)
    drawn = draw_with(0.5, generator)(logits)
    # at temperature one half the odds 4 : 1 become 16 : 1
    assert (drawn == 0).float().mean() == pytest.approx(16 / 17, abs=0.01)
    assert not (drawn == 2).any()


def grpo_rows(folder: Path) -> list[Row]:
    images = picture_files(folder, 6)
    return [
        {"prompt": comparison_messages("Boot", ("boots",)),
         "images": images[2 * pair : 2 * pair + 2][:: 1 if order == "AB" else -1],
         "label": order[0], "order": order, "pair_id": str(pair), "answers": None}
        for pair in range(3) for order in ("AB", "BA")
    ]  # fmt: skip


def lengthy(completions: Any, **columns: Any) -> list[float]:
    """Something that differs inside a group: a random model never writes the format."""
    return [float(len(one[0]["content"]) % 7) for one in completions]


def run(rows: list[Row], folder: Path, stop_after: int | None) -> dict[str, Any]:
    """Three steps with a guided rollout; killed in the step after `stop_after`."""
    policy = with_lora(tiny_idefics3()[0], Lora(rank=2, alpha=4, connector=True))
    copy, processor = tiny_idefics3()
    rollout = GuidedRollout(copy, processor, 1.0, seed=3)
    config = Grpo(pairs=3, pairs_per_step=1, generations=2, micro_batch=2,
                  learning_rate=1e-2, checkpoint_steps=1, sample_steps=9)  # fmt: skip

    def killed(prompts: list[Any], trainer: Any) -> dict[str, Any]:
        if stop_after is not None and trainer.state.global_step >= stop_after:
            raise KeyboardInterrupt
        return rollout(prompts, trainer)

    paid = {"accuracy": lengthy}
    return grpo_run.train(policy, processor, rows, folder, config, CONFIG, paid, 3, killed)


def test_a_killed_run_ends_with_the_same_steps_and_loss(tmp_path: Path) -> None:
    rows = grpo_rows(tmp_path)
    whole = run(rows, tmp_path / "whole", None)
    with pytest.raises(KeyboardInterrupt):
        run(rows, tmp_path / "killed", 1)
    again = run(rows, tmp_path / "killed", None)
    assert whole["steps"] == again["steps"] == 3

    def logged(name: str) -> list[dict[str, float]]:
        lines = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        return [row for row in map(json.loads, lines) if "reward" in row]

    one, other = logged("whole"), logged("killed")
    assert [row["step"] for row in other] == [1, 2, 3]
    for key in ("loss", "reward", "completions/mean_length", "grad_norm"):
        assert [row[key] for row in one] == pytest.approx([row[key] for row in other], abs=1e-3)
    assert any(abs(row["grad_norm"]) > 1e-3 for row in one)


def test_rows_hold_both_orders_next_to_each_other_each_told_its_own_way(tmp_path: Path) -> None:
    images = picture_files(tmp_path, 2)
    answers = dict.fromkeys(
        ("query_hit", "title_hit", "text", "props", "layout", "subject", "background"), "A=B"
    ) | {"same_image": "no", "too_similar": "no", "title_hit": "A>B", "click": "A"}
    pair = CreativePair.model_validate(
        {"pair_id": "p", "product_title": "Boot", "image_a": Path(images[0]).name,
         "image_b": Path(images[1]).name, "label": "A", "answers": answers,
         "reasoning": LINES, "split": "train"}
    )  # fmt: skip
    judge = Judge(PromptsOnly("none"), CONFIG, SimpleNamespace())  # type: ignore[arg-type]
    one, other = order_rows([(pair, tmp_path)], judge)
    assert (one["order"], one["label"], one["images"]) == ("AB", "A", images)
    assert (other["order"], other["label"], other["images"]) == ("BA", "B", images[::-1])
    assert one["pair_id"] == other["pair_id"]
    assert json.loads(one["answers"])["title_hit"] == "A>B"
    assert json.loads(other["answers"])["title_hit"] == "A<B"


def test_hard_pairs_are_the_wrong_the_unsure_and_the_torn(tmp_path: Path) -> None:
    rows = [("sure", 0.9, True), ("wrong", 0.1, True), ("unsure", 0.6, True), ("torn", 0.9, False)]
    file = tmp_path / "verdicts.jsonl"
    file.write_text("".join(
        json.dumps({"pair_id": name, "probability_a": p, "consistent": same, "label": "A",
                    "choice": "A", "orders": []}) + "\n"
        for name, p, same in rows
    ) + json.dumps({"pair_id": "bad", "error": {"code": "bad_image"}}) + "\n")  # fmt: skip
    config = Grpo(pairs=1, learning_rate=1, hard=file, hard_margin=0.25)
    assert hard_pairs(config) == {"wrong", "unsure", "torn"}
    with pytest.raises(InputError, match="creative4u judge"):
        hard_pairs(config.model_copy(update={"hard": tmp_path / "none"}))


def test_a_run_is_stopped_when_its_reward_falls_to_half_of_its_best() -> None:
    rule = Collapse(window=2, share=0.5)
    assert fallen([1.0, 1.0, 0.2], rule) is None  # two windows are not full yet
    assert fallen([1.0, 1.0, 0.6, 0.4], rule) is None  # one half is not under one half
    assert "0.450" in (fallen([1.0, 1.0, 0.5, 0.4], rule) or "")
    assert fallen(list(np.linspace(0.1, 1, 20)), rule) is None


def test_image_tokens_are_masked_whoever_generates(tmp_path: Path) -> None:
    processor = tiny_idefics3()[1]
    hidden = grpo_run.vision_tokens(processor)
    config = Grpo(pairs=1, learning_rate=1e-3, rollout="transformers")
    plain = grpo_run.arguments(tmp_path, config, processor, 0, [1.0])
    assert plain.generation_kwargs == {"suppress_tokens": hidden}
    engine = config.model_copy(update={"rollout": "vllm"})
    with pytest.raises(InputError, match="allowed are guided and transformers"):
        grpo_run.arguments(tmp_path, engine, processor, 0, [1.0])
    processor = tiny_qwen25()[1]
    colocated = grpo_run.arguments(tmp_path, engine, processor, 0, [1.0])
    assert colocated.use_vllm
    assert colocated.vllm_mode == "colocate"
    hidden = grpo_run.vision_tokens(processor)
    assert colocated.generation_kwargs == {"logit_bias": dict.fromkeys(hidden, -100.0)}


def test_a_step_that_does_not_divide_is_one_clear_line(tmp_path: Path) -> None:
    config = Grpo(pairs=1, learning_rate=1e-3, pairs_per_step=1, generations=3, micro_batch=4)
    with pytest.raises(InputError, match="6 completions"):
        grpo_run.arguments(tmp_path, config, tiny_idefics3()[1], 0, [1.0])
