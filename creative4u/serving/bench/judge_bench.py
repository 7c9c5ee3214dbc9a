"""Compare the rates of several ways to judge the same pairs in one run, as ratios.

    creative4u bench judge pairs.jsonl --limit 24

Every contender gets the same prompts, both orders of each pair, and a process of its own; starting
and loading are not counted. Rates are told per second of wall clock and per second of CPU: where
other programs run beside, only the second is fair.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from creative4u.errors import BackendError, Creative4UError, InputError
from creative4u.selector.loading import load_asker
from creative4u.selector.protocol.completion import parse
from creative4u.serving.bench.contenders import Timed
from creative4u.serving.bench.flops import arithmetic
from creative4u.serving.bench.machine import matmul_rate
from creative4u.serving.openai_batch.requests import asked_file, write_requests
from creative4u.serving.server.servable import servable

# contenders that share a process, because they share an engine
GROUPS = (("here",), ("transformers",), ("engine", "vllm-float32"), ("vllm",), ("ngram",))
OURS = "here"
Tell = Callable[[str], None]


@dataclass(frozen=True)
class BenchConfig:
    """What is measured; `cost_per_hour` is the machine's price in any currency."""

    contenders: tuple[str, ...] = ("here", "transformers", "engine", "vllm-float32", "vllm")
    limit: int = 24  # pairs
    cost_per_hour: float | None = None


def bench_judge(
    pairs: Path, model: str | None, config: BenchConfig, tell: Tell = lambda _: None
) -> dict[str, Any]:
    """Measure every contender once.

    Returns:
        `pairs`, `limit` (FLOP/s of this machine, per second of wall and of CPU), `observe_seconds`
        (of one pair, before its prompts), `contenders` {name: figures}, `failed`
        {name: why}, and `ratios` {name: OURS against it} in pairs per wall second and per CPU
        second.

    Raises InputError (an unknown contender, no pairs), BackendError (every contender failed).
    """
    known = [name for group in GROUPS for name in group]
    if unknown := [name for name in config.contenders if name not in known]:
        raise InputError(f"unknown contender {unknown[0]!r}; allowed are {', '.join(known)}")
    with tempfile.TemporaryDirectory() as scratch:
        requests, out = Path(scratch) / "requests.jsonl", Path(scratch) / "verdicts.jsonl"
        judge = load_asker(model)
        began = time.perf_counter()
        written = write_requests(pairs, out, requests, judge, config.limit)
        observe = (time.perf_counter() - began) / max(1, written["pairs"])
        if not written["pairs"]:
            raise InputError(f"{pairs}: no pair that can be judged")
        source = servable(model)
        wall_rate, cpu_rate = matmul_rate()
        measured: dict[str, Timed] = {}
        failed: dict[str, str] = {}
        for group in GROUPS:
            names = [name for name in group if name in config.contenders]
            if names:
                tell(f"measuring {', '.join(names)}: {written['pairs']} pairs")
            try:
                for timed in _measured(names, requests, asked_file(out), source.source):
                    measured[timed.name] = timed
            except BackendError as error:  # the others are measured all the same
                tell(str(error))
                failed |= dict.fromkeys(names, str(error))
        if not measured:
            raise BackendError(next(iter(failed.values())))
    flop = _needed(source.source, measured)
    limit = {
        "flop_per_second": wall_rate,
        "flop_per_cpu_second": cpu_rate,
        "bfloat16_flop_per_cpu_second": matmul_rate(dtype=torch.bfloat16)[1],
    }
    figures = {
        name: _figures(timed, flop * timed.asked, limit, config.cost_per_hour)
        for name, timed in measured.items()
    }
    return {
        "pairs": written["pairs"],
        "model": judge.model,
        "observe_seconds": observe,
        "limit": limit,
        "contenders": figures,
        "failed": failed,
        "ratios": {
            name: {
                key: figures[OURS][key] / figures[name][key]
                for key in ("pairs_per_second", "pairs_per_cpu_second")
            }
            for name in figures
            if OURS in figures and name != OURS
        },
        "parity": {
            name: parity(measured[OURS], timed)
            for name, timed in measured.items()
            if OURS in measured and name != OURS
        },
    }


def parity(one: Timed, other: Timed) -> dict[str, Any]:
    """How often two contenders choose the same in the same order of a pair, and how far their
    probabilities lie apart; completions that do not follow the protocol are counted beside."""
    same = compared = unparsed = 0
    apart = []
    texts = dict(list(one.texts.items())[: other.asked])  # the other may have had the first alone
    for name, text in texts.items():
        choices = []
        for said in (text, other.texts.get(name, "")):
            try:
                choices.append(parse(said).answers.click)
            except Creative4UError:
                unparsed += 1
        if len(choices) == 2:
            compared += 1
            same += choices[0] == choices[1]
        if name in one.odds and name in other.odds:
            apart.append(abs(_probability(one.odds[name]) - _probability(other.odds[name])))
    return {
        "compared": compared,
        "same_choice": same / compared if compared else None,
        "same_text": sum(other.texts.get(n) == t for n, t in texts.items()) / max(1, len(texts)),
        "off_protocol": unparsed,
        "mean_difference": float(np.mean(apart)) if apart else None,
        "most_difference": float(np.max(apart)) if apart else None,
    }


def _probability(odds: float) -> float:
    return float(1 / (1 + np.exp(-odds)))


def _measured(
    names: Sequence[str], requests: Path, beside: Path, folder: str
) -> Iterator[Timed]:
    """One process for the contenders that share an engine."""
    if not names:
        return
    words = [sys.executable, "-m", "creative4u.serving.bench.contenders", ",".join(names)]
    words += [str(requests), str(beside), folder]
    process = subprocess.run(words, capture_output=True, text=True)
    lines = [line for line in process.stdout.splitlines() if line.startswith('{"name"')]
    if process.returncode or len(lines) != len(names):
        last = " | ".join(process.stderr.strip().splitlines()[-3:])
        raise BackendError(f"{', '.join(names)} failed ({process.returncode}): {last}")
    for line in lines:
        yield Timed(**json.loads(line))


def _needed(folder: str, measured: dict[str, Timed]) -> float:
    """FLOP of one prompt and its completion, from the tokens that OURS (or whoever ran) took."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder)
    if not hasattr(config, "vision_config") or not hasattr(config.vision_config, "patch_size"):
        return float("nan")
    timed = measured.get(OURS) or next(iter(measured.values()))
    count = timed.asked
    cost = arithmetic(config)
    one = cost.completion(timed.prompt_tokens // count, timed.tokens // count)
    return one + cost.image  # an image for each order: two a pair, each encoded once


def _figures(
    timed: Timed, flop: float, limit: dict[str, float], cost_per_hour: float | None
) -> dict[str, Any]:
    pairs = timed.asked / 2
    told: dict[str, Any] = {
        "pairs": pairs,
        "pairs_per_second": pairs / timed.seconds,
        "pairs_per_cpu_second": pairs / timed.cpu_seconds,
        "tokens_per_second": timed.tokens / timed.seconds,
        "tokens_a_completion": timed.tokens / timed.asked,
        "prompt_tokens": timed.prompt_tokens / timed.asked,
        "first_token_seconds": float(np.median(timed.first_token)) if timed.first_token else None,
        "p50_seconds": float(np.quantile(timed.latency, 0.5)) if timed.latency else None,
        "p95_seconds": float(np.quantile(timed.latency, 0.95)) if timed.latency else None,
        "peak_gb": timed.peak_bytes / 1e9,
        "start_seconds": timed.start_seconds,
        "share_of_limit": flop / timed.seconds / limit["flop_per_second"],
        "share_of_limit_by_cpu": flop / timed.cpu_seconds / limit["flop_per_cpu_second"],
        "share_of_bfloat16_limit_by_cpu": flop
        / timed.cpu_seconds
        / limit["bfloat16_flop_per_cpu_second"],
        **timed.caches,
    }
    if cost_per_hour is not None:
        told["cost_per_thousand_pairs"] = cost_per_hour / 3.6 / told["pairs_per_second"]
    return told
