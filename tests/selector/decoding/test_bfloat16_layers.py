"""Halved layers against whole ones: near them, exact where a choice hangs on it, alone or not."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaMLP

from creative4u.selector.decoding import bfloat16_layers
from creative4u.selector.decoding.bfloat16_layers import (
    CLOSE,
    HalfGated,
    HalfHead,
    HalfLinear,
    half_pays,
    halved,
)


def test_a_halved_layer_rounds_its_inputs_and_weights() -> None:
    torch.manual_seed(0)
    whole, x = nn.Linear(64, 32), torch.randn(5, 64)
    got = HalfLinear(whole)(x)
    rounded = x.bfloat16().float() @ whole.weight.bfloat16().float().T
    assert got.dtype == torch.float32
    assert torch.allclose(got, rounded.bfloat16().float() + whole.bias, atol=1e-2)


@pytest.mark.skipif(not half_pays(), reason="this CPU does not multiply bfloat16 by itself")
def test_a_row_is_the_same_whatever_is_beside_it() -> None:
    torch.manual_seed(0)
    for wide, out in ((576, 192), (576, 1536), (1536, 576)):
        layer, x = HalfLinear(nn.Linear(wide, out, bias=False)), torch.randn(40, wide)
        whole = layer(x)
        for count in (2, 3, 17):
            assert torch.equal(layer(x[:count]), whole[:count])


def test_a_halved_gated_layer_is_its_three_halved_layers_and_keeps_their_names() -> None:
    torch.manual_seed(0)
    whole, x = LlamaMLP(LlamaConfig(hidden_size=64, intermediate_size=128)), torch.randn(7, 64)
    gate, up, down = map(HalfLinear, (whole.gate_proj, whole.up_proj, whole.down_proj))
    got = HalfGated(whole)
    assert torch.equal(got(x), down(nn.functional.silu(gate(x)) * up(x)))
    assert got.state_dict().keys() == whole.state_dict().keys()


def test_the_likeliest_tokens_are_exact() -> None:
    torch.manual_seed(0)
    whole, x = nn.Linear(64, 500, bias=False), 30 * torch.randn(3, 64)
    true, got = whole(x), HalfHead(whole)(x)
    sure = CLOSE // 2  # what is rough may swap places near the edge
    places = true.topk(sure).indices
    assert torch.equal(got.topk(sure).indices, places)
    assert torch.allclose(got.gather(1, places), true.gather(1, places), rtol=1e-5)
    assert torch.allclose(got, true, atol=0.3)


def test_only_a_whole_model_on_such_a_cpu_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    config = LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=50,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    monkeypatch.setattr(bfloat16_layers, "half_pays", lambda: False)
    assert type(halved(model).lm_head) is nn.Linear
    monkeypatch.setattr(bfloat16_layers, "half_pays", lambda: True)
    halved(halved(model))  # twice is once
    assert type(model.lm_head) is HalfHead
    assert {type(m) for n, m in model.named_modules() if n.endswith("proj")} == {HalfLinear}
    assert type(model.model.layers[0].mlp) is HalfGated
    assert type(model.model.embed_tokens) is nn.Embedding
