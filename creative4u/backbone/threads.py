"""Compute with a set number of torch's threads, so that bits hang neither on cores nor on a batch.

A convolution and a small product round otherwise on one thread than on two, and otherwise in a
batch than alone. So whatever looks at images takes each of them by itself, on one thread, and as
many images side by side as torch has threads: about as fast as a batch that shares them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Given = TypeVar("Given")
Made = TypeVar("Made")


@contextmanager
def running(threads: int) -> Iterator[None]:
    """Inside, torch computes on so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def alone(compute: Callable[[Given], Made], items: Sequence[Given]) -> list[Made]:
    """`compute` of each item, without gradients, the same bits as of that item alone."""

    def one(item: Given) -> Made:
        with torch.no_grad():
            return compute(item)

    threads = torch.get_num_threads()
    with running(1):
        beside = min(threads, len(items))
        if beside <= 1:
            return [one(item) for item in items]
        with ThreadPoolExecutor(beside, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(one, items))
