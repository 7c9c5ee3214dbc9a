"""Tiny random Idefics3, Qwen2.5-VL and Qwen3-VL through SFT and GRPO with two images a prompt."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from reasoning_lines import LINES
from tiny_models import picture_files, tiny_idefics3, tiny_qwen3, tiny_qwen25

from creative4u.selector.config import JudgeConfig
from creative4u.selector.protocol.completion import complete
from creative4u.selector.protocol.prompt import comparison_messages
from rft.recipe import Grpo, Lora, Stage
from rft.training import grpo as grpo_run
from rft.training import rewards, sft
from rft.training.policy import with_lora
from rft.training.rows import Row

CONFIG = JudgeConfig(observe=False, use_pixels=False, use_title_match=False, image_side=64)


@pytest.fixture(params=["idefics3", "qwen2.5-vl", "qwen3-vl"])
def family(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """Model and processor."""
    if request.param == "idefics3":
        return tiny_idefics3()
    return tiny_qwen25() if request.param == "qwen2.5-vl" else tiny_qwen3()


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    """Both orders of two pairs, with what SFT and GRPO need of them."""
    images = picture_files(tmp_path, 4)
    made = []
    for pair in range(2):
        both = images[2 * pair : 2 * pair + 2]
        for order, label in (("AB", "A"), ("BA", "B")):
            made.append({
                "prompt": comparison_messages("Boot", ("boots",)),
                "images": both if order == "AB" else both[::-1],
                "completion": [{"role": "assistant", "content": complete(LINES, label)}],
                "label": label, "order": order, "pair_id": str(pair), "answers": None,
            })  # fmt: skip
    return made


def test_sft_trains_and_the_vision_tower_stays(
    family: tuple[Any, Any], rows: list[Row], tmp_path: Path
) -> None:
    model, processor = family
    before = {n: p.clone() for n, p in model.named_parameters()}
    policy = with_lora(model, Lora(rank=2, alpha=4, connector=False))
    stage = Stage(name="pairs", pairs=4, learning_rate=1e-2, batch_size=2)
    sft_rows = [{k: row[k] for k in ("prompt", "images", "completion")} for row in rows]
    done = sft.train(policy, processor, sft_rows, tmp_path / "sft", stage, CONFIG, 1)
    assert done["steps"] == 2
    assert 0 < done["loss"] < 20
    learnt = {n for n, p in policy.named_parameters() if "lora_B" in n and p.any()}
    assert learnt
    assert not any("vis" in name for name in learnt)
    plain = policy.unload()
    assert all(torch.equal(before[n], p) for n, p in plain.named_parameters())


def test_grpo_trains_on_both_orders_and_says_how_it_went(
    family: tuple[Any, Any], rows: list[Row], tmp_path: Path
) -> None:
    model, processor = family
    policy = with_lora(model, Lora(rank=2, alpha=4, connector=False))
    config = Grpo(
        pairs=2, pairs_per_step=1, generations=2, micro_batch=2, learning_rate=1e-2,
        max_completion=12, rollout="transformers", sample_steps=1, checkpoint_steps=1,
    )  # fmt: skip
    lengths: dict[str, Any] = {}

    def short(completions: Any, **columns: Any) -> list[float]:
        """Something to learn: a random model never writes the format."""
        lengths["images"] = [len(images) for images in columns["images"]]
        return [float(len(one[0]["content"]) % 7) for one in completions]

    grpo_rows = [{k: v for k, v in row.items() if k != "completion"} for row in rows]
    hidden = set(grpo_run.vision_tokens(processor))
    assert processor.image_token_id in hidden
    assert processor.tokenizer.eos_token_id not in hidden
    paid = {"format": rewards.format, "accuracy": short}
    out = tmp_path / "grpo"
    done = grpo_run.train(policy, processor, grpo_rows, out, config, CONFIG, paid, 1, None)
    assert done["steps"] == 2
    assert lengths["images"] == [2] * 4
    logged = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    steps = [row for row in logged if "reward" in row]
    assert [row["step"] for row in steps] == [1, 2]
    assert all(row["unparsable"] == 1 and row["rewards/format/mean"] == 0 for row in steps)
    assert all(row["seconds/generation"] > 0 for row in steps)
    assert steps[1]["seconds/update"] > 0
    page = (out / "samples" / "step-000002.html").read_text()
    assert page.count("<img") == 2 * 4
    assert "accuracy" in page
    assert any("lora_B" in n and p.any() for n, p in policy.named_parameters())
