"""Policies and the simulated A/B test, on worlds whose answer is known."""

import json
from pathlib import Path

import numpy as np
import pytest

from creative4u.ctr.policies.judge_prior import prior_of_verdicts, verdicts_by_product
from creative4u.ctr.policies.policies import (
    EpsilonGreedy,
    Fixed,
    Greedy,
    LinUCB,
    Policy,
    Random,
    Thompson,
    best,
)
from creative4u.ctr.policies.simulate import Environment, Run, compare, places_of, play
from creative4u.errors import InputError

CTR = np.array([[0.4, 0.1, 0.1], [0.1, 0.3, 0.0]])
VALID = np.array([[True, True, True], [True, True, False]])
WORLD = Environment(CTR, np.full((2, 3), 0.5), np.array([10.0, 20.0]), VALID)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_greedy_takes_the_largest_smoothed_ctr() -> None:
    shown = np.array([[[100.0, 100.0, 0.0], [100.0, 0.0, 0.0]]])
    clicks = np.array([[[20.0, 1.0, 0.0], [0.0, 0.0, 0.0]]])
    # product 1: (0 + a) / (100 + a + b) lies below a / (a + b) of the creative not yet shown
    assert Greedy().choose(shown, clicks, VALID, rng()).tolist() == [[0, 1]]


def test_a_creative_that_is_not_there_is_never_shown() -> None:
    nothing = np.zeros((400, 2, 3))
    for policy in (Random(), Greedy(), EpsilonGreedy(0.5), Thompson(), LinUCB(np.ones((2, 3, 1)))):
        assert (policy.choose(nothing, nothing, VALID, rng())[:, 1] < 2).all()


def test_random_shows_all_alike() -> None:
    chosen = Random().choose(np.zeros((6000, 2, 3)), np.zeros((6000, 2, 3)), VALID, rng())
    assert np.bincount(chosen[:, 0]) / 6000 == pytest.approx([1 / 3] * 3, abs=0.03)


def test_epsilon_greedy_explores_by_its_share() -> None:
    shown = np.full((8000, 1, 3), 1e4)
    clicks = shown * [0.5, 0.1, 0.1]
    chosen = EpsilonGreedy(0.3).choose(shown, clicks, np.ones((1, 3), bool), rng())
    assert (chosen == 0).mean() == pytest.approx(0.7 + 0.3 / 3, abs=0.02)


def test_a_strong_prior_decides_thompsons_first_choice() -> None:
    nothing = np.zeros((200, 1, 2))
    policy = Thompson(np.array([[0.9, 0.1]]), strength=1000)
    assert (policy.choose(nothing, nothing, np.ones((1, 2), bool), rng()) == 0).all()


def test_linucb_learns_one_step_by_hand() -> None:
    policy = LinUCB(np.array([[[1.0, 0.0], [0.0, 1.0]]]), alpha=0.0, ridge=1.0, every=1)
    nothing, there = np.zeros((1, 1, 2)), np.ones((1, 2), bool)
    policy.choose(nothing, nothing, there, rng())
    for clicked in (True, False):
        policy.learn(np.array([[1]]), np.array([[clicked]]))
    # A = diag(1, 3), b = (0, 1): theta = (0, 1/3)
    assert policy.choose(nothing, nothing, there, rng()).tolist() == [[1]]
    assert (policy._inverse @ policy._b[..., None])[0, :, 0] == pytest.approx([0, 1 / 3])


def test_the_oracle_and_random_by_hand() -> None:
    oracle = play(Fixed(CTR), WORLD, impressions=50, runs=3, seed=1)
    assert oracle.ctr == pytest.approx(np.full(3, (0.4 + 0.3) / 2))
    assert oracle.cvr == pytest.approx(np.full(3, 0.5))
    assert oracle.rpm == pytest.approx(np.full(3, 1000 * (0.4 * 0.5 * 10 + 0.3 * 0.5 * 20) / 2))
    assert oracle.regret == pytest.approx(np.zeros((3, 10)))
    uniform = play(Random(), WORLD, impressions=400, runs=20, seed=1)
    assert uniform.ctr.mean() == pytest.approx((0.2 + 0.2) / 2, abs=0.01)


@pytest.mark.parametrize("policy", [Thompson(), EpsilonGreedy(), Greedy()])
def test_learning_policies_beat_random_and_lose_to_the_oracle(policy: Policy) -> None:
    runs = {
        name: play(one, WORLD, impressions=500, runs=20, seed=2)
        for name, one in (("random", Random()), ("it", policy), ("oracle", Fixed(CTR)))
    }
    table = compare(runs)
    assert table["it"]["lift_over_random"][1] > 0
    assert table["it"]["ctr"] < table["oracle"]["ctr"]
    assert table["it"]["regret"][-1] < table["random"]["regret"][-1]


def test_the_same_seed_plays_the_same() -> None:
    one, two = (play(Thompson(), WORLD, 100, 4, seed=5) for _ in range(2))
    assert np.array_equal(one.ctr, two.ctr)


def test_lifts_by_hand() -> None:
    zero = np.zeros((2, 1))
    runs = {
        "random": Run(np.array([0.1, 0.2]), np.ones(2), np.ones(2), zero),
        "it": Run(np.array([0.12, 0.22]), np.ones(2), np.ones(2), zero),
    }
    mean, low, high = compare(runs)["it"]["lift_over_random"]
    # lifts 0.2 and 0.1: mean 0.15, standard error 0.05
    assert (mean, low, high) == pytest.approx((0.15, 0.15 - 1.96 * 0.05, 0.15 + 1.96 * 0.05))


def test_environment_from_rows() -> None:
    products = np.array([1, 0, 1, 1])
    ctr, cvr, price = np.array([0.1, 0.2, 0.3, 0.4]), np.full(4, 0.5), np.ones(2)
    found = Environment.of(products, ctr, cvr, price)
    assert places_of(products).tolist() == [0, 0, 1, 2]
    assert found.ctr.tolist() == [[0.2, 0, 0], [0.1, 0.3, 0.4]]
    assert found.valid.sum() == 4


def test_best_ignores_what_is_not_there() -> None:
    assert best(np.array([1.0, 5.0]), np.array([True, False])) == 0


def test_a_prior_of_verdicts(tmp_path: Path) -> None:
    pairs, verdicts = tmp_path / "pairs.jsonl", tmp_path / "verdicts.jsonl"
    boot = {"product_title": "Boot", "image_a": "../w/p0/00.jpg"}
    rows = [
        boot | {"pair_id": "1", "image_b": "../w/p0/01.jpg"},
        boot | {"pair_id": "2", "image_b": "../w/p9/01.jpg"},
    ]
    chosen = {"choice": "B", "consistent": True, "orders": []}
    judged = [
        chosen | {"pair_id": "1", "probability_a": 0.1},
        chosen | {"pair_id": "2", "probability_a": 0.9},
        {"pair_id": "3", "error": {"code": "bad_image", "message": "gone"}},
    ]
    pairs.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    verdicts.write_text("\n".join(map(json.dumps, judged)), "utf-8")
    places = {"p0/00.jpg": (0, 0), "p0/01.jpg": (0, 1)}
    found = verdicts_by_product(verdicts, pairs, places)
    assert found == {0: [(0, 1, 0.1)]}
    prior = prior_of_verdicts(found, np.ones((2, 2), bool), base=0.05)
    assert prior[0, 0] < 0.05 < prior[0, 1]
    assert prior[1] == pytest.approx([0.05, 0.05])
    verdicts.write_text("", "utf-8")
    with pytest.raises(InputError, match="no verdict"):
        verdicts_by_product(verdicts, pairs, places)
