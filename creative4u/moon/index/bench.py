"""Measure embedding and search speed against this machine's limits.

Both sides take turns in one run. Times are processor seconds of all threads, which other programs
hardly lengthen, and wall-clock seconds, which they do; the median counts. The arithmetic limit is
a float32 matrix product of 1024 x 1024 x 1024.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from creative4u.moon.encoder.feature_store import image_features
from creative4u.moon.index.faiss_index import Index, IndexConfig

SIDE = 1024


@dataclass(frozen=True)
class MedianTimes:
    """Median times of one kind of work, in seconds."""

    processor: float
    clock: float


def time_in_turns(rounds: int, *work: Callable[[], Any]) -> list[MedianTimes]:
    """Median times over `rounds` of each work, taking turns after one warm-up round."""
    times: list[list[tuple[float, float]]] = [[] for _ in work]
    for count in range(rounds + 1):
        for place, one in enumerate(work):
            processor, clock = time.process_time(), time.perf_counter()
            one()
            if count:
                times[place].append((time.process_time() - processor, time.perf_counter() - clock))
    return [MedianTimes(*np.median(some, axis=0).tolist()) for some in times]


def bench_embedding(images: int = 32, rounds: int = 3) -> dict[str, Any]:
    """Time DINOv2, saliency and EfficientNet on images, as a share of the arithmetic limit."""
    rng = np.random.default_rng(7)
    some = [Image.fromarray(rng.integers(0, 255, (384, 384, 3), np.uint8)) for _ in range(images)]
    with FlopCounterMode(display=False) as counter:
        image_features(some[:1])
    flops = counter.get_total_flops()
    left, right = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
    products = max(1, round(images * flops / (2 * SIDE**3)))

    def limit() -> None:
        for _ in range(products):
            torch.mm(left, right)

    took, at_limit = time_in_turns(rounds, lambda: image_features(some), limit)
    work = 2 * SIDE**3 * products
    rate = work / at_limit.processor
    return {
        "images": images,
        "threads": torch.get_num_threads(),
        "processor seconds an image": round(took.processor / images, 4),
        "GFLOP an image": round(flops / 1e9, 2),
        "GFLOP/s of a matrix product": round(rate / 1e9, 1),
        "share of the limit": round(images * flops / took.processor / rate, 3),
        "by the clock": round(images * flops / took.clock / (work / at_limit.clock), 3),
    }


def bench_search(
    vectors: int = 1_000_000, dim: int = 384, queries: int = 64, rounds: int = 5
) -> dict[str, Any]:
    """Time exact search for ten neighbours through `Index` and through bare FAISS."""
    import faiss

    rng = np.random.default_rng(7)
    index = Index(IndexConfig(dim=dim))
    bare: Any = faiss.IndexFlatIP(dim)
    for start in range(0, vectors, 100_000):
        rows = rng.standard_normal((min(100_000, vectors - start), dim), np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        index.add([str(start + row) for row in range(len(rows))], rows)
        bare.add(rows)
    some = rng.standard_normal((queries, dim), np.float32)
    some /= np.linalg.norm(some, axis=1, keepdims=True)
    ours, theirs = time_in_turns(
        rounds, lambda: index.search(some, 10), lambda: bare.search(some, 10)
    )
    hits = [[int(hit.item_id) for hit in row] for row in index.search(some, 10)]
    same = float(np.mean(np.array(hits) == bare.search(some, 10)[1]))
    return {
        "vectors": len(index),
        "dim": dim,
        "queries": queries,
        "queries a processor second": round(queries / ours.processor, 1),
        "bare FAISS": round(queries / theirs.processor, 1),
        "share of bare FAISS": round(theirs.processor / ours.processor, 3),
        "by the clock": round(theirs.clock / ours.clock, 3),
        "same answers": same,
    }
