"""Order N creatives of one product from best to worst by a tournament of pairs.

Up to four creatives meet each other all (round robin). More play a Swiss tournament of
ceil(log2 N) + 2 rounds: in each round neighbours in the order that have not met yet are paired, so
the many clear losers cost few comparisons and the close race at the top gets most. After every
round Bradley-Terry strengths are fitted to the probabilities of all comparisons so far.

The order is by strength. Equal strengths (within `EQUAL`) are ordered by these rules, the first
that tells them apart; sums of comparisons won, so the same on every machine:

1. direct meetings: comparisons won less lost among those of equal strength;
2. wins over strong ones: the wins of those it has beaten, added up (Sonneborn and Berger);
3. the order of the input.

A narrow win can leave the winner's fitted strength below the loser's. So one rule stands above
strength: where no comparison contradicts another (no circle of A over B over C over A), and one
creative alone has won a comparison and lost none, it is the first. A play-off after the last round
leaves one such creative at most: those without a loss meet in further rounds, which halve their
number, and the last one then meets the strongest of the others. With a judge that is always right,
however narrowly, the best creative never loses, wins its first comparison by the second round at
the latest, and no circle arises: the play-off ends with it alone, and it comes first.

A comparison of probability one half (a tie, an inconclusive verdict) is won by nobody, and one that
failed is left out. Both count as met. There are at most ceil(log2 N) + 1 play-off rounds, so at
most floor(N / 2) * (2 ceil(log2 N) + 3) comparisons: 480 for 64 creatives, of 2,016 pairs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from creative4u.bradley_terry import fit_strengths
from creative4u.errors import Creative4UError, InputError
from creative4u.selector.judge import PairRequest, Selects

ROUND_ROBIN = 4  # up to this many creatives every two of them meet
MOST = 64
PRECISION = 0.1  # of the Gaussian prior on a strength: keeps unbeaten creatives finite
EQUAL = 1e-6  # strengths nearer than this are equal; the fit's own error is below 1e-9
BATCH = 8  # pairs judged at once

Meeting = tuple[int, int]
Compare = Callable[[Sequence[Meeting]], Sequence[float | None]]


@dataclass(frozen=True)
class Standing:
    """How a tournament ended: strengths and who met whom with which probability."""

    order: tuple[int, ...]  # best first
    strength: NDArray[np.float64]  # (N,) log odds against the average creative
    played: dict[Meeting, float] = field(default_factory=dict)  # that the first is better

    @property
    def probability(self) -> float:
        """That the first is better than the second: by their strengths.

        Where the first stands above a stronger second, because it has lost to nobody: by their
        meeting, or one half if they have none.
        """
        first, second = self.order[:2]
        gap = float(self.strength[first] - self.strength[second])
        if gap >= -EQUAL:
            return 1 / (1 + math.exp(-max(gap, 0.0)))
        if (first, second) in self.played:
            return self.played[first, second]
        return 1 - self.played.get((second, first), 0.5)


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
    standing = Standing(tuple(range(count)), np.zeros(count), played)

    def play(meetings: Sequence[Meeting]) -> None:
        nonlocal standing
        for meeting, probability in zip(meetings, compare(meetings), strict=True):
            met.add(meeting)
            if probability is not None:
                played[meeting] = probability
        rows = [(*meeting, probability) for meeting, probability in played.items()]
        strength = fit_strengths(rows, count, PRECISION)
        standing = Standing(order_of(strength, played), strength, played)

    levels = math.ceil(math.log2(count))
    if count <= ROUND_ROBIN:
        play([(i, j) for i in range(count) for j in range(i + 1, count)])
    else:
        for _ in range(levels + 2):
            play(swiss_round(standing.order, met))
    for _ in range(levels + 1):
        meetings = play_off(standing, met)
        if not meetings:
            break
        play(meetings)
    return standing


def swiss_round(order: Sequence[int], met: Set[Meeting]) -> list[Meeting]:
    """Pair the first with the next that it has not met, and so on; the odd one rests."""
    waiting = list(order)
    meetings = []
    while waiting:
        first = waiting.pop(0)
        new = [other for other in waiting if not {(first, other), (other, first)} & met]
        if new:
            waiting.remove(new[0])
            meetings.append((first, new[0]))
    return meetings


def play_off(standing: Standing, met: Set[Meeting]) -> list[Meeting]:
    """Pair those without a loss; one alone meets the strongest of the others, unless it has."""
    without_loss = unbeaten(standing.order, standing.played)
    if len(without_loss) == 1:
        others = (i for i in standing.order if i not in without_loss)
        without_loss.append(max(others, key=lambda i: standing.strength[i]))
    return swiss_round(without_loss, met)


def order_of(strength: NDArray[np.float64], played: Mapping[Meeting, float]) -> tuple[int, ...]:
    """Best first, by the rules at the top of this file."""
    beaten = beaten_by(len(strength), played)
    wins = [len(losers) for losers in beaten]
    order: list[int] = []
    for group in equal_groups(strength):
        direct = {i: len(beaten[i] & group) - sum(i in beaten[j] for j in group) for i in group}
        strong = {i: sum(wins[loser] for loser in beaten[i]) for i in group}
        order += sorted(group, key=lambda i: (-direct[i], -strong[i], i))
    best = unbeaten(order, played)
    if len(best) == 1 and not has_circle(beaten):
        order.remove(best[0])
        order.insert(0, best[0])
    return tuple(order)


def equal_groups(strength: NDArray[np.float64]) -> list[set[int]]:
    """Creatives of equal strength together, the strongest first."""
    groups: list[set[int]] = []
    last = math.inf
    for i in sorted(range(len(strength)), key=lambda i: -strength[i]):
        if last - strength[i] > EQUAL:
            groups.append(set())
        groups[-1].add(i)
        last = strength[i]
    return groups


def beaten_by(count: int, played: Mapping[Meeting, float]) -> list[set[int]]:
    """For every creative those that it has beaten."""
    beaten: list[set[int]] = [set() for _ in range(count)]
    for (i, j), probability in played.items():
        if probability > 0.5:
            beaten[i].add(j)
        elif probability < 0.5:
            beaten[j].add(i)
    return beaten


def unbeaten(order: Sequence[int], played: Mapping[Meeting, float]) -> list[int]:
    """Those that have won a comparison and lost none, in the order given."""
    beaten = beaten_by(len(order), played)
    losers = set().union(*beaten)
    return [i for i in order if beaten[i] and i not in losers]


def has_circle(beaten: Sequence[Set[int]]) -> bool:
    """Whether somebody stands, by a chain of comparisons, above itself."""
    try:
        TopologicalSorter(dict(enumerate(beaten))).prepare()
    except CycleError:
        return True
    return False


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
        (comparisons that failed; they count for nobody), `model`, `seconds`. A tie or an
        inconclusive verdict is won by nobody: it counts as a probability of one half.

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
                    decided = outcome.choice in ("A", "B")
                    probabilities.append(outcome.probability_a if decided else 0.5)
        return probabilities

    standing = tournament(len(images), compare)
    if not standing.played:
        raise failures[0]
    return {
        "choice": names[standing.order[0]],
        "probability": standing.probability,
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
