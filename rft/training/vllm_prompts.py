"""Collapse expanded image tokens to one token an image, as vLLM expects.

TRL 1.16 hands vLLM the processor's token ids, in which an image stands as many tokens as it has
features; vLLM expands the first of them once more, and the model reads twice the image tokens that
it is trained on (upstream: huggingface/trl issue 6294; on an H100 prompts of 906 tokens were taken
for 1,416). One token an image is what vLLM expects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any


def unexpanded(ids: Sequence[int], image_token: int) -> list[int]:
    """The ids with every run of the image token shortened to one."""
    short: list[int] = []
    for token, run in groupby(ids):
        short += [token] if token == image_token else list(run)
    return short


def shortening(generate: Callable[..., Any], image_token: int) -> Callable[..., Any]:
    """vLLM's `LLM.generate`, called with one image token an image."""

    def shortened(prompts: Sequence[dict[str, Any]], *words: Any, **options: Any) -> Any:
        short = [
            {**prompt, "prompt_token_ids": unexpanded(prompt["prompt_token_ids"], image_token)}
            if "multi_modal_data" in prompt
            else prompt
            for prompt in prompts
        ]
        return generate(short, *words, **options)

    return shortened
