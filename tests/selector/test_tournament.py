"""Tournaments whose right order is known, and strengths that can be worked out by hand."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from creative4u.errors import BackendError, Creative4UError, InputError
from creative4u.schema import ProtocolAnswers, Verdict
from creative4u.selector.judge import PairRequest
from creative4u.selector.tournament import (
    PRIOR,
    bradley_terry,
    rank_creatives,
    swiss_round,
    tournament,
)

ANSWERS = ProtocolAnswers(
    same_image="no", too_similar="no", query_hit="A=B", title_hit="A=B", text="A=B", props="A=B",
    layout="A=B", subject="A=B", background="A=B", click="A",
)  # fmt: skip


def test_two_creatives_solve_the_equation() -> None:
    strength = bradley_terry(2, {(0, 1): 0.9})
    expected = 1 / (1 + math.exp(strength[1] - strength[0]))
    assert strength[0] == pytest.approx(-strength[1])
    assert 0.9 - expected == pytest.approx(PRIOR * strength[0])  # the gradient is zero


def test_a_balanced_circle_leaves_all_equal() -> None:
    circle = {(0, 1): 0.8, (1, 2): 0.8, (0, 2): 0.2}
    assert bradley_terry(3, circle) == pytest.approx([0, 0, 0], abs=1e-9)


def test_swiss_pairs_neighbours_that_have_not_met() -> None:
    strength = np.array([0.0, 3.0, 2.0, 1.0, -1.0])
    assert swiss_round(strength, set()) == [(1, 2), (3, 0)]
    assert swiss_round(strength, {(2, 1)}) == [(1, 3), (2, 0)]


@pytest.mark.parametrize("count", [2, 3, 4, 5, 7, 8, 12, 16, 33, 64])
@pytest.mark.parametrize("sureness", [0.6, 0.99])
def test_the_best_comes_first_when_the_judge_is_right(count: int, sureness: float) -> None:
    for seed in range(5):
        quality = random.Random(seed).sample(range(count), count)
        asked: list[tuple[int, int]] = []

        def compare(
            meetings: Sequence[tuple[int, int]],
            quality: list[int] = quality,
            asked: list[tuple[int, int]] = asked,
        ) -> list[float]:
            asked.extend(meetings)
            return [sureness if quality[i] > quality[j] else 1 - sureness for i, j in meetings]

        standing = tournament(count, compare)
        assert quality[standing.order[0]] == count - 1
        assert len({frozenset(meeting) for meeting in asked}) == len(asked)  # none met twice
        if count <= 4:
            assert [quality[i] for i in standing.order] == list(range(count))[::-1]
            assert len(asked) == count * (count - 1) // 2
        else:
            assert len(asked) <= count // 2 * (math.ceil(math.log2(count)) + 2)


def test_sizes_out_of_bounds() -> None:
    for count in (0, 1, 65):
        with pytest.raises(InputError, match=f"got {count} images to rank; 2 to 64 are allowed"):
            tournament(count, lambda meetings: [0.5] * len(meetings))


class BrighterIsBetter:
    """Prefers the brighter image; fails where one is red."""

    model = "brighter"

    def select_many(self, requests: Sequence[PairRequest]) -> list[Verdict | Creative4UError]:
        return [self.one(request) for request in requests]

    def one(self, request: PairRequest) -> Verdict | Creative4UError:
        a, b = request.image_a.getpixel((0, 0)), request.image_b.getpixel((0, 0))
        if (255, 0, 0) in (a, b):
            return BackendError("no red")
        probability = 0.8 if sum(a) > sum(b) else 0.2
        return Verdict(
            choice="A" if probability > 0.5 else "B", confidence=0.8, probability_a=probability,
            consistent=True, answers=ANSWERS, reasoning="", orders=(), model=self.model, seconds=0,
        )  # fmt: skip


def test_failed_comparisons_are_told_and_count_for_nobody() -> None:
    shades = [(9, 9, 9), (200, 200, 200), (99, 99, 99), (255, 0, 0)]
    images = [Image.new("RGB", (30, 30), shade) for shade in shades]
    ranking = rank_creatives(BrighterIsBetter(), images, ["dark", "bright", "grey", "red"], "lamp")
    places = [(row["image"], row["wins"], row["losses"]) for row in ranking["ranking"]]
    assert ranking["choice"] == "bright"
    assert [place for place in places if place[0] != "red"] == [
        ("bright", 2, 0), ("grey", 1, 1), ("dark", 0, 2),
    ]  # fmt: skip
    assert ("red", 0, 0) in places
    assert [row["code"] for row in ranking["errors"]] == ["backend"] * 3
    assert len(ranking["comparisons"]) == 3
    with pytest.raises(BackendError, match="no red"):
        rank_creatives(BrighterIsBetter(), [images[0], images[3]], ["dark", "red"], "lamp")
