"""Time one way of judging a file of requests, each in its own process.

    python -m creative4u.serving.bench.contenders NAME REQUESTS FOLDER

`here` and `engine` are ours; `transformers` is a plain loop, one prompt at a time; `vllm` is a bare
loop with vLLM's default type, one `LLM.chat` an order over all pairs; `vllm-float32` is the same
with the options that this project serves with; `ngram` is `engine` with n-gram speculation.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from creative4u.serving.bench.machine import tree_cpu_seconds, tree_peak_bytes
from creative4u.serving.bench.recorded_requests import Asked, prompt_of, read_requests

BATCH = 8  # pairs at once, as `creative4u judge` takes them in process
AT_MOST = {"transformers": 2}  # pairs: one prompt at a time, so its rate hangs on no number of them
NGRAM = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 4,
         "prompt_lookup_min": 2}  # fmt: skip


@dataclass
class Timed:
    """What one contender did; `texts` and `odds` by custom_id, seconds by request."""

    name: str
    asked: int = 0  # requests, two a pair; `texts` lacks those that came to nothing
    texts: dict[str, str] = field(default_factory=dict)
    odds: dict[str, float] = field(default_factory=dict)  # of A against B, where they are known
    prompt_tokens: int = 0
    tokens: int = 0  # generated or fed after the prompt
    start_seconds: float = 0.0  # until the model could be asked
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    first_token: list[float] = field(default_factory=list)
    latency: list[float] = field(default_factory=list)
    caches: dict[str, float] = field(default_factory=dict)


class Stopwatch:
    """Times what stands inside `with`, in wall clock and in CPU seconds of all our processes."""

    def __init__(self, timed: Timed) -> None:
        self.timed = timed

    def __enter__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), tree_cpu_seconds()

    def __exit__(self, *_: object) -> None:
        self.timed.seconds += time.perf_counter() - self.wall
        self.timed.cpu_seconds += tree_cpu_seconds() - self.cpu


def here(asked: Sequence[Asked], folder: str, timed: Timed) -> None:
    """The judge's own backend in this process, BATCH pairs at once on each core, both orders."""
    from creative4u.backbone.feature_cache import cache_of
    from creative4u.selector.loading import load_judge
    from creative4u.selector.protocol.backend import Completion

    backend: Any = load_judge(folder).backend
    vision = cache_of(backend.decoder.model)
    prompts = [prompt_of(one) for one in asked]
    timed.prompt_tokens = _count_prompts(backend.processor, prompts)
    began = time.perf_counter()
    first: list[float] = []
    backend.complete(prompts[:2], lambda *_: first.append(time.perf_counter() - began))
    timed.first_token = first[:1]
    if vision is not None:
        vision.memory.clear()
        vision.hits = vision.misses = 0

    calls = backend.share_cores()
    size = 2 * min(BATCH, -(-len(asked) // 2 // calls))  # each core has some

    def judged(start: int) -> tuple[Sequence[Any], float]:
        began = time.perf_counter()
        done = backend.complete(prompts[start : start + size])
        return done, time.perf_counter() - began

    with Stopwatch(timed), ThreadPoolExecutor(calls) as pool:
        batches = list(pool.map(judged, range(0, len(asked), size)))
    tokenizer = backend.processor.tokenizer
    for done, seconds in batches:
        timed.latency += [seconds] * (len(done) // 2)
    for one, said in zip(asked, (said for done, _ in batches for said in done), strict=True):
        if isinstance(said, Completion):
            timed.texts[one.name], timed.odds[one.name] = said.text, said.logit_a
            timed.tokens += len(tokenizer(said.text, add_special_tokens=False).input_ids)
    if vision is not None:
        timed.caches["vision_hit_rate"] = vision.hits / max(1, vision.hits + vision.misses)


def transformers_loop(asked: Sequence[Asked], folder: str, timed: Timed) -> None:
    """`generate`, greedy, one prompt at a time, as a model card shows it."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    dtype: Any = "auto" if torch.cuda.is_available() else torch.float32
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype).eval()
    processor = AutoProcessor.from_pretrained(folder)
    first = _FirstToken()
    for one in asked:
        prompt = prompt_of(one)
        with Stopwatch(timed), torch.inference_mode():
            first.began = began = time.perf_counter()
            text = processor.apply_chat_template(prompt.messages, add_generation_prompt=True)
            inputs = processor(text=[text], images=[list(prompt.images)], return_tensors="pt")
            out = model.generate(
                **inputs.to(model.device), do_sample=False, max_new_tokens=one.max_tokens,
                streamer=first,
            )  # fmt: skip
            new = out[0, inputs["input_ids"].shape[1] :]
            timed.texts[one.name] = processor.tokenizer.decode(new, skip_special_tokens=True)
        timed.latency.append(time.perf_counter() - began)
        timed.first_token.append(first.seconds)
        timed.tokens += len(new)
        timed.prompt_tokens += inputs["input_ids"].shape[1]
    timed.latency = [sum(both) for both in zip(*[iter(timed.latency)] * 2, strict=True)]


class _FirstToken:
    """A streamer that notes when the second put comes: the first is the prompt itself."""

    began, seconds, puts = 0.0, 0.0, 0

    def put(self, _: Any) -> None:
        self.puts += 1
        if self.puts == 2:
            self.seconds = time.perf_counter() - self.began

    def end(self) -> None:
        self.puts = 0


CONTENDERS: dict[str, Callable[[Sequence[Asked], str, Timed], None]] = {
    "here": here,
    "transformers": transformers_loop,
}


def _count_prompts(processor: Any, prompts: Sequence[Any]) -> int:
    count = 0
    for prompt in prompts:
        text = processor.apply_chat_template(prompt.messages, add_generation_prompt=True)
        shown = processor(text=[text], images=[list(prompt.images)], return_tensors="pt")
        count += shown["input_ids"].shape[1]
    return count


def main(names: Sequence[str], requests: Path, beside: Path, folder: str) -> None:
    """Print one JSON line a contender; those of vLLM share an engine where their options agree."""
    from creative4u.serving.bench.vllm_contenders import VLLM, run_vllm

    every = read_requests(requests, beside)
    for name in names:
        asked = every[: 2 * AT_MOST.get(name, len(every))]
        timed, began = Timed(name, len(asked)), time.perf_counter()
        if name in CONTENDERS:
            CONTENDERS[name](asked, folder, timed)
        else:
            assert name in VLLM, name
            run_vllm(name, asked, folder, timed)
        timed.start_seconds = time.perf_counter() - began - timed.seconds
        timed.peak_bytes = tree_peak_bytes()
        print(json.dumps(asdict(timed)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1].split(","), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
