"""Rate single images with the language model itself: ten degrees a property, read as it goes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from creative4u.selector.decoding.packed_attention import PackedRows
from creative4u.selector.evidence.properties import NAMES, TOP


@torch.inference_mode()
def rate(model: Any, tokenizer: Any, inputs: dict[str, Tensor]) -> list[dict[str, float]]:
    """Degrees of every property for a batch of single-image prompts, (B, T) -> B rows.

    The names are fed, each level is read as its expectation over the ten digit tokens, and the
    likeliest digit goes on into the context, as in the training targets.
    """

    def ids(text: str) -> list[int]:
        tokens: list[int] = tokenizer(text, add_special_tokens=False).input_ids
        return tokens

    digits = [ids(str(level))[0] for level in range(TOP + 1)]
    cache = PackedRows(model, inputs)
    count = len(inputs["input_ids"])
    rated: list[dict[str, float]] = [{} for _ in range(count)]
    chunks = [ids(f"{NAMES[0]} ")] * count
    for name, following in zip(NAMES, [*NAMES[1:], None], strict=True):
        fed = cache.feed(chunks) if rated[0] else cache.read(chunks)
        logits = fed[:, digits]  # (B, 10)
        expected = (logits.softmax(1) * torch.arange(TOP + 1.0)).sum(1)  # (B,)
        for row, degree in zip(rated, expected.tolist(), strict=True):
            row[name] = degree
        if following is not None:
            tail = ids(f" {following} ")
            chunks = [[digits[best], *tail] for best in logits.argmax(1).tolist()]
    return rated
