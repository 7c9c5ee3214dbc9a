"""Packed rows against one plain forward pass a row: the same logits, whatever rows are beside."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from creative4u.selector.decoding import packed_attention
from creative4u.selector.decoding.attention_blocks import SIZES
from creative4u.selector.decoding.packed_attention import PackedRows

IMAGE = 3


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=50,
    )  # fmt: skip
    made = LlamaForCausalLM(config).eval()
    made.config.image_token_id = IMAGE
    return made


def padded(rows: list[list[int]]) -> dict[str, torch.Tensor]:
    wide = max(map(len, rows))
    return {
        "input_ids": torch.tensor([[0] * (wide - len(row)) + row for row in rows]),
        "attention_mask": torch.tensor([[0] * (wide - len(row)) + [1] * len(row) for row in rows]),
    }


def plain(model: Any, row: list[int]) -> torch.Tensor:
    return model(input_ids=torch.tensor([row])).logits[0, -1]  # type: ignore[no-any-return]


PROMPTS = [[5, 6, 7, 8, IMAGE, 9], [5, 6, 7, 8, IMAGE, IMAGE, 10, 11], [12, 13], [5, 6, 7, IMAGE]]
STEPS: list[list[list[int]]] = [
    [[20], [21, 22, 23], [24, 25], [26]],
    [[27, 28], [29], [], [30, 31, 32, 33]],
    [[34], [], [35], [36]],
]


@torch.inference_mode()
def test_chunks_of_rows_equal_whole_rows(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for shared, room in ((2, 100), (100, 1)):  # prefixes read once; caches that have to grow
        monkeypatch.setattr(packed_attention, "SHARED", shared)
        monkeypatch.setattr(packed_attention, "ROOM", room)
        rows = [list(prompt) for prompt in PROMPTS]
        cache = PackedRows(model, padded(PROMPTS))
        for number, chunks in enumerate(STEPS):
            said = cache.feed(chunks) if number else cache.read(chunks)
            logits = torch.split(said, [int(len(chunk) > 0) for chunk in chunks])
            for row, chunk, said in zip(rows, chunks, logits, strict=True):
                row += chunk
                assert said.shape == (len(chunk) > 0, 50)
                assert not chunk or torch.allclose(said[0], plain(model, row), atol=1e-5)
        assert cache.lengths == [len(row) for row in rows]
    assert model.config._attn_implementation != packed_attention.ATTENTION  # given back


@torch.inference_mode()
def test_what_stands_before_the_first_image_is_read_once(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_attention, "SHARED", 2)
    widths: list[int] = []
    hook = model.model.layers[0].register_forward_pre_hook(
        lambda _, args: widths.append(args[0].shape[1])
    )
    PackedRows(model, padded(PROMPTS)).read(STEPS[0])
    hook.remove()
    # "5 6 7 8" once for two rows and "5 6 7"; then what is left, with the chunks
    assert widths == [4 + 3, (2 + 1) + (4 + 3) + (2 + 2) + (1 + 1)]


@torch.inference_mode()
def test_copies_go_their_own_ways(model: Any) -> None:
    cache = PackedRows(model, padded(PROMPTS[:2]))
    cache.read([[20], [21]])
    cache.repeat(2)
    logits = cache.feed([[22], [23], [24], [25, 26]])
    written = [[*PROMPTS[0], 20, 22], [*PROMPTS[0], 20, 23], [*PROMPTS[1], 21, 24],
               [*PROMPTS[1], 21, 25, 26]]  # fmt: skip
    for said, row in zip(logits, written, strict=True):
        assert torch.allclose(said, plain(model, row), atol=1e-5)


@torch.inference_mode()
def test_a_draft_is_looked_at_in_each_place_and_forgotten(model: Any) -> None:
    cache = PackedRows(model, padded(PROMPTS[:2]))
    cache.read([[20], [21]])
    drafted = list(range(22, 22 + 2 * SIZES[-1] + 1))  # three blocks of queries
    logits = cache.feed([drafted, [40]], [len(drafted), 1])
    assert logits.shape == (len(drafted) + 1, 50)
    for place, said in enumerate(logits[: len(drafted)]):
        row = [*PROMPTS[0], 20, *drafted[: place + 1]]
        assert torch.allclose(said, plain(model, row), atol=1e-5)
    cache.forget(0, len(drafted) - 1)
    after = cache.feed([[41], []])[0]
    assert torch.allclose(after, plain(model, [*PROMPTS[0], 20, 22, 41]), atol=1e-5)
