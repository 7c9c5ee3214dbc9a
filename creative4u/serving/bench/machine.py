"""Measure this machine's limits and a process's use: FLOP/s, CPU seconds, bytes."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import torch

SIDE = 1024  # of the square matrices whose product is timed
TICK = os.sysconf("SC_CLK_TCK")


def matmul_rate(rounds: int = 64, dtype: torch.dtype = torch.float32) -> tuple[float, float]:
    """FLOP/s of matrix products, per second of wall clock and per second of CPU.

    The wall clock of the best of `rounds`, so that what else runs here counts as little as it can;
    the CPU's of all of them, as other threads' time is only booked every few milliseconds.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    a, b = torch.randn(2, SIDE, SIDE, device=device, dtype=dtype)
    walls = []
    cpu = time.process_time()
    for _ in range(rounds):
        wall = time.perf_counter()
        product = a @ b
        product[0, 0].item()  # waits for a GPU
        walls.append(time.perf_counter() - wall)
    busy = time.process_time() - cpu
    flop = 2.0 * SIDE**3
    return flop / min(walls), rounds * flop / max(busy, 1e-9)


def tree_cpu_seconds(root: int | None = None) -> float:
    """CPU seconds that a process and all its descendants have used, user and system."""
    total = 0.0
    for pid in _tree(os.getpid() if root is None else root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(map(int, fields[11:15])) / TICK  # with those of children that have ended
    return total


def tree_peak_bytes(root: int | None = None) -> int:
    """The sum of the peak resident memory of a process and its living descendants."""
    root = os.getpid() if root is None else root
    total = 0
    for pid in _tree(root):
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        peak = next((line for line in lines if line.startswith("VmHWM:")), None)
        total += int(peak.split()[1]) * 1024 if peak else 0
    return total


def _tree(root: int) -> list[int]:
    """A process and all its living descendants, whichever of its threads started them."""
    found = [root]
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, task.read_text().split())
    return found
