"""Isotonic knots, intervals and PCOC against numbers known on paper."""

import numpy as np
import pytest

from creative4u.ctr.model.calibration import (
    Calibrator,
    fit_beta,
    fit_isotonic,
    fit_strength,
    pcoc,
    pcoc_by_decile,
)
from creative4u.errors import InputError


def test_isotonic_pools_what_falls() -> None:
    fitted = fit_isotonic([0.1, 0.2, 0.3, 0.4], [0, 1, 0, 1])
    assert fitted([0.1, 0.2, 0.3, 0.4]) == pytest.approx([1e-5, 0.5, 0.5, 1 - 1e-5])
    assert fitted([0.25, 0.9]) == pytest.approx([0.5, 1 - 1e-5])


def test_beta_finds_the_map_the_clicks_were_drawn_by() -> None:
    # clicked at p' with logit p' = 2 logit p + 1: a = b = 2, c = 1
    p = np.linspace(0.05, 0.95, 50)
    wanted = 1 / (1 + np.exp(-2 * np.log(p / (1 - p)) - 1))
    fitted = fit_beta(p, wanted)
    assert fitted(p) == pytest.approx(wanted, abs=0.005)
    assert (np.diff(fitted(p)) > 0).all()


def test_weights_count() -> None:
    # one pool of weights 3 and 1: (3 * 1 + 1 * 0) / 4
    assert fit_isotonic([0.1, 0.2], [1, 0], [3, 1])([0.15]) == pytest.approx([0.75])


def test_the_interval_is_the_betas() -> None:
    same = Calibrator((0.0, 1.0), (0.0, 1.0), strength=2.0)
    # Beta(1, 1) is uniform: 90 % lie in 0.05 .. 0.95
    low, high = same.interval([0.5])
    assert (low[0], high[0]) == pytest.approx((0.05, 0.95))
    narrow = same.interval([0.5], [998])
    assert 0.47 < narrow[0][0] < 0.5 < narrow[1][0] < 0.53  # 1.645 * sqrt(0.25 / 1001) = 0.026


def test_the_interval_holds_the_figure_even_where_the_beta_is_extreme() -> None:
    low, high = Calibrator((0.0, 1.0), (0.0, 1.0), strength=1.0).interval([0.001])
    assert low[0] <= 0.001 <= high[0]


def test_strength_finds_the_spread_it_was_drawn_with() -> None:
    rng = np.random.default_rng(0)
    rate = rng.beta(0.1 * 80, 0.9 * 80, 2000)
    clicks = rng.binomial(500, rate)
    assert fit_strength(np.full(2000, 0.1), clicks, np.full(2000, 500)) == pytest.approx(
        80, rel=0.1
    )


def test_pcoc() -> None:
    assert pcoc([0.2, 0.4], [0, 1]) == pytest.approx(0.6)
    assert np.isnan(pcoc([0.2], [0]))
    assert pcoc_by_decile([0.9, 0.1, 0.5, 0.5], [1, 1, 0, 1], 2) == pytest.approx([0.6, 0.7])


def test_no_clicks_is_an_error() -> None:
    with pytest.raises(InputError, match="needs clicks"):
        fit_isotonic([0.1], [0])
