"""Time the contenders on a vLLM engine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch

from creative4u.selector.backends.openai_format import LISTED, MAX_TOKENS
from creative4u.selector.protocol.backend import Completion
from creative4u.serving.bench.contenders import NGRAM, Stopwatch, Timed
from creative4u.serving.bench.recorded_requests import Asked, prompt_of
from creative4u.serving.server.vllm_command import CPU_ROOM, Servable, engine_options
from creative4u.serving.server.vllm_engine import VllmBackend, completion_of

VLLM = ("engine", "ngram", "vllm", "vllm-float32")


class Recorded:
    """An engine that remembers what it put out last."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.outputs: list[Any] = []

    def chat(self, *words: Any, **more: Any) -> Any:
        self.outputs = self.engine.chat(*words, **more)
        return self.outputs


def run_vllm(name: str, asked: Sequence[Asked], folder: str, timed: Timed) -> None:
    """`engine` and `ngram`: our backend, all prompts at once, both orders of a pair side by side.

    `vllm` and `vllm-float32`: one call an order over all pairs, each with the same prompts.
    """
    engine, encoded = _engine(name, folder)
    _forget(engine)
    encoded.clear()
    if name in ("engine", "ngram"):
        recorded = Recorded(engine)
        prompts = [prompt_of(one) for one in asked]
        sizes = {size for prompt in prompts for image in prompt.images for size in image.size}
        backend = VllmBackend(recorded, name, sizes.pop() if len(sizes) == 1 else None)
        with Stopwatch(timed):
            done = backend.complete(prompts)
        outputs = recorded.outputs
    else:
        from vllm import SamplingParams

        sampling = SamplingParams(temperature=0.0, max_tokens=MAX_TOKENS, logprobs=LISTED)
        by_order = [[one.messages for one in asked[start::2]] for start in (0, 1)]
        with Stopwatch(timed):
            orders = [engine.chat(chats, sampling, use_tqdm=False) for chats in by_order]
        outputs = [output for both in zip(*orders, strict=True) for output in both]
        done = [completion_of(output) for output in outputs]
    for one, output, said in zip(asked, outputs, done, strict=True):
        timed.texts[one.name] = output.outputs[0].text
        if isinstance(said, Completion):
            timed.odds[one.name] = said.logit_a
        timed.prompt_tokens += len(output.prompt_token_ids)
        timed.tokens += len(output.outputs[0].token_ids)
        timed.caches["prefix_tokens"] = timed.caches.get("prefix_tokens", 0.0) + (
            output.num_cached_tokens or 0
        )
        stats = output.metrics
        if stats is not None and stats.first_token_ts:
            timed.first_token.append(stats.first_token_latency)
            timed.latency.append(stats.last_token_ts - stats.queued_ts)
    timed.caches["prefix_hit_rate"] = timed.caches.pop("prefix_tokens") / timed.prompt_tokens
    timed.caches["encoder_hit_rate"] = 1 - len(encoded) / (2 * len(asked))
    pairs = zip(*[iter(timed.latency)] * 2, strict=True)
    timed.latency = [max(both) for both in pairs] if timed.latency else []


def _engine(name: str, folder: str) -> tuple[Any, list[int]]:
    """The engine, and a list that grows by one with each image that is encoded."""
    return _made(folder, "ours" if name in ("engine", "vllm-float32") else name)


@cache
def _made(folder: str, kind: str) -> tuple[Any, list[int]]:
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # its caches can be watched from here
    from vllm import LLM
    from vllm.v1.core.encoder_cache_manager import EncoderCacheManager

    encoded: list[int] = []
    allocate = EncoderCacheManager.allocate

    def watched(self: Any, request: Any, input_id: int) -> None:
        encoded.append(input_id)
        allocate(self, request, input_id)

    EncoderCacheManager.allocate = watched
    gpu = torch.cuda.is_available()
    if not gpu:
        os.environ.setdefault(*CPU_ROOM)
    options = {} if kind == "vllm" else engine_options(Servable(folder, folder), gpu)
    if kind == "ngram":
        options["speculative_config"] = NGRAM
    if kind == "vllm" and not gpu:
        options["enforce_eager"] = True  # the start, not the rate: compiling takes minutes here
    return LLM(model=folder, disable_log_stats=False, **options), encoded


def _forget(engine: Any) -> None:
    """Empty the caches, so that the contender before leaves nothing to find."""
    engine.reset_prefix_cache()
    engine.reset_mm_cache()
    if hasattr(engine.llm_engine, "reset_encoder_cache"):
        engine.llm_engine.reset_encoder_cache()

