"""Batch-invariant layers against plain ones: near them, exact where a choice hangs on it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaMLP

from creative4u.backbone.cpu import LIMIT, instruction_set, multiplies_bfloat16
from creative4u.selector.decoding import batch_invariant as module
from creative4u.selector.decoding.batch_invariant import (
    CLOSE,
    InvariantGated,
    InvariantLinear,
    RoundedHead,
    arithmetic_of,
    invariant,
    way_for,
)
from creative4u.selector.decoding.products import Way

HALF, WHOLE = Way(torch.bfloat16, 2, 512), Way(torch.float32, 16, 512)


def small_model() -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=50,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def test_a_layer_rounds_its_inputs_and_weights() -> None:
    torch.manual_seed(0)
    whole, x = nn.Linear(64, 32), torch.randn(5, 64)
    got = InvariantLinear(whole, HALF)(x)
    rounded = x.bfloat16().float() @ whole.weight.bfloat16().float().T
    assert got.dtype == torch.float32
    assert torch.allclose(got, rounded.bfloat16().float() + whole.bias, atol=1e-2)
    assert torch.allclose(InvariantLinear(whole, WHOLE)(x), whole(x), atol=1e-5)


@pytest.mark.parametrize("dtype", ["auto", "float32"])
@torch.inference_mode()
def test_a_row_is_the_same_whatever_is_beside_it(dtype: Any) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(hidden_size=576, intermediate_size=1536)
    gated = LlamaMLP(config)
    way = way_for(gated, dtype)
    made, x = InvariantGated(gated, way), torch.randn(70, 576)
    threads = torch.get_num_threads()
    whole = made(x)
    try:
        for count in (1, 2, 3, 17, 33, 64):
            for several in (1, 2, 5):  # of which some end within a row
                torch.set_num_threads(several)
                assert torch.equal(made(x[:count]), whole[:count])
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("way", [HALF, WHOLE])
def test_a_gated_layer_is_its_three_layers_and_keeps_their_names(way: Way) -> None:
    torch.manual_seed(0)
    whole, x = LlamaMLP(LlamaConfig(hidden_size=64, intermediate_size=128)), torch.randn(7, 64)
    parts = (whole.gate_proj, whole.up_proj, whole.down_proj)
    gate, up, down = (InvariantLinear(part, way) for part in parts)
    got = InvariantGated(whole, way)
    assert torch.equal(got(x), down(nn.functional.silu(gate(x)) * up(x)))
    assert got.state_dict().keys() == whole.state_dict().keys()


def test_the_likeliest_tokens_are_exact() -> None:
    torch.manual_seed(0)
    whole, x = nn.Linear(64, 500, bias=False), 30 * torch.randn(3, 64)
    true, got = whole(x), RoundedHead(whole, HALF)(x)
    sure = CLOSE // 2  # what is rough may swap places near the edge
    places = true.topk(sure).indices
    assert torch.equal(got.topk(sure).indices, places)
    assert torch.allclose(got.gather(1, places), true.gather(1, places), rtol=1e-5)
    assert torch.allclose(got, true, atol=0.3)


def test_a_model_computes_in_what_is_asked_and_says_so() -> None:
    kinds = {"float32": (torch.float32, InvariantLinear), "bfloat16": (torch.bfloat16, RoundedHead)}
    for dtype, (kind, head) in kinds.items():
        model = invariant(small_model(), dtype)  # type: ignore[arg-type]
        assert invariant(model, dtype) is model  # type: ignore[arg-type]  # twice is once
        assert type(model.lm_head) is head
        layers = {type(m) for n, m in model.named_modules() if n.endswith("proj")}
        assert layers == {InvariantLinear}
        assert type(model.model.layers[0].mlp) is InvariantGated
        assert type(model.model.embed_tokens) is nn.Embedding
        assert model.model.layers[0].mlp.up_proj.weight.dtype is kind
        told = arithmetic_of(model)
        assert told is not None
        assert (told.dtype, told.cpu) == (dtype, instruction_set())
    assert arithmetic_of(small_model()) is None


def test_auto_is_bfloat16_where_the_cpu_multiplies_it_and_a_way_of_it_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = small_model()
    found = {torch.bfloat16: Way(torch.bfloat16, 32, 32), torch.float32: WHOLE}
    monkeypatch.setattr(module, "find_way", lambda shapes, dtype: found[dtype])
    monkeypatch.setattr(module, "multiplies_bfloat16", lambda: True)
    assert way_for(model) == Way(torch.bfloat16, 32, 32)
    assert way_for(model, "float32") == WHOLE
    found[torch.bfloat16] = None  # type: ignore[assignment]
    assert way_for(model) == WHOLE
    assert way_for(model, "bfloat16") == Way(torch.bfloat16, 1, 1)
    found[torch.float32] = None  # type: ignore[assignment]
    assert way_for(model) == Way(torch.float32, 1, 1)
    monkeypatch.setattr(module, "multiplies_bfloat16", lambda: False)
    found.update({torch.bfloat16: HALF, torch.float32: WHOLE})
    assert way_for(model) == WHOLE


def test_a_limit_plays_a_smaller_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    every = dict.fromkeys(("avx2", "avx512_bw", "avx512_bf16", "amx_bf16"), True)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: every)
    monkeypatch.delenv(LIMIT, raising=False)
    assert instruction_set() == "AVX512_CORE_AMX"
    for limit, named, half in (
        ("AVX2", "AVX2", False), ("AVX512_CORE", "AVX512_CORE", False),
        ("AVX512_CORE_BF16", "AVX512_CORE_BF16", True), ("avx512_core_vnni", "AVX512_CORE", False),
    ):  # fmt: skip
        monkeypatch.setenv(LIMIT, limit)
        assert (instruction_set(), multiplies_bfloat16()) == (named, half)
