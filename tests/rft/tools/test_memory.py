"""Memory: parameters as published, LoRA as it is trained, and the parts add up."""

import pytest
import torch
from tiny_models import tiny_idefics3, tiny_qwen25

from creative4u.errors import InputError
from rft.recipe import load_recipe
from rft.tools.memory import GIB, MARGIN, Estimate, estimate, image_tokens, trained_parameters
from rft.training.policy import with_lora


@pytest.mark.parametrize(
    ("recipe", "parameters"),
    [("grpo-qwen2.5-vl-7b", 8_292_166_656), ("grpo-qwen3-vl-4b", 4_437_815_808)],
)
def test_hub_models_have_their_published_size(recipe: str, parameters: int) -> None:
    found = estimate(load_recipe(recipe), gpu=True)
    assert found.parameters == parameters
    assert found.weights == 2 * parameters


@pytest.mark.parametrize("connector", [True, False])
def test_what_is_trained_is_counted_as_peft_counts_it(connector: bool) -> None:
    override = f"lora.connector={str(connector).lower()}"
    for model in (tiny_idefics3()[0], tiny_qwen25()[0]):
        if connector and not hasattr(model.model, "connector"):
            continue
        recipe = load_recipe("smoke", ("lora.rank=3", override))
        counted = trained_parameters(model, recipe)
        policy = with_lora(model, recipe.lora)
        assert counted == sum(p.numel() for p in policy.parameters() if p.requires_grad)


def test_an_image_has_the_tokens_of_its_processor() -> None:
    assert image_tokens(tiny_idefics3()[0].config, 224) == 4
    assert image_tokens(tiny_qwen25()[0].config, 448) == (448 // 28) ** 2


def test_the_peak_is_the_larger_of_training_and_generating() -> None:
    parts = {"parameters": 1, "trained": 1, "tokens": 1, "batch": 1, "weights": 8 * GIB,
             "optimizer": GIB, "activations": 2 * GIB, "logits": GIB, "features": 0}  # fmt: skip
    assert Estimate(**parts, vllm=0).peak == round(MARGIN * 12 * GIB)
    told = Estimate(**parts, vllm=10 * GIB).told()
    assert told["peak_gib"] == pytest.approx(MARGIN * 19, abs=0.01)
    assert told["smallest_card_gib"] == 24


def test_vllm_needs_less_a_device_when_more_share_a_step() -> None:
    recipe = load_recipe("grpo-qwen2.5-vl-7b")
    one, eight = (estimate(recipe, gpu=True, devices=n) for n in (1, 8))
    kv = [found.vllm - 2 * found.parameters for found in (one, eight)]
    assert kv[0] == 8 * kv[1]
    # 28 layers, 4 heads of 128, key and value, 2 bytes each
    assert kv[0] == 28 * 4 * 128 * 2 * 2 * one.tokens * recipe.grpo.completions_per_step
    assert torch.get_default_device().type == "cpu"


def test_an_unknown_model_is_named_with_those_that_are_known() -> None:
    recipe = load_recipe("grpo-qwen3-vl-4b", ("base=some/model",))
    with pytest.raises(InputError, match=r"Qwen3-VL-4B"):
        estimate(recipe, gpu=True)
