"""Smoothed CTR, gap and the two-proportion test against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from data.creative_pair.mining.significance import (
    critical_z,
    p_value,
    relative_gap,
    z_score,
)


def test_the_gap_is_a_share_of_the_lower_ctr() -> None:
    assert relative_gap(0.05, 0.08) == pytest.approx(0.6)
    assert relative_gap(0.08, 0.05) == pytest.approx(0.6)
    assert relative_gap(0.0, 0.0) == 0.0
    assert relative_gap(0.0, 0.1) == math.inf


def test_two_proportions_by_hand() -> None:
    # pooled 130 / 2000 = 0.065; deviation sqrt(0.065 * 0.935 * 0.002) = 0.0110250
    z = z_score(80, 1000, 50, 1000)
    assert z == pytest.approx(0.03 / 0.0110250, rel=1e-4)
    assert p_value(z) == pytest.approx(0.0065, abs=2e-4)
    assert z_score(50, 1000, 80, 1000) == -z
    assert z_score(0, 10, 0, 10) == 0.0


def test_the_critical_z_is_the_inverse_of_the_p_value() -> None:
    assert critical_z(0.05) == pytest.approx(1.959964, abs=1e-5)
    assert critical_z(1.0) == pytest.approx(0.0, abs=1e-9)
