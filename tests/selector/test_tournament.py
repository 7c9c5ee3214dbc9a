"""Tournaments whose right order is known, and the rules of equal strength one by one."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from creative4u.errors import BackendError, Creative4UError, InputError
from creative4u.schema import Choice, ProtocolAnswers, Verdict
from creative4u.selector.judge import PairRequest
from creative4u.selector.tournament import (
    Standing,
    order_of,
    play_off,
    rank_creatives,
    swiss_round,
    tournament,
)

ANSWERS = ProtocolAnswers(
    same_image="no", too_similar="no", query_hit="A=B", title_hit="A=B", text="A=B", props="A=B",
    layout="A=B", subject="A=B", background="A=B", click="A",
)  # fmt: skip


def test_swiss_pairs_neighbours_that_have_not_met() -> None:
    assert swiss_round([1, 2, 3, 0, 4], set()) == [(1, 2), (3, 0)]
    assert swiss_round([1, 2, 3, 0, 4], {(2, 1)}) == [(1, 3), (2, 0)]


def most(count: int) -> int:
    """The most comparisons of a tournament, as its file says."""
    levels = math.ceil(math.log2(count))
    return count // 2 * (2 * levels + 3)


def play(count: int, chance: Callable[[int, int], float | None]) -> tuple[Standing, int]:
    """A tournament and its number of comparisons; none meets another twice."""
    asked: list[tuple[int, int]] = []

    def compare(meetings: Sequence[tuple[int, int]]) -> list[float | None]:
        asked.extend(meetings)
        return [chance(i, j) for i, j in meetings]

    standing = tournament(count, compare)
    assert len({frozenset(meeting) for meeting in asked}) == len(asked)
    assert sorted(standing.order) == list(range(count))
    assert len(asked) <= most(count)
    return standing, len(asked)


@pytest.mark.parametrize("count", range(2, 65))
@pytest.mark.parametrize("sureness", [0.51, 0.6, 0.99])
def test_the_best_comes_first_when_the_judge_is_right(count: int, sureness: float) -> None:
    quality = random.Random(0).sample(range(count), count)
    standing, asked = play(
        count, lambda i, j: sureness if quality[i] > quality[j] else 1 - sureness
    )
    assert quality[standing.order[0]] == count - 1
    assert standing.probability > 0.5
    if count <= 4:
        assert [quality[i] for i in standing.order] == list(range(count))[::-1]
        assert asked == count * (count - 1) // 2


@given(st.integers(2, 64), st.floats(0.51, 0.99), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_best_comes_first_at_every_size_and_sureness(
    count: int, sureness: float, luck: random.Random
) -> None:
    quality = luck.sample(range(count), count)
    standing, _ = play(count, lambda i, j: sureness if quality[i] > quality[j] else 1 - sureness)
    assert quality[standing.order[0]] == count - 1
    assert standing.probability >= 0.5


@given(st.integers(2, 64), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_best_comes_first_however_the_sureness_varies(count: int, luck: random.Random) -> None:
    quality = luck.sample(range(count), count)

    def chance(i: int, j: int) -> float:
        sureness = luck.choice([0.5001, 0.51, 0.7, 0.99, 1.0])
        return sureness if quality[i] > quality[j] else 1 - sureness

    standing, _ = play(count, chance)
    assert quality[standing.order[0]] == count - 1
    assert standing.probability >= 0.5


@given(st.integers(2, 64), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_any_verdicts_end_in_an_order_within_the_bound(count: int, luck: random.Random) -> None:
    standing, _ = play(count, lambda i, j: luck.choice([None, 0.0, 0.3, 0.5, 0.9]))
    assert 0.5 <= standing.probability <= 1


@pytest.mark.parametrize("nothing", [None, 0.5])
@pytest.mark.parametrize("count", [2, 5, 33])
def test_where_nobody_wins_the_input_order_stays(count: int, nothing: float | None) -> None:
    standing, _ = play(count, lambda i, j: nothing)
    assert standing.order == tuple(range(count))
    assert standing.probability == 0.5


def test_equal_strengths_are_ordered_by_their_direct_meeting() -> None:
    strength = np.array([1.0, 2.0, 2.0 + 1e-9])
    assert order_of(strength, {(0, 1): 0.9, (1, 2): 0.9, (0, 2): 0.1}) == (1, 2, 0)
    assert order_of(strength, {(0, 1): 0.9, (1, 2): 0.1, (0, 2): 0.1}) == (2, 1, 0)


def test_then_by_the_wins_of_those_they_have_beaten() -> None:
    # 0 and 1 have not met; each has one win, and 2, whom 1 beat, has won more than 4, whom 0 beat
    strength = np.array([0.0, 1e-9, 0.5, 0.5, -1.0])
    played = {(0, 4): 0.9, (1, 2): 0.9, (2, 3): 0.9, (3, 0): 0.9, (3, 1): 0.9}
    assert order_of(strength, played) == (2, 3, 1, 0, 4)


def test_then_by_the_input() -> None:
    circle = {(0, 1): 0.8, (1, 2): 0.8, (0, 2): 0.2}
    assert order_of(np.array([-1e-9, 0.0, 1e-9]), circle) == (0, 1, 2)


def test_one_without_a_loss_is_first_unless_comparisons_contradict_each_other() -> None:
    strength = np.array([0.0, 1.0, 0.5, 0.2])
    assert order_of(strength, {(0, 1): 0.51, (1, 2): 0.9, (1, 3): 0.9}) == (0, 1, 2, 3)
    circle = {(0, 1): 0.51, (1, 2): 0.9, (2, 3): 0.9, (1, 3): 0.1}
    assert order_of(strength, circle) == (1, 2, 3, 0)
    drawn = {(0, 1): 0.5, (1, 2): 0.9, (2, 3): 0.9}
    assert order_of(strength, drawn) == (1, 2, 3, 0)


def test_a_play_off_pairs_those_without_a_loss() -> None:
    played = {(0, 1): 0.9, (2, 3): 0.6}
    standing = Standing((0, 2, 3, 1), np.array([0.4, -0.4, 0.1, -0.1]), played)
    assert play_off(standing, set(played)) == [(0, 2)]
    played = {(0, 1): 0.9, (2, 3): 0.6, (0, 2): 0.4}
    standing = Standing((2, 0, 3, 1), np.array([0.3, -0.4, 0.2, -0.1]), played)
    assert play_off(standing, set(played)) == []  # 2 alone, and it has met the strongest


def test_the_probability_of_a_first_with_less_strength_is_that_of_the_meeting() -> None:
    strength = np.array([0.0, 1.0])
    assert Standing((1, 0), strength).probability == pytest.approx(1 / (1 + math.exp(-1)))
    assert Standing((0, 1), strength, {(0, 1): 0.6}).probability == 0.6
    assert Standing((0, 1), strength, {(1, 0): 0.4}).probability == pytest.approx(0.6)
    assert Standing((0, 1), strength).probability == 0.5


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


@pytest.mark.parametrize("choice", ["tie", "inconclusive"])
def test_an_undecided_verdict_is_won_by_nobody(choice: Choice) -> None:
    class Undecided(BrighterIsBetter):
        def one(self, request: PairRequest) -> Verdict | Creative4UError:
            verdict = super().one(request)
            assert isinstance(verdict, Verdict)
            return verdict.model_copy(update={"choice": choice})

    images = [Image.new("RGB", (30, 30), (shade,) * 3) for shade in (9, 200, 99)]
    ranking = rank_creatives(Undecided(), images, ["dark", "bright", "grey"], "lamp")
    places = [(row["image"], row["wins"], row["losses"]) for row in ranking["ranking"]]
    assert places == [("dark", 0, 0), ("bright", 0, 0), ("grey", 0, 0)]
    assert ranking["probability"] == 0.5
    assert [row["choice"] for row in ranking["comparisons"]] == [choice] * 3
    assert ranking["errors"] == []
