"""N creatives of one product in, their order from best to worst out, by a tournament of pairs.

Up to four creatives meet each other all (round robin). More play a Swiss tournament of
ceil(log2 N) + 2 rounds: in each round creatives of like strength that have not met yet are paired,
so the many clear losers cost few comparisons and the close race at the top gets most. Strengths
are Bradley-Terry's, fitted after every round to the probabilities of all comparisons so far, so
that a narrow verdict weighs less than a clear one and losing to a strong one less than to a weak
one (Bradley and Terry 1952; the soft outcomes and the schedule are our choice).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from creative4u.errors import Creative4UError, InputError
from creative4u.selector.judge import PairRequest, Selects

ROUND_ROBIN = 4  # up to this many creatives every two of them meet
MOST = 64
PRIOR = 0.1  # weight of a strength's pull towards the mean: keeps unbeaten creatives finite
BATCH = 8  # pairs judged at once

Meeting = tuple[int, int]
Compare = Callable[[Sequence[Meeting]], Sequence[float | None]]


@dataclass(frozen=True)
class Standing:
    """How a tournament ended: strengths and who met whom with which probability."""

    order: tuple[int, ...]  # best first
    strength: NDArray[np.float64]  # (N,) log odds against the average creative
    played: dict[Meeting, float] = field(default_factory=dict)  # that the first is better


def check_size(count: int) -> None:
    """Raises InputError unless there are 2 to 64 creatives."""
    if not 2 <= count <= MOST:
        raise InputError(f"got {count} images to rank; 2 to {MOST} are allowed")


def tournament(count: int, compare: Compare) -> Standing:
    """Play a tournament of `count` creatives.

    Args:
        count: how many, 2 to 64.
        compare: for a list of (first, second) the probability that the first is better, or None
            where a comparison failed; it is asked once for each meeting, a round at a time.
    """
    check_size(count)
    played: dict[Meeting, float] = {}
    met: set[Meeting] = set()
    strength = np.zeros(count)
    rounds = 1 if count <= ROUND_ROBIN else math.ceil(math.log2(count)) + 2
    for _ in range(rounds):
        if count <= ROUND_ROBIN:
            meetings = [(i, j) for i in range(count) for j in range(i + 1, count)]
        else:
            meetings = swiss_round(strength, met)
        for meeting, probability in zip(meetings, compare(meetings), strict=True):
            met.add(meeting)
            if probability is not None:
                played[meeting] = probability
        strength = bradley_terry(count, played)
    order = tuple(int(i) for i in np.argsort(-strength, kind="stable"))
    return Standing(order, strength, played)


def swiss_round(strength: NDArray[np.float64], met: set[Meeting]) -> list[Meeting]:
    """Pair the strongest first, each with the next strongest it has not met; the odd one rests."""
    waiting = [int(i) for i in np.argsort(-strength, kind="stable")]
    meetings = []
    while waiting:
        first = waiting.pop(0)
        new = [other for other in waiting if not {(first, other), (other, first)} & met]
        if new:
            waiting.remove(new[0])
            meetings.append((first, new[0]))
    return meetings


def bradley_terry(count: int, played: dict[Meeting, float]) -> NDArray[np.float64]:
    """Strengths that explain the probabilities best, with a weak pull towards zero.

    Maximises sum p log s(a - b) + (1 - p) log s(b - a) - PRIOR/2 |strength|^2, s the logistic
    function, by Newton's method (concave, so there is one maximum).

    Returns:
        (count,) strengths; `s(strength[i] - strength[j])` is the probability that i is better.
    """
    strength = np.zeros(count)
    for _ in range(50):
        gradient = -PRIOR * strength
        curvature = PRIOR * np.eye(count)  # minus the Hessian
        for (i, j), probability in played.items():
            expected = 1 / (1 + math.exp(strength[j] - strength[i]))
            gradient[i] += probability - expected
            gradient[j] -= probability - expected
            weight = expected * (1 - expected)
            curvature[[i, j], [i, j]] += weight
            curvature[[i, j], [j, i]] -= weight
        step = np.linalg.solve(curvature, gradient)
        strength += np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-9:
            break
    return strength


def rank_creatives(
    judge: Selects,
    images: Sequence[Image],
    names: Sequence[str],
    title: str,
    queries: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Rank images of one product with a judge.

    Returns:
        `choice` (the best one's name), `probability` (that it is better than the second),
        `ranking` (best first: image, rank, strength, wins, losses), `comparisons`, `errors`
        (comparisons that failed; they count for nobody), `model`, `seconds`.

    Raises:
        Creative4UError: too few or too many images, or the first error if every comparison failed.
    """
    began = time.perf_counter()
    comparisons: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    failures: list[Creative4UError] = []

    def compare(meetings: Sequence[Meeting]) -> list[float | None]:
        probabilities: list[float | None] = []
        for start in range(0, len(meetings), BATCH):
            batch = meetings[start : start + BATCH]
            requests = [PairRequest(images[i], images[j], title, queries) for i, j in batch]
            for (i, j), outcome in zip(batch, judge.select_many(requests), strict=True):
                row: dict[str, Any] = {"image_a": names[i], "image_b": names[j]}
                if isinstance(outcome, Creative4UError):
                    failures.append(outcome)
                    errors.append({**row, "code": outcome.code, "message": str(outcome)})
                    probabilities.append(None)
                else:
                    keep = {"choice", "confidence", "probability_a", "consistent", "reasoning"}
                    comparisons.append({**row, **outcome.model_dump(mode="json", include=keep)})
                    probabilities.append(outcome.probability_a)
        return probabilities

    standing = tournament(len(images), compare)
    if not standing.played:
        raise failures[0]
    first, second = standing.order[:2]
    gap = float(standing.strength[first] - standing.strength[second])
    return {
        "choice": names[first],
        "probability": 1 / (1 + math.exp(-gap)),
        "ranking": [
            {"image": names[i], "rank": place, "strength": float(standing.strength[i])}
            | _record(i, standing.played)
            for place, i in enumerate(standing.order, start=1)
        ],
        "comparisons": comparisons,
        "errors": errors,
        "model": judge.model,
        "seconds": time.perf_counter() - began,
    }


def _record(one: int, played: dict[Meeting, float]) -> dict[str, int]:
    gains = [p if one == i else 1 - p for (i, j), p in played.items() if one in (i, j)]
    return {"wins": sum(gain > 0.5 for gain in gains), "losses": sum(gain < 0.5 for gain in gains)}
