"""Test whether two click rates differ: relative gap and the two-proportion z-test."""

from __future__ import annotations

import math


def relative_gap(ctr_a: float, ctr_b: float) -> float:
    """How far the higher CTR is above the lower, as a share of the lower (our reading of 60 %)."""
    low, high = sorted((ctr_a, ctr_b))
    return math.inf if low <= 0 < high else (high - low) / low if low > 0 else 0.0


def z_score(clicks_a: int, shown_a: int, clicks_b: int, shown_b: int) -> float:
    """The pooled two-proportion z; positive where A is clicked more."""
    pooled = (clicks_a + clicks_b) / (shown_a + shown_b)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / shown_a + 1 / shown_b))
    return (clicks_a / shown_a - clicks_b / shown_b) / deviation if deviation > 0 else 0.0


def p_value(z: float) -> float:
    """Two-sided: the chance of so large a |z| where both CTRs are the same."""
    return math.erfc(abs(z) / math.sqrt(2))


def critical_z(p: float) -> float:
    """Return the |z| whose two-sided p-value is `p`; 0 for p = 1."""
    from scipy.stats import norm

    return float(norm.isf(p / 2))
