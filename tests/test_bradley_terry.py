"""Strengths against the equation that they solve, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from creative4u.bradley_terry import fit_strengths


@pytest.mark.parametrize("precision", [0.1, 0.5])
@pytest.mark.parametrize("probability", [0.5, 0.8, 1.0])
def test_two_items_solve_the_equation(precision: float, probability: float) -> None:
    first, second = fit_strengths([(0, 1, probability)], 2, precision)
    expected = 1 / (1 + math.exp(second - first))
    assert first == pytest.approx(-second)
    assert probability - expected == pytest.approx(precision * first, abs=1e-9)  # gradient 0


def test_a_balanced_circle_leaves_all_equal() -> None:
    circle = [(0, 1, 0.8), (1, 2, 0.8), (0, 2, 0.2)]
    assert fit_strengths(circle, 3, 0.1) == pytest.approx([0, 0, 0], abs=1e-9)


def test_a_repeated_comparison_counts_twice() -> None:
    once = fit_strengths([(0, 1, 0.9)], 2, 0.1)
    twice = fit_strengths([(0, 1, 0.9), (1, 0, 0.1)], 2, 0.2)
    assert twice == pytest.approx(once)  # likelihood and prior both doubled


def test_without_comparisons_all_are_average() -> None:
    assert fit_strengths([], 3, 0.5).tolist() == [0, 0, 0]


@given(st.data(), st.integers(2, 12))
def test_the_gradient_is_zero_and_the_mean_too(data: st.DataObject, count: int) -> None:
    items = st.integers(0, count - 1)
    row = st.tuples(items, items, st.floats(0, 1)).filter(lambda row: row[0] != row[1])
    comparisons = data.draw(st.lists(row, min_size=1, max_size=30))
    strength = fit_strengths(comparisons, count, 0.1)
    gradient = -0.1 * strength
    for a, b, probability in comparisons:
        surplus = probability - 1 / (1 + math.exp(strength[b] - strength[a]))
        gradient[a] += surplus
        gradient[b] -= surplus
    assert gradient == pytest.approx(np.zeros(count), abs=1e-7)
    assert strength.mean() == pytest.approx(0, abs=1e-9)
