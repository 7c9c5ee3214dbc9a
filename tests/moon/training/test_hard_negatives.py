"""Which negatives, positives and categories a step trains on, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from creative4u.moon.catalogue.items import Item, merge_skus, split_of
from creative4u.moon.training.hard_negatives import (
    exposure_weights,
    hard_negatives,
    least_similar_positives,
)


def test_hard_negatives_are_near_and_of_the_category() -> None:
    angle = np.array([0.0, 0.1, 0.3, 0.05, 1.5])
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    kinds, keys = ["shoe", "shoe", "shoe", "hat", "hat"], [0, 0, 1, 2, 3]
    found = hard_negatives(vectors, kinds, keys, 2)
    # row 0: row 1 is the same product; row 2 of its category first, then the nearest other: 3
    assert found.tolist() == [[2, 3], [2, 3], [1, 0], [4, 0], [3, 2]]
    assert hard_negatives(vectors[:2], kinds[:2], keys[:2], 2).tolist() == [[-1, -1], [-1, -1]]


def test_least_similar_positive_of_each_item() -> None:
    queries = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    items = np.array([[1, 0], [0, 1]], np.float32)
    pairs = np.array([[0, 0], [1, 0], [2, 1], [1, 1]])
    assert least_similar_positives(pairs, queries, items).tolist() == [1, 3]


def test_categories_come_as_they_are_shown() -> None:
    # shoes were shown 30 times, hats 10; three samples are of shoes, one of hats
    weights = exposure_weights(
        ["shoe", "hat", "shoe"], np.array([20, 10, 10]), np.array([0, 0, 2, 1])
    )
    assert weights.tolist() == pytest.approx([0.25, 0.25, 0.25, 0.25])
    even = exposure_weights(["shoe", "hat"], np.array([10, 10]), np.array([0, 0, 0, 1]))
    assert even.tolist() == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])
    with pytest.raises(ValueError, match="has impressions"):
        exposure_weights(["shoe"], np.array([0]), np.array([0]))


def test_colours_of_one_thing_are_one_product() -> None:
    items = [
        Item("1", "Avelo red boot", name="boot", brand="Avelo", colour="red"),
        Item("2", "Avelo navy boot", name="boot", brand="Avelo", colour="navy"),
        Item("3", "Pico boot", name="boot", brand="Pico"),
        Item("4", "a photograph", name="a photograph"),
    ]
    assert merge_skus(items) == [0, 0, 1, 2]


def test_split_is_by_name_alone() -> None:
    assert {split_of("boot") for _ in range(3)} == {split_of("boot")}
    shares = [split_of(str(n)) for n in range(2000)].count("test") / 2000
    assert shares == pytest.approx(0.2, abs=0.03)
